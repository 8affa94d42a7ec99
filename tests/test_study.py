"""Arms side by side: one generation 0 a seed, failures and kills that stop nobody else, and the same bytes as alone."""

import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from functools import partial

import pytest

from conftest import gaussian_recipe, gaussian_splits
from germline.chain import Chain
from germline.core import machine
from germline.core.board import Whole
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.loop import Loop
from germline.measure import measured
from germline.metrics import LatentStatistics, RealShare, Saturation
from germline.mixers import Accumulate
from germline.samplers.gaussian import DrawGaussian
from germline.study import FIXED, PER_BYTE, Arm, at_once, memory_of, place, run_arms
from germline.trainers.gaussian import FitGaussian

N = 20
load = partial(gaussian_splits, N, 4)


def pause_once(ctx) -> None:
    """Wait to be killed, if the study's folder says so: the first to come takes the word away and leaves its process number."""
    folder = ctx.scratch.parents[2]
    if (folder / "pause").exists():
        (folder / "pause").write_text(str(os.getpid()))
        os.rename(folder / "pause", folder / "pid")
        signal.pause()


@dataclass(frozen=True)
class Broken:
    def __call__(self, ctx):
        raise BadInput("Broken has nothing to offer.")


@dataclass(frozen=True)
class Flaky:
    """Fails for as long as the study's folder says so."""

    def __call__(self, ctx) -> Pool:
        if (ctx.scratch.parents[2] / "fail").exists():
            raise BadInput("Flaky has nothing to offer yet.")
        return Accumulate()(ctx)


@dataclass(frozen=True)
class Bug:
    def __call__(self, ctx):
        return [][ctx.generation]


@dataclass(frozen=True)
class Pausing:
    def __call__(self, ctx) -> Pool:
        pause_once(ctx)
        return Accumulate()(ctx)


@dataclass(frozen=True)
class PausingFounder(FitGaussian):
    def __call__(self, data, previous, ctx):
        pause_once(ctx)
        return FitGaussian()(data, previous, ctx)


def arms(folder, seed=0):
    recipes = {
        "replace": gaussian_recipe(N),
        "accumulate": gaussian_recipe(N, Accumulate()),
        "wide": replace(gaussian_recipe(N), sampler=DrawGaussian(2 * N)),
        "broken": gaussian_recipe(N, Broken()),
    }
    return [Arm(folder / name, recipe, seed, {"study": "none"}) for name, recipe in recipes.items()]


def killing(folder, run):
    """Return what ``run`` returns, whose first process to pause is killed from outside."""
    (folder / "pause").touch()
    killed = []

    def kill():
        for _ in range(6_000):
            if (folder / "pid").exists():
                os.kill(int((folder / "pid").read_text()), signal.SIGKILL)
                killed.append(True)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    out = run()
    thread.join()
    assert killed
    return out


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    both = [*arms(folder), Arm(folder / "bug", gaussian_recipe(N, Bug()), 0, {})]
    other = [replace(arm, path=folder / f"{arm.path.name}-1", seed=1) for arm in arms(folder)[:2]]
    return folder, run_arms([*both, *other], load, [RealShare()], 2)


def test_failed_arms_are_reported_and_the_others_are_finished(study):
    folder, failed = study
    assert failed["broken"] == "Broken has nothing to offer."
    assert failed["bug"].startswith("IndexError: list index out of range (test_study.py, line ")
    assert set(failed) == {"broken", "bug"}
    assert [len(Chain(folder / name)) for name in ("replace", "accumulate", "wide", "broken")] == [3, 3, 3, 1]


def test_arms_share_generation_0_and_its_samples_where_samplers_are_equal(study):
    folder, _ = study
    first = {name: Chain(folder / name)[0] for name in ("replace", "accumulate", "wide")}
    assert first["replace"].digest == first["accumulate"].digest
    assert first["wide"].file_digest("model.safetensors") == first["replace"].file_digest("model.safetensors")
    assert (first["wide"].samples.images[:N] == first["replace"].samples.images[:]).all()


def test_each_seed_has_its_own_generation_0_shared_by_its_arms(study):
    folder, _ = study
    model = {name: folder / name / "gen_000" / "samples.npy" for name in ("replace", "accumulate", "replace-1", "accumulate-1")}
    assert model["replace-1"].samefile(model["accumulate-1"])
    assert model["replace"].samefile(model["accumulate"])
    assert Chain(folder / "replace")[0].digest != Chain(folder / "replace-1")[0].digest


def test_an_arm_is_the_same_alone(study, tmp_path):
    folder, _ = study
    *_, alone = Loop.at(tmp_path / "alone", gaussian_recipe(N, Accumulate()), load()).run(2)
    assert alone.digest == Chain(folder / "accumulate")[2].digest


