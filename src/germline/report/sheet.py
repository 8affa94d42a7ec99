"""Arms by generations as one picture: the same seed, row number and class at the same place of every cell."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from germline.core.errors import BadInput
from germline.core.generation import rows_of
from germline.core.pool import Pool
from germline.report.arms import Arm, Group, Run
from germline.report.grids import (
    COLUMNS,
    TILES,
    across,
    at_places,
    beside,
    class_lines,
    has_rounds,
    keeps_order,
    label,
    spread,
    tile_rows,
    tiles,
)
from germline.report.pictures import small

TILE, MARGIN, SPACE = 56, 16, 14  # pixels on the picture: a tile at least, where no scale is given; the edge; between cells
PAPER, INK, SOFT, LINE = "#ffffff", "#1b1f24", "#57606a", "#b9bec4"
NAMED = 40  # conditions that an error lists


@dataclass(frozen=True)
class Cut:
    """What is shown: conditions (classes or prompts), seeds and generations, each empty for what is usual; and rows of a class.

    ``scale`` is pixels of the picture a pixel of an image; None shrinks large images and enlarges small ones.
    """

    conditions: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    generations: tuple[int, ...] = ()
    rows: int = 1
    scale: int | None = None


@dataclass(frozen=True, eq=False)
class Line:
    """A row of cells: one seed of an arm. ``run`` is None where the arm was not run at that seed."""

    arm: Arm
    seed: int
    run: Run | None


@dataclass(frozen=True, eq=False)
class Sheet:
    """The picture, and what stands where in it.

    ``corners[line][column]`` is the upper left pixel of a cell; column 0 is that of the real images. Tile i of a cell shows row
    ``rows[i]``, ``columns`` tiles a line.
    """

    image: Image.Image
    lines: tuple[Line, ...]
    generations: tuple[int, ...]
    rows: np.ndarray
    conditions: tuple[str, ...]
    columns: int
    scale: int
    corners: tuple[tuple[tuple[int, int], ...], ...]


def sheet(group: Group, cut: Cut = Cut()) -> Sheet:
    """Return the picture of a group.

    Raises:
        BadInput: an unknown class, prompt, seed or generation, or a number under 1.
    """
    for name, value in (("--rows", cut.rows), ("--scale", cut.scale)):
        if value is not None and value < 1:
            raise BadInput(f"{name} must be at least 1, but is {value}.")
    reference = group.arms[0].shown.generations[0].samples
    rows = rows_shown(reference, group.data.classes, cut.conditions, cut.rows)
    condition = reference.condition[rows]
    lines, generations = lines_of(group, cut.seeds), generations_of(group, cut.generations)
    columns, whole = across(len(np.unique(condition))), cut.scale is not None
    columns = min(columns, len(rows))
    side = (group.data.real.images if whole else small(group.data.real.images[:1])).shape[2]
    scale = cut.scale or max(1, TILE // side)

    def scaled(pool: Pool, chosen: np.ndarray) -> Image.Image:
        picture = Image.fromarray(tiles(pool, chosen, columns, whole=whole))
        return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)

    cells = [[_samples(line, g, rows, condition) for g in generations] for line in lines]
    pictures = [[None if one is None else scaled(*one) for one in row] for row in cells]
    real = scaled(group.data.real, beside(group.data.real, condition))
    said = tuple(label(one, group.data.classes) for one in condition)
    foot = tuple(map(without_accents, _foot(said, columns, lines, rows, condition)))
    image, corners = _drawn(_Texts(lines, generations, foot), real, pictures)
    return Sheet(image, lines, generations, rows, said, columns, scale, corners)


def rows_shown(pool: Pool, classes: Sequence[str], wanted: Sequence[str], a_class: int) -> np.ndarray:
    """Return the first ``a_class`` rows of each condition, of all where none is named; of very many, evenly spread ones.

    A class may be given by name or number.

    Raises:
        BadInput: the pool has no row of that condition; those that it has are listed.
    """
    values = np.unique(pool.condition)
    if not wanted:
        return tile_rows(pool, len(values) * a_class if len(values) <= TILES else TILES)
    known = {**{str(value): value for value in values}, **{label(value, classes): value for value in values}}
    if strange := [name for name in wanted if name not in known]:
        names = [label(value, classes) for value in values]
        more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
        what = "class" if np.issubdtype(pool.condition.dtype, np.integer) else "prompt"
        raise BadInput(f"No sample has the {what} {strange[0]!r}. There are: {', '.join(names[:NAMED])}{more}.")
    part = pool.take(np.isin(pool.condition, [known[name] for name in wanted]))
    shown: np.ndarray = rows_of(part)[tile_rows(part, len(np.unique(part.condition)) * a_class)]
    return shown


def lines_of(group: Group, seeds: Sequence[int]) -> tuple[Line, ...]:
    """Return a line for each of these seeds of every arm; for its lowest where none is named.

    Raises:
        BadInput: no arm was run at that seed.
    """
    known = sorted({run.seed for arm in group.arms for run in arm.runs})
    if strange := [seed for seed in seeds if seed not in known]:
        raise BadInput(f"No arm was run at seed {strange[0]}. There are: {', '.join(map(str, known))}.")
    if not seeds:
        return tuple(Line(arm, arm.shown.seed, arm.shown) for arm in group.arms)
    runs = [{run.seed: run for run in arm.runs} for arm in group.arms]
    return tuple(Line(arm, seed, own.get(seed)) for arm, own in zip(group.arms, runs, strict=True) for seed in seeds)


def generations_of(group: Group, wanted: Sequence[int]) -> tuple[int, ...]:
    """Return these generations; where none is named, at most seven, evenly spread.

    Raises:
        BadInput: no run has come so far.
    """
    if strange := [g for g in wanted if not 0 <= g <= group.last]:
        raise BadInput(f"No run has a generation {strange[0]}; there are 0 to {group.last}.")
    return tuple(wanted) or spread(group.last, COLUMNS)


def _samples(line: Line, generation: int, rows: np.ndarray, condition: np.ndarray) -> tuple[Pool, np.ndarray] | None:
    """Return the samples of a cell and their rows; None where the run has not come so far."""
    if line.run is None or generation > line.run.last.number:
        return None
    samples = line.run.generations[generation].samples
    return samples, at_places(samples, rows, condition)


@dataclass(frozen=True, eq=False)
class _Texts:
    """What is written: over a line of cells, over a column, and below everything."""

    lines: tuple[Line, ...]
    generations: tuple[int, ...]
    foot: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Arm and seed of every line; the seed only where there are several."""
        several = len({line.seed for line in self.lines}) > 1
        return [f"{line.arm.name}, seed {line.seed}" if several else line.arm.name for line in self.lines]


