"""Arms side by side: one generation 0, failures that stop nobody else, and the same bytes as alone."""

from dataclasses import dataclass, replace
from functools import partial

import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.chain import Chain
from germline.core.errors import BadInput
from germline.loop import Loop
from germline.metrics import RealShare
from germline.mixers import Accumulate, RealOnly
from germline.samplers.gaussian import DrawGaussian
from germline.study import Arm, run_arms

N = 20
load = partial(gaussian_splits, N, 4)


@dataclass(frozen=True)
class Broken:
    def __call__(self, ctx):
        raise BadInput("Broken has nothing to offer.")


def arms(folder):
    recipes = {
        "replace": gaussian_recipe(N),
        "accumulate": gaussian_recipe(N, Accumulate()),
        "wide": replace(gaussian_recipe(N), sampler=DrawGaussian(2 * N)),
        "broken": gaussian_recipe(N, Broken()),
    }
    return [Arm(folder / name, recipe, 0, {"study": "none"}) for name, recipe in recipes.items()]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, run_arms(arms(folder), load, [RealShare()], 2)


def test_a_failed_arm_is_reported_and_the_others_are_finished(study):
    folder, failed = study
    assert failed == {"broken": "Broken has nothing to offer."}
    assert [len(Chain(folder / name)) for name in ("replace", "accumulate", "wide", "broken")] == [3, 3, 3, 1]


def test_arms_share_generation_0_and_its_samples_where_samplers_are_equal(study):
    folder, _ = study
    first = {name: Chain(folder / name)[0] for name in ("replace", "accumulate", "wide")}
    assert first["replace"].digest == first["accumulate"].digest
    assert first["wide"].file_digest("model.safetensors") == first["replace"].file_digest("model.safetensors")
    assert (first["wide"].samples.images[:N] == first["replace"].samples.images[:]).all()


def test_an_arm_is_the_same_alone(study, tmp_path):
    folder, _ = study
    *_, alone = Loop.at(tmp_path / "alone", gaussian_recipe(N, Accumulate()), load()).run(2)
    assert alone.digest == Chain(folder / "accumulate")[2].digest


def test_running_again_goes_on_and_mends_what_failed(study, tmp_path):
    folder, _ = study
    mended = [replace(arm, recipe=gaussian_recipe(N, RealOnly())) if arm.path.name == "broken" else arm for arm in arms(tmp_path)]
    assert run_arms(mended, load, [RealShare()], 1) == {}
    assert run_arms(mended, load, [RealShare()], 2) == {}
    assert Chain(tmp_path / "replace")[2].digest == Chain(folder / "replace")[2].digest
