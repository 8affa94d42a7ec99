"""What an audit found, in plain words: a word for every question, and what to do. The limits here are ours, and stand on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "look", "bad"]
ORDER: tuple[Level, ...] = ("good", "look", "bad")
VERDICTS: dict[Level, str] = {
    "good": "Nothing that was measured speaks against these images.",
    "look": "Usable with care: look at what is marked below first.",
    "bad": "Do not train on these images as they are.",
}


@dataclass(frozen=True)
class Finding:
    """The answer to one question: a level, what was found, and what to do about it (empty where there is nothing to do)."""

    about: str
    level: Level
    text: str
    advice: str = ""


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level."""
    return max((finding.level for finding in findings), key=ORDER.index, default="good")


def graded(value: float, look: float, bad: float) -> Level:
    """Return the level of a number of which more is worse."""
    return "bad" if value > bad else "look" if value > look else "good"


def of_copies(exact: int, called: int, surely: int, n: int, low: float, alarms: float) -> Finding:
    """Return what the copies say; ``low`` is the lower end of the share that was called, ``alarms`` the share that chance gives."""
    by_chance = f"{alarms:.0%} of fresh real rows, about {alarms * n:,.0f} of {n:,}, would be called near copies too"
    said = f"{exact:,} rows equal a real row byte for byte; {called:,} more are called near copies ({by_chance})"
    said += f", {surely:,} of them nearer to a real row than any two real rows are." if surely else "."
    level: Level = "bad" if exact > 0.001 * n or low > 2 * alarms else "look" if exact or surely or low > alarms else "good"
    return Finding("Copies of real rows", level, said, "" if level == "good" else REMOVE)


def of_nearness(share: float, low: float, high: float) -> Finding:
    """Return what nearness to the real rows says: the share of made rows that are nearer than the median real row is to the others."""
    said = (
        f"{share:.0%} of made rows ({low:.0%} to {high:.0%}) are nearer to their nearest real row than half of the real rows are to theirs"
    )
    level: Level = graded(low, 0.6, 0.8)
    if level == "good":
        return Finding("Memorisation", level, f"{said}; of fresh rows it would be 50 %.")
    why = "Either the model leans on single real rows, or it makes plain, typical images: diversity below tells which."
    return Finding("Memorisation", level, f"{said}; of fresh rows it would be 50 %.", why)


def of_repeats(share: float) -> Finding:
    """Return what rows that repeat each other say."""
    level = graded(share, 0.001, 0.01)
    advice = "Keep one of each; a sampler that repeats itself often reuses a seed." if level != "good" else ""
    return Finding("Repeats", level, f"{share:.2%} of made rows equal an earlier made row byte for byte.", advice)


def of_diversity(recall: float, recall_real: float, vendi: float, vendi_real: float, guidance: float | None = None) -> Finding:
    """Return what recall and the Vendi score say, beside those of as many real rows; ``guidance`` is the sampler's scale, if known."""
    left = min(recall / max(recall_real, 1e-9), vendi / max(vendi_real, 1e-9))
    said = (
        f"Recall {recall:.2f} (real rows: {recall_real:.2f}); effective number of different rows {vendi:.1f} (real rows: {vendi_real:.1f})."
    )
    level = graded(1 - left, 0.15, 0.4)
    return Finding("Diversity", level, said, f"{_wider(guidance)} Do not drop rows by confidence." if level != "good" else "")


def _wider(guidance: float | None) -> str:
    """Return what gives diversity back: less guidance helps only images that were made with some."""
    if guidance is None:
        return "If they were sampled with guidance (a scale above 1), lower it; if not, train on more varied data, or mix real rows in."
    if guidance > 1:
        return f"Sample with less guidance than {guidance:g}, or mix real rows in."
    return "They were sampled without guidance, so it is not that: train on more varied data, or mix real rows in."


def of_regions(missing: int, regions: int, share: float) -> Finding:
    """Return what missing regions say; of one region, which is all there is, nothing."""
    if regions < 2:
        return Finding("Coverage holes", "look", TOO_FEW, "Give 400 real images or more.")
    level = graded(share, 0.01, 0.1)
    said = f"{missing} of {regions} regions of the real data, {share:.1%} of real rows, have certainly under half of their made rows."
    return Finding("Coverage holes", level, said, "Make more of what the pictures below show, or add real rows of it." if missing else "")


def of_classes(distance: float, least: str, ratio: float, how: str) -> Finding:
    """Return what the class shares say: their total variation distance, and the class that lacks most."""
    level = graded(distance, 0.05, 0.2)
    said = f"{distance:.1%} of rows would have to change class ({how}); {least} has {ratio:.0%} of its share among real rows."
    return Finding("Class balance", level, said, "Draw classes at the shares of the real data, or weigh rows." if level != "good" else "")


def of_support(share: float, low: float, high: float, null: float) -> Finding:
    """Return what rows outside of the real data's support say."""
    level = graded(low, 2 * null, 4 * null)
    said = f"{share:.1%} of made rows ({low:.1%} to {high:.1%}) lie outside of where real rows lie; of fresh real rows {null:.0%} would."
    advice = "Leave the oddest rows out, or train and sample longer." if level != "good" else ""
    return Finding("Strange rows", level, said, advice)


TOO_FEW = "The real images are too few to be divided into regions, so a hole would not be seen."
REMOVE = "Remove them before training or publishing: a model trained on them repeats them, and they may be somebody's."
