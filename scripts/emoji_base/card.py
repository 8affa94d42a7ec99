"""The model's card: what it can do, measured by an encoder that its training never saw, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from emoji_base import folder, sheets, vae
from emoji_base.encoder import right
from emoji_base.pictures import Rows, rows
from emoji_base.stage import log_of
from germline.core.seeds import rng
from germline.scorers import DualEncoder
from germline.scorers.dual_encoder import WORDS, Pictures, opened, opened_words
from germline.scorers.hashed_words import vectors

EACH, SHOWN, DRAWS = 2, 24, 2_000  # pictures a caption, captions on a sheet, draws of the bootstrap
COLUMNS = ("real", *("made",) * EACH, "nearest trained")


@dataclass(frozen=True)
class Found:
    """R@1 of real and of made pictures on one set of captions, and their ratio with its interval over captions."""

    name: str
    judge: str
    captions: int
    pictures: int
    real: float
    made: float
    low: float
    high: float

    def line(self) -> str:
        """Return a row of the card's table."""
        share = f"{self.made / max(self.real, 1e-9):.2f} [{self.low:.2f}, {self.high:.2f}]"
        return f"| {self.name} | {self.judge} | {self.captions} | {self.real:.3f} | {self.made:.3f} | {share} | {1 / self.captions:.4f} |"


def write(out: Path, work: Path, trained: Rows, unseen: Rows, where: Path | None) -> None:
    """Write curves, sheets and README.md into the model's folder."""
    pipeline = folder.opened(out)
    about = {"Trained pictures": str(len(trained)), "Held-out pictures": str(len(unseen)), "Bytes": f"{folder.size(out):,}"}
    parts = {
        name: sum(value.numel() for value in part.parameters()) / 1e6
        for name, part in pipeline.components.items()
        if hasattr(part, "parameters")
    }
    about["Parameters, millions"] = ", ".join(f"{name} {count:.2f}" for name, count in sorted(parts.items()))
    about["PSNR of the VAE, held-out captions, styles it was trained on"] = f"{vae.quality(pipeline.vae, unseen):.2f} dB"
    if where is not None:
        foreign = rows(("fluent",), where, ("held_out",))
        about["PSNR of the VAE, held-out captions, a style it never saw (fluent)"] = f"{vae.quality(pipeline.vae, foreign):.2f} dB"
    logs = {name: log_of(work / f"{name}.safetensors") for name in ("text", "vae", "unet")}
    for name, log in logs.items():
        about[f"Training, {name}"] = f"{log[-1]['step']:,.0f} steps, {log[-1]['seconds'] / 60:.0f} minutes of one core"
    sheets.curves(out / "curves.png", logs)
    table = _judged(out, pipeline, trained, unseen)
    text = _text(about, [found.line() for found in table])
    (out / "README.md").write_text(text)
    print(text)


