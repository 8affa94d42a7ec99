"""The judge on chains whose fate is known: built of real digits, as images only, and Gaussian chains that select."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from conftest import gaussian_recipe
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.splits import split
from germline.core.verdict import MEANING, Word
from germline.data import digits
from germline.features import Classifier, Pixels
from germline.judge import judge, steps_of
from germline.loop import Loop
from germline.mixers import Accumulate, Replace
from germline.readings import Reading, Step
from germline.report.verdicts import SYMBOLS
from germline.samplers.gaussian import DrawGaussian
from germline.selectors import Farthest
from germline.verdict import conclude, first, verdict

N, GENERATIONS = 290, 8
SPACE, TELLER = Classifier(images=16_000), Classifier(seed=1, images=16_000)


@pytest.fixture(scope="module")
def ctx():
    return Context(0, 0, digits(), cache=Cache(None))


def chain(ctx, alter, seed=100):
    """Steps of real rows that R does not hold, altered by ``alter(rng, images, asked, g)``."""
    rng, stock = np.random.default_rng(seed), Pool.concat([ctx.data.reserve, ctx.data.judge])
    steps = []
    for g in range(GENERATIONS):
        rows = stock.take(rng.permutation(len(stock))[:N])
        images, asked = alter(rng, rows.images[:], rows.condition.copy(), g)
        steps.append(Step(Pool.of(images, asked, g), ctx.data.real))
    return steps


def noisy(sd):
    def alter(rng, images, asked, g):
        return np.clip(np.rint(images + rng.normal(0, 1, images.shape) * sd(g)), 0, 255).astype(np.uint8), asked

    return alter


def lost_class(rng, images, asked, g):
    lost = np.flatnonzero((asked == 3) & (rng.random(N) < g / 5))
    images[lost] = images[rng.choice(np.flatnonzero(asked != 3), len(lost))]
    return images, asked


def memorising(rng, images, asked, g):
    real = digits().real
    rows, copies = rng.permutation(len(real))[:N], rng.random(N) < 0.09 * g
    near = np.clip(real.images[rows] + rng.choice([-2, 2], images.shape), 0, 255).astype(np.uint8)
    images[copies] = near[copies]
    return images, np.where(copies, real.condition[rows], asked)


def changed_mix(rng, images, asked, g):
    keep = (asked > 4) | (rng.random(N) < 0.5) | (g < 3)
    return images[keep], asked[keep]


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (noisy(lambda g: 0), {"stable"}),
        (changed_mix, {"stable"}),
        (noisy(lambda g: 56 - 8 * g), {"improving"}),
        (lost_class, {"collapsing", "diverging"}),
        (memorising, {"collapsing"}),
        (noisy(lambda g: 8 * g), {"diverging"}),
    ],
    ids=["stable", "changed mix", "noise falls", "class lost", "memorising", "noise grows"],
)
def test_the_word_on_chains_of_real_rows(ctx, alter, words):
    said = verdict(chain(ctx, alter), ctx, SPACE, TELLER)
    assert said.word in words, said.because
    assert (said.since is not None) == (said.word in ("collapsing", "diverging"))


def test_memorising_is_seen_where_the_distance_to_real_rows_is_not_worse(ctx):
    said = verdict(chain(ctx, memorising), ctx, SPACE, TELLER)
    axes = {axis.name: axis for axis in said.axes}
    assert axes["fidelity"].says in ("steady", "better")
    assert axes["novelty"].says == "worse"


def test_the_verdict_is_blind_to_provenance(ctx):
    steps = chain(ctx, memorising)
    plain = [
        Step(*(Pool.of(pool.images[:], pool.condition, 40 + g) for pool in (step.samples, step.training))) for g, step in enumerate(steps)
    ]
    dressed = [replace(step, samples=step.samples.with_column("entropy", np.arange(N) * 1.0)) for step in steps]
    assert verdict(plain, ctx, SPACE, TELLER) == verdict(dressed, ctx, SPACE, TELLER)


def test_prompts_instead_of_classes(ctx):
    def prompts(pool):
        return replace(pool, condition=np.array([f"the digit {c}" for c in pool.condition]))

    data = replace(ctx.data, **{part: prompts(getattr(ctx.data, part)) for part in ("real", "reserve", "judge", "held_out")})
    steps = [Step(prompts(step.samples), prompts(step.training)) for step in chain(ctx, noisy(lambda g: 8 * g))]
    said = verdict(steps, replace(ctx, data=data), Pixels())
    assert said.word == "diverging"
    assert "agreement" not in {axis.name for axis in said.axes}


def plane(n, seed=100):
    """Rows of 2 pixels, N(127.5, 5^2): small enough to grow twentyfold in variance without meeting 0 or 255."""
    x = np.random.default_rng(seed).normal(127.5, 5.0, (4 * n, 1, 2, 1))
    sizes = {"real": n, "reserve": n, "judge": n, "held_out": n}
    return split("plane", np.clip(np.rint(x), 0, 255).astype(np.uint8), np.arange(4 * n) % 2, ("a", "b"), sizes)


@pytest.mark.parametrize(("mixer", "n"), [(Accumulate(), 200), (Replace(), 400)])
def test_greedy_selection_that_inflates_the_variance_of_a_gaussian_is_no_health(tmp_path, mixer, n):
    recipe = replace(gaussian_recipe(n, mixer, selector=Farthest(150, Pixels())), sampler=DrawGaussian(n))
    loop = Loop.at(tmp_path, recipe, plane(200))
    done = list(loop.run(8))
    assert done[-1].samples.images[:].var() > 2 * done[0].samples.images[:].var()
    said = verdict(steps_of(done, loop.data), loop.chain.context(8, loop.data), Pixels())
    assert said.word in ("diverging", "collapsing"), said.because


def test_a_gaussian_chain_of_few_rows_collapses(tmp_path):
    x = np.random.default_rng(100).normal(127.5, 40.0, (800, 4, 4, 1))
    sizes = {"real": 200, "reserve": 200, "judge": 200, "held_out": 200}
    data = split("few", np.clip(np.rint(x), 0, 255).astype(np.uint8), np.arange(800) % 2, ("a", "b"), sizes)
    loop = Loop.at(tmp_path, gaussian_recipe(20), data)
    done = list(loop.run(20))
    said = verdict(steps_of(done, data), loop.chain.context(20, data), Pixels())
    assert said.word == "collapsing", said.because


def test_fewer_than_two_generations_are_refused(tmp_path, tiny):
    loop = Loop.at(tmp_path, gaussian_recipe(20), tiny)
    list(loop.run(0))
    with pytest.raises(BadInput, match="needs at least two"):
        judge(loop.chain, tiny)


def line(axis, name, change, better, reference=0.0):
    """A reading that goes from 0 by ``change`` in eight generations, far beyond its noise; 1 is material."""
    return Reading(axis, name, tuple(np.linspace(0, change, 8)), (0.01,) * 8, better, reference, 1.0)


@pytest.mark.parametrize(
    ("neighbour", "spread", "word"),
    [(-3, -3, "collapsing"), (-3, 3, "collapsing"), (3, 3, "diverging"), (0, 3, "diverging"), (0, -3, "collapsing"), (0, 0, "unclear")],
)
def test_a_chain_collapses_where_samples_lie_closer_though_the_whole_spreads(neighbour, spread, word):
    readings = [
        line("fidelity", "Frechet distance", 3, "low"),
        line("diversity", "log neighbour distance", neighbour, "high"),
        line("diversity", "log spread", spread, "high"),
    ]
    assert conclude(readings).word == word


@pytest.mark.parametrize(
    ("distance", "spread", "coverage", "agreement", "word"),
    [
        (0, 0, 0, 0, "stable"),
        (-3, 0, 0, 0, "stable"),  # one better: not enough for "improving"
        (-3, 0, 3, 0, "improving"),
        (3, 0, 0, 0, "unclear"),
        (0, 3, 0, 0, "unclear"),  # one overshoots
        (-3, 0, 3, -3, "unclear"),  # one worse beside two better
        (3, 0, 0, -3, "diverging"),
        (3, -3, 0, 0, "collapsing"),
    ],
)
def test_one_measure_that_is_worse_is_no_alarm_and_no_health(distance, spread, coverage, agreement, word):
    readings = [
        line("fidelity", "Frechet distance", distance, "low"),
        line("diversity", "log spread", spread, "high"),
        line("diversity", "coverage", coverage, "high", reference=4.0),
        line("agreement", "agreement", agreement, "high", reference=4.0),
    ]
    said = conclude(readings)
    assert said.word == word, said.because
    assert conclude(first(readings, 3)).word in ("too short", "collapsing", "diverging")


def test_two_that_overshoot_and_none_that_is_worse_are_unclear():
    said = conclude([line("diversity", "log spread", 3, "high"), line("diversity", "log neighbour distance", 3, "high")])
    assert said.word == "unclear"
    assert all("overshoots" in reason for reason in said.because)


def test_every_word_has_a_meaning_and_a_symbol():
    assert set(get_args(Word)) == set(MEANING) == set(SYMBOLS)
