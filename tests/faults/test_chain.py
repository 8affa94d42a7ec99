"""Bad disks, wrong folders, second processes: nothing is lost, and the message says what to do."""

import errno
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest

import germline.core.atomic
from conftest import gaussian_recipe, gaussian_splits
from germline.chain import FILES, Chain, fork, link
from germline.core.errors import Corrupt, GermlineError, RunConflict
from germline.core.pool import Pool
from germline.loop import Loop
from germline.measure import measure
from germline.metrics import RealShare
from germline.mixers import Accumulate, RealOnly
from germline.samplers.gaussian import DrawGaussian


@dataclass(frozen=True)
class Always:
    rows: tuple[float, ...]
    dtype: str

    def __call__(self, pool: Pool, ctx) -> np.ndarray:
        return np.array(self.rows, self.dtype)


class Short(DrawGaussian):
    def __call__(self, model, rows, ctx):
        return super().__call__(model, rows[:-1], ctx)


def test_every_flipped_byte_is_named(tmp_path, tiny):
    loop = Loop.at(tmp_path / "source", gaussian_recipe(20), tiny)
    list(loop.run(1))
    fork(tmp_path / "source", tmp_path / "run", 1)
    loop = Loop.at(tmp_path / "run", gaussian_recipe(20, Accumulate()), tiny)
    for generation in loop.run(2):
        measure(generation, tiny, [RealShare()])
    files = [path for path in sorted((tmp_path / "run").rglob("*")) if path.is_file() and path.name != ".lock"]
    kinds = {path.name for path in files}
    assert {"config.json", "fork.json", "choice.parquet", "model.safetensors", "samples.npy", "samples.parquet"} <= kinds
    assert {"record.json", "metrics.json", "timing.jsonl"} <= kinds
    assert sorted(loop.chain.check()) == files
    for path in files:
        whole = path.read_bytes()
        for at in np.unique(np.linspace(0, len(whole) - 1, 7).astype(int)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            with pytest.raises(Corrupt, match=path.name):
                loop.chain.check()
        path.write_bytes(whole)
    loop.chain.check()


@pytest.mark.parametrize("name", ["choice.parquet", "model.safetensors", "samples.npy", "samples.parquet", "record.json"])
def test_a_missing_file_is_named(finished, name):
    (finished.chain.path / "gen_001" / name).unlink()
    with pytest.raises(Corrupt, match=f"gen_001/{name}"):
        finished.chain.check()


def test_a_damaged_run_does_not_go_on(finished, tiny):
    path = finished.chain.path / "gen_000" / "samples.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(Corrupt, match="samples.npy"):
        Loop.at(finished.chain.path, gaussian_recipe(20), tiny)


def test_a_second_process_is_refused(tmp_path, tiny):
    first = Loop.at(tmp_path / "run", gaussian_recipe(20), tiny).run(2)
    next(first)
    with pytest.raises(RunConflict, match="Another process"):
        Loop.at(tmp_path / "run", gaussian_recipe(20), tiny)
    first.close()
    list(Loop.at(tmp_path / "run", gaussian_recipe(20), tiny).run(2))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": gaussian_recipe(20, RealOnly())}, "parts.mixer"),
        ({"recipe": gaussian_recipe(21)}, "parts.sampler.n: 20 there, 21 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"data": gaussian_splits(20, 4, seed=9)}, "data"),
    ],
    ids=["mixer", "size", "seed", "data"],
)
def test_another_run_in_the_folder_is_refused(finished, tiny, change, says):
    with pytest.raises(RunConflict, match=says):
        Loop.at(finished.chain.path, **{"recipe": gaussian_recipe(20), "data": tiny, **change})


def test_other_versions_are_refused_unless_accepted_and_then_noted(finished, tiny, monkeypatch):
    monkeypatch.setattr("germline.loop.LIBRARIES", ("torch",))
    with pytest.raises(RunConflict, match="accept-drift"):
        Loop.at(finished.chain.path, gaussian_recipe(20), tiny)
    Loop.at(finished.chain.path, gaussian_recipe(20), tiny, accept_drift=True)
    assert (finished.chain.path / "drift.json").exists()
    finished.chain.check()