def test_an_arm_is_measured_by_its_own_metrics_too(tmp_path):
    arm = Arm(tmp_path / "one", gaussian_recipe(N), 0, {}, (Saturation(),))
    assert run_arms([arm], load, [LatentStatistics()], 0) == {}
    names = {value.name for value in measured(Chain(tmp_path / "one")[0])}
    assert {"saturation", "std"} <= names


def test_running_again_goes_on_and_mends_what_failed(study, tmp_path):
    folder, _ = study
    some = [arms(tmp_path)[0], Arm(tmp_path / "flaky", gaussian_recipe(N, Flaky()), 0, {})]
    (tmp_path / "fail").touch()
    assert run_arms(some, load, [RealShare()], 1) == {"flaky": "Flaky has nothing to offer yet."}
    (tmp_path / "fail").unlink()
    assert run_arms(some, load, [RealShare()], 2) == {}
    assert Chain(tmp_path / "replace")[2].digest == Chain(folder / "replace")[2].digest
    *_, calm = Loop.at(tmp_path / "calm", gaussian_recipe(N, Flaky()), load()).run(2)
    assert calm.digest == Chain(tmp_path / "flaky")[2].digest


def test_a_killed_arm_stops_nobody_and_running_again_gives_equal_bytes(tmp_path):
    some = [Arm(tmp_path / "killed", gaussian_recipe(N, Pausing()), 0, {}), *arms(tmp_path)[:2]]
    failed = killing(tmp_path, partial(run_arms, some, load, [RealShare()], 2, 2))
    assert list(failed) == ["killed"]
    assert "killed by SIGKILL" in failed["killed"]
    assert [len(Chain(arm.path)) for arm in some] == [1, 3, 3]
    assert run_arms(some, load, [RealShare()], 2) == {}
    *_, calm = Loop.at(tmp_path / "calm", gaussian_recipe(N, Pausing()), load()).run(2)
    assert calm.digest == Chain(tmp_path / "killed")[2].digest


def test_where_the_founder_is_killed_the_next_arm_makes_generation_0(tmp_path):
    some = [replace(arm, recipe=replace(arm.recipe, founder=PausingFounder())) for arm in arms(tmp_path)[:3]]
    failed = killing(tmp_path, partial(run_arms, some, load, [], 1, 2))
    assert list(failed) == ["replace"]
    assert [len(Chain(arm.path)) for arm in some] == [0, 2, 2]
    assert run_arms(some, load, [], 1) == {}
    assert Chain(tmp_path / "replace")[0].digest == Chain(tmp_path / "accumulate")[0].digest


def test_more_seeds_later_keep_the_run_that_is_there(tmp_path):
    assert place(tmp_path, "replace", 0, 1) == tmp_path / "replace"
    assert place(tmp_path, "replace", 0, 3) == tmp_path / "replace-seed0"
    list(Loop.at(tmp_path / "replace", gaussian_recipe(N), load()).run(0))
    assert place(tmp_path, "replace", 0, 3) == tmp_path / "replace"
    assert place(tmp_path, "replace", 1, 3) == tmp_path / "replace-seed1"
    list(Loop.at(tmp_path / "wide-seed0", gaussian_recipe(N), load()).run(0))
    assert place(tmp_path, "wide", 0, 1) == tmp_path / "wide-seed0"


def test_memory_bounds_the_number_of_processes(monkeypatch):
    data = load()
    each = memory_of(data)
    assert each == FIXED + PER_BYTE * 3 * N * 16  # real, judge and held-out rows of 4 x 4 bytes
    monkeypatch.setattr(machine, "cores", lambda: 8)
    for free, processes in ((each * 3 + 1, 3), (each * 100, 8), (each // 2, 1)):
        monkeypatch.setattr(machine, "free_memory", lambda free=free: free)
        assert at_once(each) == processes


def test_free_memory_is_the_least_of_the_kernels_and_the_containers(tmp_path, monkeypatch):
    meminfo, limit, used = tmp_path / "meminfo", tmp_path / "max", tmp_path / "current"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(machine, "MEMINFO", meminfo)
    monkeypatch.setattr(machine, "CGROUPS", ((limit, used),))
    assert machine.free_memory() == 5000 * 1024
    used.write_text("1000")
    limit.write_text("max\n")
    assert machine.free_memory() == 5000 * 1024
    limit.write_text("3000\n")
    assert machine.free_memory() == 2000
    meminfo.unlink()
    limit.unlink()
    assert machine.free_memory() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def test_the_time_left_counts_only_what_was_made_now():
    whole = Whole(4, 100.0, now=0.0)
    whole.step(40.0, found=True)
    assert whole.seconds(5.0) is None
    whole.step(20.0, found=False)
    assert whole.seconds(10.0) == pytest.approx(10 * 40 / 20)
    whole.leave(1, 30.0)
    assert whole.seconds(10.0) == pytest.approx(10 * 10 / 20)
    assert whole.text(10.0) == "whole: 2/3 generations, 86%, eta 5 s"
