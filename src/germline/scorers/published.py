"""Scores that the authors of reward models published, to hold one's own weights against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from PIL import Image

from germline.core.context import Context
from germline.core.pool import Pool
from germline.core.protocols import Scorer
from germline.scorers import hub
from germline.scorers.aesthetic import Aesthetic, head

RATINGS = (1.6555, 2.3593, 3.0698, 3.6725, 4.2380, 4.7010, 5.0731, 5.3654, 5.5767, 5.7468)


@dataclass(frozen=True)
class Pictures:
    """Pictures of the authors' repository, a prompt, and the scores they print for them.

    ``tolerance`` is ours: the last digit printed, and what other versions of the libraries that resize pictures change.
    """

    scorer: str
    prompt: str
    files: tuple[str, ...]
    scores: tuple[float, ...]
    tolerance: float
    source: str


PUBLISHED = (
    Pictures(
        "imagereward",
        "a painting of an ocean with clouds and birds, day time, low depth field effect",
        ("1.webp", "2.webp", "3.webp", "4.webp"),
        (0.5812, 0.2745, -1.4132, -2.0296),
        0.01,
        "THUDM/ImageReward, README, assets/images",
    ),
    Pictures("hps_v2.1", "cat with horn", ("demo_image.jpg",), (0.288,), 0.005, "tgxs002/HPSv2, README, assets"),
)


WEIGHTS = {  # on the hub, by the scorer's name: a file that is there if the rest is
    "aesthetic_v2": (hub.CLIP, "model.safetensors"),
    "clip": (hub.CLIP, "model.safetensors"),
    "hps_v2": ("xswu/HPSv2", "HPS_v2_compressed.pt"),
    "hps_v2.1": ("xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    "imagereward": ("THUDM/ImageReward", "ImageReward.pt"),
    "pickscore": ("yuvalkirstain/PickScore_v1", "model.safetensors"),
}


def here(name: str) -> Path | None:
    """Return the folder of a scorer's weights, if they were downloaded here before; nothing is downloaded."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(*WEIGHTS[name])
    return Path(found).parent if isinstance(found, str) else None


def there() -> tuple[str, ...]:
    """Return the names of the scorers whose weights were downloaded here before."""
    return tuple(name for name in WEIGHTS if here(name))


@dataclass(frozen=True)
class Check:
    """Published scores beside those found; ``source`` says where they stand. None found: the pictures were not given."""

    source: str
    expected: tuple[float, ...]
    found: tuple[float, ...] | None
    passed: bool | None

    @classmethod
    def of(cls, source: str, expected: tuple[float, ...], found: tuple[float, ...] | None, tolerance: float) -> Check:
        """Return a check; it is passed where all are equal within the tolerance."""
        passed = None if found is None else bool(np.abs(np.subtract(found, expected)).max() <= tolerance)
        return cls(source, expected, found, passed)


def checks(scorer: Scorer, pictures: Path | None, ctx: Context) -> Iterator[Check]:
    """Yield what is published of a scorer beside what it gives. ``pictures`` has the authors' pictures, in it or below."""
    if isinstance(scorer, Aesthetic):
        yield aesthetic(scorer)
    for known in PUBLISHED:
        if known.scorer == scorer.name:
            places = [next(iter(sorted(pictures.rglob(name))), None) for name in known.files] if pictures else []
            given = [place for place in places if place]
            found = tuple(float(_score(scorer, place, known.prompt, ctx)) for place in given) if len(given) == len(known.files) else None
            yield Check.of(known.source, known.scores, found, known.tolerance)


def aesthetic(scorer: Aesthetic) -> Check:
    """Return what the scorer's head gives to the vectors that LAION published for the ratings 0 to 9, beside what the head of v2 gives."""
    weight, bias = head(scorer.head)
    with (
        as_file(files("germline.scorers") / "embedded" / "laion_rating_embeddings.npz") as path,
        np.load(path, allow_pickle=False) as given,
    ):
        vectors = given["embeddings"].astype(np.float64)
    same = vectors.shape[1] == len(weight)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = tuple(float(value) for value in unit @ weight + bias) if same else None
    return Check.of("sac+logos+ava1-l14-linearMSE on LAION-AI/aesthetic-predictor, ratings 0 to 9", RATINGS, found, 1e-3)


def _score(scorer: Scorer, place: Path, prompt: str, ctx: Context) -> float:
    with Image.open(place) as picture:
        image = np.asarray(picture.convert("RGB"))
    return float(scorer(Pool.of(image[None], np.array([prompt])), ctx)[0])