def test_full_disk_is_one_clear_error_and_the_run_resumes(tmp_path, tiny, monkeypatch):
    calm = [g.digest for g in Loop.at(tmp_path / "calm", gaussian_recipe(20), tiny).run(2)]
    calls = iter(range(100))

    def full(path):
        if next(calls) == 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    loop = Loop.at(tmp_path / "run", gaussian_recipe(20), tiny)
    monkeypatch.setattr(germline.core.atomic, "flush", full)
    with pytest.raises(GermlineError, match="No space left on device. Free the disk"):
        list(loop.run(2))
    monkeypatch.undo()
    assert [g.digest for g in Loop.at(tmp_path / "run", gaussian_recipe(20), tiny).run(2)] == calm


def test_read_only_folder_is_one_clear_error(tmp_path, tiny, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", denied)  # root may write anywhere, so the refusal is planted
    with pytest.raises(GermlineError, match="Permission denied. Fix its permissions"):
        Loop.at(tmp_path / "run", gaussian_recipe(20), tiny)


def test_raising_the_number_of_generations_goes_on(tmp_path, tiny):
    list(Loop.at(tmp_path / "run", gaussian_recipe(20), tiny).run(1))
    *_, last = Loop.at(tmp_path / "run", gaussian_recipe(20), tiny).run(3)
    *_, whole = Loop.at(tmp_path / "whole", gaussian_recipe(20), tiny).run(3)
    assert last.digest == whole.digest


def test_row_i_does_not_depend_on_how_many_are_drawn(tmp_path, tiny):
    few, many = (next(Loop.at(tmp_path / str(n), gaussian_recipe(n), tiny).run(0)) for n in (20, 700))
    assert (few.samples.images[:] == many.samples.images[:20]).all()


def test_forks_are_whole_and_share_generation_0(finished, tiny, tmp_path):
    fork(finished.chain.path, tmp_path / "fork", 1)
    *_, last = Loop.at(tmp_path / "fork", gaussian_recipe(20, RealOnly()), tiny).run(2)
    assert Chain(tmp_path / "fork")[1].digest == finished.chain[1].digest
    assert last.digest != finished.chain[2].digest
    with pytest.raises(RunConflict, match="holds a run already"):
        fork(finished.chain.path, tmp_path / "fork", 0)
    with pytest.raises(RunConflict, match="generations 0 to 2"):
        fork(finished.chain.path, tmp_path / "other", 7)


@pytest.mark.parametrize("linked", range(5))
def test_a_founder_shared_only_in_part_is_completed_to_the_same_bytes(finished, tiny, tmp_path, linked):
    for name in FILES[:linked]:
        link(finished.chain.path / "gen_000" / name, tmp_path / "arm" / "gen_000" / name)
    *_, last = Loop.at(tmp_path / "arm", gaussian_recipe(20), tiny).run(0)
    assert last.digest == finished.chain[0].digest


def test_provenance_reaches_back_through_every_generation(tmp_path, tiny):
    *_, last = Loop.at(tmp_path / "run", gaussian_recipe(20, Accumulate()), tiny).run(2)
    training = last.training(tiny)
    assert np.unique(training.generation).tolist() == [-1, 0, 1]
    assert (training.images[20:40] == Chain(tmp_path / "run")[0].samples.images[:]).all()


def test_a_sampler_that_makes_too_few_rows_is_named(tmp_path, tiny):
    recipe = replace(gaussian_recipe(20), sampler=Short(20))
    with pytest.raises(GermlineError, match="Short must return one sample for each of 20 rows, but returned 19"):
        list(Loop.at(tmp_path / "run", recipe, tiny).run(0))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.array([0, 0]), "chose some row twice"),
        (np.array([0, 99]), "must return rows 0..19, but returned 0..99"),
        (np.array([0.5]), "must return row numbers"),
        (np.array([], np.int64), "chose no row"),
    ],
)
def test_a_bad_selector_is_named(tmp_path, tiny, rows, says):
    recipe = gaussian_recipe(20, selector=Always(tuple(rows.tolist()), rows.dtype.str))
    with pytest.raises(GermlineError, match=f"Always {says}"):
        list(Loop.at(tmp_path / "run", recipe, tiny).run(1))
