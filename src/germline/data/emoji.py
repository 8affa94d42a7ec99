"""Emoji: 32x32 colour pictures with captions, drawn in four styles. Two of them lie in the package; ``emoji_files`` finds the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from germline.core.digest import of_bytes
from germline.core.errors import BadInput
from germline.core.pool import REAL, Pool, Source
from germline.core.seeds import rng
from germline.core.splits import NAMES, Splits
from germline.data.emoji_files import EMBEDDED_SIZE, STYLES, WHOLE, Caption, Drawn, load

Form = Literal["label", "styled", "tagged"]
SHARES = {"real": 0.40, "reserve": 0.15, "judge": 0.30, "held_out": 0.15}
# Woman, man, person; joiner; female and male sign; "facing right": emoji that differ in these alone are drawn alike.
ALIKE = frozenset(("1f469", "1f468", "1f9d1", "200d", "2640", "2642", "27a1"))


def emoji(
    whole: bool = False,
    sizes: Mapping[str, int] | None = None,
    where: Path | str | None = None,
    size: int | None = None,
    styles: Sequence[str] | None = None,
    captions: Form = "label",
) -> Splits:
    """Return the splits of captioned emoji, (n, 32, 32, 3) uint8 on white, prompts for conditions and no classes.

    By default the style "fluent", 1,599 pictures; with ``whole``, or as ``styles``, also "noto" and "twemoji" (1,636 each, the same
    emoji); "emojione" (1,087) is asked for by name alone: no model that is shipped has seen it. Twemoji, emojione, and any ``size`` but 32,
    come out of npm packages in the folder ``where``. No skin tones, flags or components.

    An emoji's split depends on its ``family`` alone, so it is the same in every style and no caption crosses: ``held_out`` are unseen
    captions to whatever is trained on ``real``, in an unseen style too when it was trained on others. The model that is shipped
    was trained on ``real`` and ``reserve`` of noto and twemoji, its dual encoder on ``judge`` of all styles. ``sizes`` takes the first
    rows of each split. Columns: ``style``, a row's place in fluent, noto, twemoji, emojione.

    ``captions``: "label" (CLDR's English short name), "styled" ("noto emoji of cat"), or "tagged" (the label and one or two of its
    tags, drawn for this row once and for all).

    Source: Fluent emoji, Microsoft, MIT; Noto emoji, Google, Apache-2.0; Twemoji, Twitter and others, CC-BY 4.0; EmojiOne 2,
    Ranks.com, CC-BY 4.0; captions: CLDR by way of emojibase, Unicode licence and MIT.

    Raises:
        BadInput: a style or form is unknown, ``sizes`` asks for more than there is, or a package is damaged.
        GermlineError: the packages are needed and nowhere to be found; the message says how to get them.
    """
    chosen = tuple(styles) if styles is not None else WHOLE if whole else ("fluent",)
    drawn = load(chosen, EMBEDDED_SIZE if size is None else size, where)
    rows = {part: _ordered(drawn, part) for part in NAMES}
    for part, n in (sizes or {}).items():
        if part not in NAMES or not 0 < n <= len(rows[part]):
            has = ", ".join(f"{name} {len(found)}" for name, found in rows.items())
            raise BadInput(f"emoji in {', '.join(chosen)} has {has} rows, but {part} {n} was asked for. Give fewer.")
        rows[part] = rows[part][:n]
    return _splits(drawn, rows, captions)


def emojione(
    whole: bool = False, sizes: Mapping[str, int] | None = None, where: Path | str | None = None, size: int | None = None
) -> Splits:
    """Return the splits of captioned emoji in a fourth style, which no model that is shipped has seen: ``emoji`` of EmojiOne 2.

    ``whole`` changes nothing: all 1,087 pictures are there in any case.

    Source: EmojiOne 2, Ranks.com, CC-BY 4.0; captions as ``emoji``'s.

    Raises:
        BadInput: ``sizes`` asks for more than there is, or a package is damaged.
        GermlineError: the packages are nowhere to be found; the message says how to get them.
    """
    return emoji(whole, sizes, where, size, styles=("emojione",))


def caption(drawn: Drawn, row: int, form: Form) -> str:
    """Return a row's caption in one of three forms.

    Raises:
        BadInput: there is no such form.
    """
    told, style = drawn.captions[row], drawn.styles[row]
    if form == "label":
        return told.label
    if form == "styled":
        return f"{style} emoji of {told.label}"
    if form == "tagged":
        return tagged(told, rng(0, REAL, f"emoji/{style}/{drawn.hexcodes[row]}"))
    raise BadInput(f"Captions of emoji are 'label', 'styled' or 'tagged', but {form!r} was asked for.")


def tagged(told: Caption, draw: np.random.Generator) -> str:
    """Return the label and one or two other tags, in the order drawn: "cat, kitty, pet"."""
    others = [tag for tag in told.tags if tag != told.label]
    count = min(len(others), int(draw.integers(1, 3)))
    return ", ".join([told.label, *(others[place] for place in draw.permutation(len(others))[:count])])


def split_of(hexcode: str) -> str:
    """Return the split that an emoji belongs to, in every style: the hash of its family, a number in [0, 1), cut at the shares."""
    place, end = int(of_bytes(f"emoji/{family(hexcode)}".encode())[:12], 16) / 16**12, 0.0
    for name in NAMES:
        end += SHARES[name]
        if place < end:
            return name
    return NAMES[-1]


def family(hexcode: str) -> str:
    """Return what emoji have in common that are drawn alike: the hexcode without gender and direction. Ours.

    A man and a woman running are one picture but for the hair. Were one of them trained on, the other would be no unseen caption.
    """
    kept = [part for part in hexcode.split("-") if part not in ALIKE]
    return "-".join(kept) or "person"


def _ordered(drawn: Drawn, part: str) -> np.ndarray:
    """Return the rows of a split, in an order drawn once and for all, so that the first n of them are a fair sample."""
    rows = [row for row, code in enumerate(drawn.hexcodes) if split_of(code) == part]
    return rng(0, REAL, f"split/{part}").permutation(np.array(rows, np.int64))


def _splits(drawn: Drawn, rows: Mapping[str, np.ndarray], form: Form) -> Splits:
    order = np.concatenate([rows[part] for part in NAMES])
    prompts = np.array([caption(drawn, int(row), form) for row in order])
    style = np.array([list(STYLES).index(drawn.styles[row]) for row in order])
    columns = {"dataset_row": order, "style": style}
    pool = Pool.of(Source(np.ascontiguousarray(drawn.images[order])), prompts, columns=columns)
    ends = np.cumsum([len(rows[part]) for part in NAMES])
    real, reserve, judge, held_out = (pool.take(np.arange(end - len(rows[part]), end)) for part, end in zip(NAMES, ends, strict=True))
    return Splits("emoji", (), real, reserve, judge, held_out)
