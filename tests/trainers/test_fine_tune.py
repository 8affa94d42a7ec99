"""The base and its fine-tuning: what it starts from, what it may see, what a dropped row is, and that a kill leaves no trace."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from test_train_denoiser import Killed, counting, equal, killer

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.protocols import Trainer
from germline.core.recipe import Recipe
from germline.data import toy_digits
from germline.diffusion.denoiser import EDM
from germline.estimate import PROBE_STEPS, estimate, rates
from germline.mixers import Replace
from germline.plan import plan
from germline.samplers import Denoised
from germline.study import Arm
from germline.trainers import Base, FineTune, Kept, base, training
from germline.trainers.style import Style, Styled, blurred

BASE = Base("mlp", objective=EDM(0.75, -0.6, 1.4), images=320, batch=32, optimiser="adamw", learning_rate=1e-3, ema=0.0, draws=100)
LOW_RANK = FineTune(BASE, images=160, batch=16, rank=4, learning_rate=2e-3, decay="cosine")
WHOLE = FineTune(replace(BASE, network="unet", channels=(8, 16), optimiser="muon", learning_rate=None, ema=0.9), images=160, batch=16)
DATA = toy_digits()


@pytest.fixture
def ctx(tmp_path):
    return Context(0, 0, DATA, cache=Cache(tmp_path / ".cache"), scratch=tmp_path / "scratch")


def test_the_base_sees_styled_rows_of_reserve_and_judge_and_of_nothing_else(ctx, monkeypatch):
    seen = []
    monkeypatch.setattr(base.Training, "run", lambda self, data, budget, ctx, what: seen.append((data, budget)))
    BASE.model(ctx)
    ((data, budget),) = seen
    corpus = Pool.concat([DATA.reserve, DATA.judge])
    assert isinstance(data, Styled)
    assert len(data.pool) == 797
    assert (data.pool.origin == corpus.origin).all()
    assert (
        len({*map(tuple, data.pool.origin.tolist())} & {*map(tuple, DATA.real.origin.tolist()), *map(tuple, DATA.held_out.origin.tolist())})
        == 0
    )
    assert (data.condition == corpus.condition[:100]).all()
    assert (budget.images, budget.batch, budget.drop) == (320, 32, 0.1)


def test_one_base_for_all_seeds_and_generations_and_another_for_another_seed_of_its_own(ctx):
    made = BASE.model(ctx)
    for other in (replace(ctx, seed=1, cache=Cache(None)), replace(ctx, generation=3, seed=2, cache=Cache(None))):
        assert BASE.model(other).base == made.base
    assert replace(BASE, seed=1).model(ctx).base != made.base
    assert made.base == BASE.model(ctx).base != "", "read back from the cache"


@pytest.mark.parametrize("trainer", [LOW_RANK, WHOLE, replace(WHOLE, ema=0.0)], ids=["low rank", "all, ema", "all"])
@pytest.mark.parametrize("after", [16, 96])
def test_fine_tuning_killed_and_resumed_is_the_same_to_the_bit(ctx, monkeypatch, trainer, after):
    later = replace(ctx, generation=2)
    whole = trainer.arrays(trainer(DATA.real, None, later))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        trainer(DATA.real, None, replace(later, progress=killer(after)))
    seen = []
    resumed = trainer.arrays(trainer(DATA.real, None, replace(later, progress=counting(seen))))
    assert equal(resumed, whole)
    assert seen[0] >= after


def test_a_base_killed_in_one_run_is_finished_by_another(ctx, monkeypatch, tmp_path):
    calm = BASE.model(replace(ctx, cache=Cache(tmp_path / "calm")))
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(Killed):
        BASE.model(replace(ctx, progress=killer(160)))
    assert list((tmp_path / ".cache").rglob("*.unfinished"))
    seen = []
    other = replace(ctx, seed=5, cache=Cache(tmp_path / ".cache"), scratch=tmp_path / "other", progress=counting(seen))
    assert BASE.model(other).base == calm.base
    assert seen[0] >= 160
    assert not list((tmp_path / ".cache").rglob("*.unfinished")), "swept when the base is there"


def test_every_generation_starts_from_the_base_unless_sequential(ctx):
    """The weights in force before the first step, as a network of one image tells them."""
    made = BASE.model(ctx)
    args = torch.ones(1, 1, 8, 8), torch.zeros(1), torch.tensor([3])
    outputs = lambda trainer, previous, ctx: trainer._begin(previous, "fp32", ctx).model.network(*args)
    first = LOW_RANK(DATA.real, None, ctx)
    for generation in (0, 1, 5):
        here = replace(ctx, generation=generation, seed=generation)
        assert torch.equal(outputs(LOW_RANK, first, here), made.network(*args))
    assert not torch.equal(first.network(*args), made.network(*args))
    going_on = replace(LOW_RANK, start="sequential")
    assert torch.equal(outputs(going_on, first, replace(ctx, generation=1)), first.network(*args))
    assert torch.equal(outputs(going_on, None, ctx), made.network(*args)), "generation 0 has nothing to go on from"
    before = {name: value.copy() for name, value in LOW_RANK.arrays(first).items()}
    going_on(DATA.real, first, replace(ctx, generation=1))
    assert equal(before, LOW_RANK.arrays(first)), "training changed the model it started from"
    assert equal(
        {n: v for n, v in before.items() if "frozen" in n}, {f"raw.frozen.{n}": v.numpy() for n, v in made.network.state_dict().items()}
    )


def test_a_model_carries_the_hash_of_its_base(ctx):
    for trainer in (LOW_RANK, WHOLE):
        arrays = trainer.arrays(trainer(DATA.real, None, ctx))
        assert arrays["base.sha256"].tobytes().hex() == trainer.base.model(ctx).base
        assert trainer.restore(arrays).base == trainer.base.model(ctx).base


def test_a_dropped_row_is_what_guidance_sets_against_a_class(ctx):
    """With p = 1 the columns of the classes get no gradient at all, and the null class of the sampler is the one that was trained."""
    tune = FineTune(BASE, images=160, batch=16, optimiser="adamw", ema=0.0)
    frozen = BASE.model(ctx).network.first.weight[:, -10:]
    none, half = (replace(tune, condition_drop=p)(DATA.real, None, ctx) for p in (1.0, 0.5))
    assert torch.equal(none.network.first.weight[:, -10:], frozen)
    assert not torch.equal(half.network.first.weight[:, -10:], frozen)
    assert none.null == 10
    x, sigma = torch.ones(1, 1, 8, 8), torch.ones(1)
    unconditional = none.denoiser()(x, sigma, torch.tensor([none.null]))
    assert not torch.equal(unconditional, BASE.model(ctx).denoiser()(x, sigma, torch.tensor([10])))


def test_rows_are_dropped_one_by_one_at_the_stated_rate(ctx, monkeypatch):
    rows = []
    drawn = training.batch_of
    monkeypatch.setattr(training, "batch_of", lambda *args: rows.append(drawn(*args)) or rows[-1])
    BASE.model(ctx)
    rows.clear()
    replace(LOW_RANK, images=3_200, batch=64, condition_drop=0.2)(DATA.real, None, ctx)
    share = np.array([(batch.condition == 10).float().mean() for batch in rows])
    assert share.mean() == pytest.approx(0.2, abs=0.02)
    assert 0.03 < share.std() < 0.07, "binomial over 64 rows: 0.05"
    for batch in rows:
        kept = batch.condition.numpy() < 10
        assert (batch.condition.numpy()[kept] == DATA.real.condition[batch.rows][kept]).all()


def test_estimates_count_the_base_and_do_not_train_it(monkeypatch):
    budgets = []
    run = training.Training.run
    monkeypatch.setattr(
        training.Training, "run", lambda self, data, budget, *rest: budgets.append(budget) or run(self, data, budget, *rest)
    )
    recipe = Recipe(LOW_RANK, Replace(), LOW_RANK, Denoised(20, steps=2))
    cost = estimate(recipe, DATA, 3)
    assert [budget.images for budget in budgets if budget.who == "Base"] == [1, PROBE_STEPS * BASE.batch]
    assert (cost.base_images, cost.images) == (BASE.images, BASE.images + 4 * LOW_RANK.images)
    found = rates(recipe, DATA)
    assert [base.images for base in found.bases.values()] == [BASE.images], "the founder's and the trainer's are one"
    assert all(base.seconds > 0 for base in found.bases.values())
    assert f"{BASE.images:,} of the images are the base's" in cost.text(3)


def test_a_plan_counts_the_base_once_for_all_arms_and_seeds(tmp_path):
    recipe = Recipe(LOW_RANK, Replace(), LOW_RANK, Denoised(20, steps=2))
    other = replace(recipe, trainer=replace(LOW_RANK, condition_drop=0.5))
    arms = [Arm(tmp_path / f"{name}-seed{seed}", one, seed, {}) for name, one in (("a", recipe), ("b", other)) for seed in (0, 1)]
    assert plan(arms, DATA, 3, 1).images == BASE.images + (2 + 4 * 3) * LOW_RANK.images, "and generation 0 once a seed"


def test_styles_are_drawn_as_stated():
    x = np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)).astype(np.float32)
    widths = np.linspace(0, 1.2, 400)
    expected = np.stack([gaussian_filter(image.astype(float), width, axes=(0, 1)) for image, width in zip(x, widths, strict=True)])
    np.testing.assert_allclose(blurred(x, widths), expected, atol=1e-6)
    ramp = np.broadcast_to(np.linspace(-1, 1, 8, dtype=np.float32)[:, None, None], (4_000, 8, 8, 1))
    drawn = Style(blur=0.0).of(ramp, np.random.default_rng(1))
    slope, middle = (drawn[:, -1, 0, 0] - drawn[:, 0, 0, 0]) / 2, (drawn[:, -1, 0, 0] + drawn[:, 0, 0, 0]) / 2
    assert (slope < 0).mean() == pytest.approx(0.5, abs=0.03)
    for values, low, high in ((abs(slope), 0.4, 1.0), (middle, -0.3, 0.3)):
        assert low - 1e-6 <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high + 1e-6
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.02)
    whole = Styled(DATA.judge, Style(), 1_000, 0).images
    assert whole.min() < 0, "not clipped"
    assert whole.max() > 255, "not clipped"
    assert (Styled(DATA.judge, Style(), 1_000, 0).images == whole).all()


def test_kept_returns_the_model_that_it_was_given(ctx):
    kept: Trainer = Kept(LOW_RANK)
    first = LOW_RANK(DATA.real, None, ctx)
    assert kept(DATA.real, first, replace(ctx, generation=1)) is first
    with pytest.raises(BadInput, match="generation 0 has none before it"):
        kept(DATA.real, None, ctx)


def test_errors_say_what_to_do(ctx):
    first = LOW_RANK(DATA.real, None, ctx)
    for other in (
        replace(LOW_RANK, start="sequential", rank=None, ema=0.0),
        replace(LOW_RANK, start="sequential", base=replace(BASE, seed=1)),
    ):
        with pytest.raises(
            BadInput, match=r"from the same base with the same kind of change, but was given one of base [0-9a-f]{12}; use start='base'"
        ):
            other(DATA.real, first, replace(ctx, generation=1))
    with pytest.raises(BadInput, match="condition_drop must be between 0 and 1, but is 1.5"):
        FineTune(condition_drop=1.5)
    with pytest.raises(BadInput, match="draws must be at least 1, but is 0"):
        Base(draws=0)
    nothing = replace(DATA, reserve=DATA.reserve.take([]), judge=DATA.judge.take([]))
    with pytest.raises(BadInput, match="toy-digits has 0 such rows and 10 classes"):
        BASE.model(replace(ctx, data=nothing))
    with pytest.raises(BadInput, match="FineTune was given no row with a finite log-weight"):
        LOW_RANK(DATA.real.weighed(np.full(300, -np.inf)), None, ctx)
