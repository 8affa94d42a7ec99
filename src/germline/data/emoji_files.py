"""Where the pictures and captions of ``emoji`` come from: the embedded file, the cache, or four npm packages, joined by hexcode."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from germline.core.errors import BadInput, GermlineError
from germline.data import archives, npz
from germline.data.pictures import decode
from germline.data.places import cache_folder

EMBEDDED = Path(__file__).parent / "embedded" / "emoji.npz"
ROUNDS = EMBEDDED.with_name("emoji_rounds.parquet")  # prompts of the loop: scripts/make_emoji_prompts.py
GROUPS = EMBEDDED.with_name("emoji_groups.parquet")  # the group of each of them and of each caption: scripts/make_emoji_groups.py
EMBEDDED_SIZE = 32
LARGEST = 64  # pixels a side at which two of the styles are drawn
FLAGS, COMPONENT = 9, 2  # groups of emojibase: flags say little by their captions; components are hair and skin alone
VARIANT = "fe0f"  # "shown as a picture": packages differ in whether their file names carry it


@dataclass(frozen=True)
class Package:
    """One npm package: its file, and where in it the pictures of a style lie."""

    file: str
    sha256: str
    fetch: str
    folder: str = ""
    ending: str = ""


CAPTIONS = Package(
    "emojibase-data-17.0.0.tgz",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    "emojibase-data@17.0.0",
)
DATA = "package/en/data.json"
STYLES: Mapping[str, Package] = {
    "fluent": Package(
        "lobehub-fluent-emoji-3d-1.1.0.tgz",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        "@lobehub/fluent-emoji-3d@1.1.0",
        "package/assets/",
        ".webp",
    ),
    "noto": Package(
        "emoji-datasource-google-16.0.0.tgz",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "emoji-datasource-google@16.0.0",
        "package/img/google/64/",
        ".png",
    ),
    "twemoji": Package(
        "emoji-datasource-twitter-16.0.0.tgz",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        "emoji-datasource-twitter@16.0.0",
        "package/img/twitter/64/",
        ".png",
    ),
    "emojione": Package(
        "emojione-2.2.7.tgz",
        "5fe002738e6e276f49ac37783799d2feab99a6131fdedccfa56569d745449ae5",
        "emojione@2.2.7",
        "package/assets/png/",
        ".png",
    ),
}
WHOLE = ("fluent", "noto", "twemoji")  # what the models that are shipped know; emojione is unseen by all of them


@dataclass(frozen=True)
class Caption:
    """What emojibase says of one emoji: its label in CLDR's English, and its tags."""

    label: str
    tags: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures (n, size, size, 3) uint8 with style, hexcode and caption, in the order of styles, then hexcodes."""

    images: UInt8[np.ndarray, "n h w 3"]
    styles: tuple[str, ...]
    hexcodes: tuple[str, ...]
    captions: tuple[Caption, ...]

    def __len__(self) -> int:
        return len(self.images)

    def of(self, style: str) -> Drawn:
        """Return the rows of this style alone."""
        rows = [row for row, drawn_in in enumerate(self.styles) if drawn_in == style]
        picked = [(self.styles[row], self.hexcodes[row], self.captions[row]) for row in rows]
        styles, hexcodes, captions = zip(*picked, strict=True)
        return Drawn(self.images[rows], styles, hexcodes, captions)


def load(styles: Sequence[str], size: int = EMBEDDED_SIZE, where: Path | str | None = None) -> Drawn:
    """Return the pictures of some styles, from the first place that has them.

    ``where`` alone if it is given; else the embedded file, the cache, the packages in this folder. What was read from packages here is
    kept in the cache, a file a style and size.

    Raises:
        BadInput: a style is unknown, the size is above 64 pixels, or what was found is damaged or something else.
        GermlineError: a style was found nowhere; the message lists every way to get it.
    """
    if unknown := [style for style in styles if style not in STYLES]:
        raise BadInput(f"emoji has the styles {', '.join(STYLES)}, but was asked for {unknown[0]!r}.")
    if not styles or len(set(styles)) < len(styles):
        raise BadInput(f"emoji needs one or more styles, each once, but was given {tuple(styles)}.")
    if not 8 <= size <= LARGEST:
        raise BadInput(f"emoji is drawn at {LARGEST} pixels a side: size must be from 8 to {LARGEST}, but is {size}.")
    return _together([_style(style, size, None if where is None else Path(where)) for style in styles])


def read_packages(style: str, size: int, folder: Path) -> Drawn:
    """Return a style's pictures out of two packages, without skin tones, flags and components.

    Each picture is laid on white, its central square brought to ``size`` by LANCZOS. Where a package draws one emoji twice, under names
    with and without the variant selector, the name without it counts.

    Raises:
        BadInput: a package has another checksum or is damaged.
    """
    for package in (CAPTIONS, STYLES[style]):
        archives.verify(folder / package.file, package.sha256)
    captions, package = read_captions(folder / CAPTIONS.file), STYLES[style]
    found: dict[str, np.ndarray] = {}
    for name, data in archives.members(folder / package.file, lambda name: name.startswith(package.folder)):
        code = hexcode(Path(name).stem)
        if not name.endswith(package.ending) or code not in captions or (code in found and VARIANT in Path(name).stem):
            continue
        picture = decode(data, size)
        found[code] = np.broadcast_to(picture, (size, size, 3))  # some are stored as grey
    codes = sorted(found)
    images = np.stack([found[code] for code in codes])
    return Drawn(images, (style,) * len(codes), tuple(codes), tuple(captions[code] for code in codes))


def read_captions(file: Path) -> dict[str, Caption]:
    """Return the caption of every emoji that is no skin tone, flag or component, by hexcode.

    Raises:
        BadInput: the file is not the package with captions.
    """
    content = archives.read(file, [DATA])
    if DATA not in content:
        raise BadInput(f"{file} has no {DATA}; it should be {CAPTIONS.file}.")
    return dict(_captions(json.loads(content[DATA])))


def hexcode(stem: str) -> str:
    """Return the name that all packages agree on: lower case, without the variant selector."""
    return "-".join(part for part in stem.lower().replace("_", "-").split("-") if part != VARIANT)


def pack(drawn: Drawn) -> dict[str, np.ndarray]:
    """Return arrays that ``unpack`` reads, none of them a pickle."""
    words = [[drawn.styles[row], drawn.hexcodes[row]] for row in range(len(drawn))]
    captions = {code: [caption.label, *caption.tags] for code, caption in zip(drawn.hexcodes, drawn.captions, strict=True)}
    text = json.dumps({"rows": words, "captions": captions}, ensure_ascii=False, separators=(",", ":")).encode()
    return {"images": drawn.images, "text": np.frombuffer(text, np.uint8)}


def unpack(arrays: Mapping[str, np.ndarray], where: Path) -> Drawn:
    """Return what was packed.

    Raises:
        BadInput: it was not.
    """
    try:
        about, images = json.loads(arrays["text"].tobytes()), arrays["images"]
        styles, hexcodes = zip(*about["rows"], strict=True)
        captions = {code: Caption(label, tuple(tags)) for code, (label, *tags) in about["captions"].items()}
        drawn = Drawn(images, styles, hexcodes, tuple(captions[code] for code in hexcodes))
    except (KeyError, ValueError, TypeError) as error:
        raise BadInput(f"{where} is not a file of emoji ({type(error).__name__}: {error}); delete it and run again.") from error
    if len(images) != len(hexcodes):
        raise BadInput(f"{where} has {len(images)} pictures but {len(hexcodes)} hexcodes; delete it and run again.")
    return drawn


def _captions(records: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, Caption]]:
    """Yield hexcode and caption; a record without a group is a component too (regional indicators)."""
    for record in records:
        code, label, tags = record["hexcode"], record["label"], record.get("tags", ())
        if record.get("group", COMPONENT) not in (FLAGS, COMPONENT) and "tone" not in record:
            assert isinstance(code, str)
            assert isinstance(label, str)
            assert isinstance(tags, list | tuple)
            yield hexcode(code), Caption(label, tuple(tags))


def _style(style: str, size: int, where: Path | None) -> Drawn:
    if where is not None:
        if not _has(where, style):
            raise BadInput(f"{where} holds no {style} emoji: it should be a folder with {STYLES[style].file} and {CAPTIONS.file}.")
        return read_packages(style, size, where)
    if size == EMBEDDED_SIZE and style in (embedded := _embedded()).styles:
        return embedded.of(style)
    kept = cache_folder() / f"emoji-{style}-{size}.npz"
    if kept.is_file():
        with suppress(BadInput):  # a damaged cache is made again
            return unpack(npz.read(kept), kept)
    if not _has(Path(), style):
        raise GermlineError(_ways(style, kept))
    drawn = read_packages(style, size, Path())
    with suppress(GermlineError):  # a cache that cannot be written costs only time
        npz.write(kept, pack(drawn))
    return drawn


@lru_cache(maxsize=1)
def _embedded() -> Drawn:
    return unpack(npz.read(EMBEDDED), EMBEDDED)


def _has(folder: Path, style: str) -> bool:
    return all((folder / package.file).is_file() for package in (CAPTIONS, STYLES[style]))


def _together(parts: Sequence[Drawn]) -> Drawn:
    return Drawn(
        np.concatenate([part.images for part in parts]),
        tuple(style for part in parts for style in part.styles),
        tuple(code for part in parts for code in part.hexcodes),
        tuple(caption for part in parts for caption in part.captions),
    )


def _ways(style: str, kept: Path) -> str:
    return "\n".join(
        [
            f"emoji in the style {style} at this size was found neither in the package nor in {kept}, nor as {STYLES[style].file} and"
            f" {CAPTIONS.file} in {Path.cwd()}. This helps:",
            f"  npm pack {STYLES[style].fetch} {CAPTIONS.fetch}    # into this folder; then run again here",
            "Or name the folder that has them with --where (in Python: where=...).",
        ]
    )