def _foot(said: Sequence[str], columns: int, lines: Sequence[Line], rows: np.ndarray, condition: np.ndarray) -> tuple[str, ...]:
    """Return which classes stand where, and whose rows are not those of the first arm."""
    other = [line.arm.name for line in lines if line.run and not keeps_order(line.run, rows, condition)]
    order = f"{', '.join(dict.fromkeys(other))}: other rows of the same classes, for theirs come in another order." if other else ""
    own = any(line.run and has_rounds(line.run, condition) for line in lines)
    rounds = "Rounds have prompts of their own: the lines name those of generation 0." if own else ""
    return tuple(filter(None, [f"Lines of a cell: {'; '.join(class_lines(said, columns))}.", rounds, order]))


def without_accents(text: str) -> str:
    """Return the text without accents, for which Pillow's own font has no letters."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def _drawn(
    texts: _Texts, real: Image.Image, pictures: Sequence[Sequence[Image.Image | None]]
) -> tuple[Image.Image, tuple[tuple[tuple[int, int], ...], ...]]:
    """Return the picture, and the corners of its cells: names over lines of cells, generations over columns."""
    wide, high, columns = real.width, real.height, len(texts.generations) + 1
    size = min(26, max(15, wide // 11))
    font, fine = ImageFont.load_default(size), ImageFont.load_default(max(13, size - 4))
    heads = ["real", *_heads(texts.generations, font, wide)]
    width = 2 * MARGIN + max(columns * (wide + SPACE) - SPACE, *(int(font.getlength(name)) + 1 for name in texts.names))
    foot = [line for text in texts.foot for line in textwrap.wrap(text, max(20, int((width - 2 * MARGIN) / fine.getlength("n"))))]
    top, label_height, leading = MARGIN + size + SPACE, int(1.5 * size), int(1.4 * size)
    step = label_height + high + SPACE
    image = Image.new("RGB", (width, top + len(texts.lines) * step + len(foot) * leading + MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    corners = []
    x_of = [MARGIN + column * (wide + SPACE) for column in range(columns)]
    for x, head in zip(x_of, heads, strict=True):
        draw.text((x, MARGIN), head, SOFT, font)
    for i, (name, row) in enumerate(zip(texts.names, pictures, strict=True)):
        y = top + i * step
        draw.text((MARGIN, y), name, INK, font)
        y += label_height
        corners.append(tuple((x, y) for x in x_of))
        for x, picture in zip(x_of, [real, *row], strict=True):
            if picture is None:
                draw.rectangle((x, y, x + wide - 1, y + high - 1), outline=LINE)
                draw.text((x + wide / 2, y + high / 2), "not run", SOFT, fine, anchor="mm")
            else:
                image.paste(picture.convert("RGB"), (x, y), picture.getchannel("A"))
    for i, line in enumerate(foot):
        draw.text((MARGIN, top + len(texts.lines) * step + i * leading), line, SOFT, fine)
    return image, tuple(corners)


def _heads(generations: Sequence[int], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, wide: int) -> list[str]:
    """Return "generation 3" for every column, shorter where that is wider than a cell."""
    for word in ("generation ", "gen ", ""):
        heads = [f"{word}{g}" for g in generations]
        if max(map(font.getlength, heads)) <= wide:
            break
    return heads
