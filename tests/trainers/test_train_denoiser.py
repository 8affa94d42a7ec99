"""The trainer: an interruption leaves no trace, the budget and the weights mean what they say, and it learns digits."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from germline.core.context import Context, Execution
from germline.core.errors import BadInput, GermlineError
from germline.core.splits import split
from germline.diffusion.denoiser import EDM
from germline.diffusion.precision import resolve
from germline.samplers import Denoised
from germline.trainers import TrainDenoiser, training
from germline.trainers.batches import batch_of, rows_of

SMALL = TrainDenoiser(images=100, batch=16, channels=(8, 16))


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return split("digits", images, bunch.target, tuple("0123456789"), {"real": 1_000, "reserve": 0, "judge": 600, "held_out": 100})


@pytest.fixture
def ctx(digits, tmp_path):
    return Context(0, 0, digits, scratch=tmp_path / "scratch")


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class Killed(Exception):
    pass


def killer(after):
    """Progress that kills the process, so to say, once ``after`` images are seen."""

    @contextmanager
    def progress(what, total):
        seen = 0

        def advance(more):
            nonlocal seen
            seen += more
            if seen >= after:
                raise Killed

        yield advance

    return progress


@pytest.mark.parametrize("precision", sorted({"fp32", resolve("auto")}))
@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
@pytest.mark.parametrize("after", [16, 48, 96])
def test_killed_and_resumed_is_the_same_to_the_bit(ctx, monkeypatch, precision, optimiser, after):
    trainer, ctx = replace(SMALL, optimiser=optimiser), replace(ctx, execution=Execution(precision))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 1e9)  # however busy the machine is
    whole = trainer.arrays(trainer(ctx.data.real, None, ctx))
    assert not (ctx.scratch / training.CHECKPOINT).exists()
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        trainer(ctx.data.real, None, replace(ctx, progress=killer(after)))
    assert (ctx.scratch / training.CHECKPOINT).exists()
    seen = []
    resumed = trainer(ctx.data.real, None, replace(ctx, progress=counting(seen)))
    assert equal(trainer.arrays(resumed), whole)
    assert seen[0] >= after
    assert sum(seen) == trainer.images


def counting(seen):
    @contextmanager
    def progress(what, total):
        yield seen.append

    return progress


def test_a_checkpoint_of_another_training_is_not_taken_up(ctx, monkeypatch):
    other = replace(ctx, seed=1, scratch=ctx.scratch / "other")
    whole = SMALL.arrays(SMALL(ctx.data.real, None, other))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        SMALL(ctx.data.real, None, replace(ctx, progress=killer(48)))
    assert equal(SMALL.arrays(SMALL(ctx.data.real, None, replace(other, scratch=ctx.scratch))), whole)


def test_models_survive_their_arrays(ctx):
    model = SMALL(ctx.data.real, None, ctx)
    arrays = SMALL.arrays(model)
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}
    again = SMALL.restore(arrays)
    assert equal(SMALL.arrays(again), arrays)
    sampler = Denoised(n=20, steps=3)
    assert np.array_equal(sampler(again, range(20), ctx).images[:], sampler(model, range(20), ctx).images[:])


def test_every_row_is_seen_once_a_pass():
    order = lambda p: np.random.default_rng(p).permutation(10)
    places = [rows_of(range(start, start + 4), 10, order) for start in range(0, 40, 4)]
    passes = np.concatenate(places).reshape(4, 10)
    assert (np.sort(passes, axis=1) == np.arange(10)).all()
    assert not (passes[0] == passes[1]).all()
    assert sorted(rows_of(range(0, 25), 10, order)[:20]) == sorted(list(range(10)) * 2), "a batch larger than the pool"


def test_a_batch_is_a_function_of_its_step(ctx):
    args = (0.5, True, ctx)
    one, again = (batch_of(ctx.data.real, range(64, 128), 1, EDM(), *args) for _ in range(2))
    assert torch.equal(one.eps, again.eps)
    assert torch.equal(one.x0, again.x0)
    other = batch_of(ctx.data.real, range(64, 128), 2, EDM(), *args)
    assert not torch.equal(one.sigma, other.sigma)
    dropped = (one.condition == 10).float().mean().item()
    assert 0.25 < dropped < 0.75
    assert (one.condition[one.condition < 10].numpy() == ctx.data.real.condition[one.rows][one.condition.numpy() < 10]).all()


def test_flipping_mirrors_about_half_the_rows(ctx):
    plain, flipped = (batch_of(ctx.data.real, range(400), 0, EDM(), 0.0, flip, ctx).x0 for flip in (False, True))
    mirrored = torch.tensor([torch.equal(a.flip(2), b) for a, b in zip(plain, flipped, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(plain, flipped, strict=True)])
    assert (mirrored | same).all()
    assert 0.4 < mirrored.float().mean() < 0.6


def test_rows_of_minus_infinity_are_as_if_not_there(ctx):
    real = ctx.data.real
    keep = np.arange(len(real)) % 3 == 0
    weighed = real.weighed(np.where(keep, 0.0, -np.inf))
    assert equal(SMALL.arrays(SMALL(weighed, None, ctx)), SMALL.arrays(SMALL(real.take(keep), None, ctx)))
    assert equal(SMALL.arrays(SMALL(real.weighed(np.full(len(real), -300.0)), None, ctx)), SMALL.arrays(SMALL(real, None, ctx)))


def test_later_generations_start_where_they_are_told(ctx, monkeypatch):
    first = SMALL(ctx.data.real, None, ctx)
    later = replace(ctx, generation=2)
    monkeypatch.setattr(Context, "model", lambda self, number: first)
    untouched = SMALL.arrays(first)
    untouched = {name: value.copy() for name, value in untouched.items()}
    step = replace(SMALL, images=1, batch=1, learning_rate=1e-12, ema=1 - 1e-9)
    for start, near in (("sequential", True), ("base", True), ("scratch", False)):
        trainer = replace(step, start=start)
        previous = first if start == "sequential" else SMALL(ctx.data.real, None, replace(ctx, seed=9))
        got = trainer.arrays(trainer(ctx.data.real, previous, later))
        assert all(np.allclose(got[name], untouched[name], atol=1e-6) for name in got) == near, start
    assert equal(SMALL.arrays(first), untouched), "training changed the model it started from"


def test_later_generations_take_half_the_rate(ctx):
    """One AdamW step moves every weight by the rate, from equal weights and equal draws."""
    trainer = TrainDenoiser(images=16, batch=16, channels=(8, 16), optimiser="adamw", learning_rate=1e-3, start="sequential", ema=0.0)
    begun = trainer._begin(None, "fp32", ctx).model
    start = {name: value.copy() for name, value in trainer.arrays(begun).items()}
    moved = lambda model: np.abs(trainer.arrays(model)["raw.last.weight"] - start["raw.last.weight"]).max()
    assert moved(trainer(ctx.data.real, None, ctx)) == pytest.approx(1e-3, rel=0.01)
    assert moved(trainer(ctx.data.real, begun, ctx)) == pytest.approx(5e-4, rel=0.01)


def test_errors_say_what_to_do(ctx):
    real = ctx.data.real
    with pytest.raises(BadInput, match="batch must be at least 1, but is 0"):
        TrainDenoiser(batch=0)
    with pytest.raises(BadInput, match="no row with a finite log-weight"):
        SMALL(real.weighed(np.full(len(real), -np.inf)), None, ctx)
    with pytest.raises(BadInput, match="classes from 0 to 9"):
        SMALL(replace(real, condition=np.array(["a cat"] * len(real))), None, ctx)
    with pytest.raises(BadInput, match="objective edm, but was given objective Flow"):
        replace(SMALL, start="sequential", objective="edm")(real, SMALL(real, None, ctx), ctx)
    with pytest.raises(GermlineError, match=r"the loss is (nan|inf) at step \d+ of 7. Use a lower learning_rate"):
        replace(SMALL, optimiser="adamw", learning_rate=1e30)(real, None, ctx)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["flow", "edm"])
def test_it_learns_digits(ctx, objective):
    trainer = TrainDenoiser(images=25_600, channels=(32, 64), objective=objective)
    model = trainer(ctx.data.real, None, ctx)
    made = Denoised(n=300, guidance_scale=1.0)(model, range(300), ctx)
    judge = ctx.data.judge
    svm = SVC().fit(judge.images[:].reshape(len(judge), -1), judge.condition)
    agreement = (svm.predict(made.images[:].reshape(300, -1)) == made.condition).mean()
    assert agreement > 0.7