def _judged(out: Path, pipeline: folder.StableDiffusionPipeline, trained: Rows, unseen: Rows) -> list[Found]:
    """Return what the two dual encoders find, and leave a sheet for each set of captions."""
    sides: dict[str, Pictures] = {part.name: opened(part.pictures) for part in (DualEncoder(), DualEncoder(held_out=True))}
    first_side, found = sides[DualEncoder().name], []
    known = first_side.features(trained.images[0]).numpy()
    labels = {name: sorted({caption.label for caption in data.captions}) for name, data in (("seen", trained), ("unseen", unseen))}
    few = rng(0, 0, "card/seen").permutation(len(labels["seen"]))[: len(labels["unseen"])]
    labels["seen"] = [labels["seen"][place] for place in sorted(few)]  # as many as are unseen: the same chance
    for name, data in (("seen", trained), ("unseen", unseen)):
        asked = labels[name]
        words = vectors(asked, opened_words(WORDS))
        real = [row for row, caption in enumerate(data.captions) if caption.label in set(asked)]
        own = [asked.index(data.captions[row].label) for row in real]
        images = folder.made(pipeline, [label for label in asked for _ in range(EACH)], first=0 if name == "seen" else 10**6)
        own_made = [number // EACH for number in range(len(images))]
        for judge, side in sides.items():
            hits = right(side(data.images[0][real]), words, own)
            found.append(_found(name, judge, hits, own, right(side(images), words, own_made), own_made))
        nearest = _nearest(first_side.features(images).numpy(), known)
        shown = rng(0, 0, f"card/{name}").permutation(len(asked))[:SHOWN]
        first = {data.captions[row].label: row for row in reversed(real)}
        lines = [
            (
                asked[number],
                [
                    data.images[0][first[asked[number]]],
                    *images[number * EACH : (number + 1) * EACH],
                    trained.images[0][nearest[number * EACH]],
                ],
            )
            for number in shown
        ]
        sheets.sheet(out / f"{name}.png", COLUMNS, lines)
    return found


def _found(
    name: str, judge: str, real: Bool[np.ndarray, " r"], own: Sequence[int], made: Bool[np.ndarray, " m"], own_made: Sequence[int]
) -> Found:
    """Return rates and the 95 % interval of their ratio: captions drawn again, each with all its pictures."""
    count = max(own) + 1
    sums = [np.bincount(np.array(of), values, count) for of, values in ((own, real), (own, np.ones(len(real))))]
    mine = [np.bincount(np.array(own_made), values, count) for values in (made, np.ones(len(made)))]
    draw = rng(0, 0, f"card/bootstrap/{name}").integers(0, count, (DRAWS, count))
    ratios = (mine[0][draw].sum(1) / mine[1][draw].sum(1)) / np.maximum(sums[0][draw].sum(1) / sums[1][draw].sum(1), 1e-9)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Found(name, judge, count, len(made), float(real.mean()), float(made.mean()), float(low), float(high))


def _nearest(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return for each picture the trained one whose features are nearest by cosine."""
    one, other = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in (features, known))
    found: np.ndarray = (one @ other.T).argmax(1)
    return found


def _text(about: dict[str, str], table: Sequence[str]) -> str:
    facts = "\n".join(f"- {name}: {value}" for name, value in about.items())
    judged = "\n".join(
        [
            "| captions | judge | candidates | R@1 real | R@1 made | made / real [95 %] | chance |",
            "|---|---|---|---|---|---|---|",
            *table,
        ]
    )
    return CARD.format(
        facts=facts,
        judged=judged,
        each=EACH,
        steps=folder.STEPS,
        scale=folder.SCALE,
    )


CARD = """---
license: apache-2.0
pipeline_tag: text-to-image
library_name: diffusers
---
# A small Stable Diffusion of emoji

32 x 32 pixels, trained from scratch on captioned emoji in two drawing styles (Noto and Twemoji). It is there to be fine-tuned again
and again on what it makes, on a laptop, as larger models are elsewhere; as a source of pictures it is poor.

    pipeline = StableDiffusionPipeline.from_pretrained("FOLDER", safety_checker=None)
    pipeline("noto emoji of cat", num_inference_steps={steps}, guidance_scale={scale}).images[0]

Prompts are CLDR's short names, such as "red apple", alone or as "noto emoji of ..." and "twemoji emoji of ...", or with tags: "cat, pet".

## Facts
{facts}

Text: a CLIP text model of its own vocabulary, taught to give MiniLM's word vectors, for held-out captions too (their words, not their
pictures). Process: DDPM's, cosine schedule, v-prediction; 10 % of captions empty. Never mirrored. Weights are running means, in half
precision.

## How well prompts are followed
R@1 of the two dual encoders that germline ships, on the caption among all candidates, {each} pictures made a caption ({steps} steps
of DDIM, guidance {scale}), against real pictures in the same styles. They were trained on other emoji than the model, so the captions
of all rows are new to them; they are weak themselves (see "real"), so only the ratio says something of the model. "Seen": trained on, as
many drawn as there are unseen ones; "unseen": of no family (gender and direction left out) that was trained on. The interval is over
captions.

{judged}

Few captions were seen, many times: the model remembers pictures. See for yourself: seen.png and unseen.png show made pictures beside a real
one and beside the nearest trained one (by the encoder's features).

![seen captions](seen.png)
![unseen captions](unseen.png)
![loss curves](curves.png)

## Data and licences
Trained on Noto emoji (Google, Apache-2.0) and Twemoji (Copyright Twitter, Inc. and other contributors, CC-BY 4.0,
https://creativecommons.org/licenses/by/4.0/); captions from Unicode CLDR by way of emojibase (Unicode licence, MIT). Text vectors
learnt from all-MiniLM-L6-v2 (Apache-2.0). Show this credit with pictures that the model makes. It never saw the style fluent.
"""
