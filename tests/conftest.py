import numpy as np
import pytest

from germline.core.recipe import Recipe
from germline.core.splits import Splits, split
from germline.loop import Loop
from germline.mixers import Replace
from germline.samplers.gaussian import DrawGaussian
from germline.trainers.gaussian import FitGaussian


def gaussian_splits(n: int, side: int, reserve: int = 0, sd: float = 25.0, seed: int = 0) -> Splits:
    """Grey images whose pixels are independent N(127.5, sd^2): every pixel is a scalar chain of its own."""
    x = np.random.default_rng(seed).normal(127.5, sd, (2 * n + reserve + n, side, side, 1))
    images = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    sizes = {"real": n, "reserve": reserve, "judge": n, "held_out": n}
    return split("gaussian", images, np.arange(len(images)) % 2, ("a", "b"), sizes)


def gaussian_recipe(n: int, mixer=None, **parts) -> Recipe:
    return Recipe(founder=FitGaussian(), mixer=mixer or Replace(), trainer=FitGaussian(), sampler=DrawGaussian(n), **parts)


@pytest.fixture
def tiny() -> Splits:
    return gaussian_splits(20, 4)


@pytest.fixture
def finished(tmp_path, tiny):
    """A finished run of three generations."""
    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), tiny)
    list(loop.run(2))
    return loop
