"""The linear probe: the optimum of what it says it minimises, to the bit the same, and pseudo-labels that are the nearest centre's."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import sklearn.linear_model
from scipy.special import expit, softmax

from conftest import gaussian_splits
from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.features import Pixels
from germline.scorers import Confidence, clusters, probe

D = 20


def classes_apart(classes, n=300, seed=0):
    """Unit Gaussians around means of deviation 1, with features on quite different scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    rows = np.random.default_rng(9).normal(size=(classes, D))[labels] + rng.normal(size=(n, D))
    return rows * np.geomspace(0.1, 10, D) + 5, labels


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("penalty", [1.0, 100.0])
def test_the_gradient_of_the_penalised_loss_is_zero(classes, penalty):
    """Of sum_i -log softmax(o_i)[y_i] + penalty / 2 |W|^2, W on standardised features; for two classes too."""
    x, labels = classes_apart(classes)
    fitted = probe.fit(x, labels, penalty)
    centre, scale = probe.standard(x)
    weight = fitted["weight"] * scale
    error = softmax(probe.logits(fitted, x), axis=1) - np.eye(classes)[labels]
    assert np.abs(error.T @ ((x - centre) / scale) + penalty * weight).max() < 0.01 * np.abs(penalty * weight).max() + 0.05
    assert np.abs(error.sum(axis=0)).max() < 0.1


@pytest.mark.parametrize("classes", [2, 5])
def test_without_a_penalty_separable_rows_are_known_by_heart(classes):
    x, labels = classes_apart(classes, n=15)
    fitted = probe.fit(x, labels, 0.0)
    assert probe.log_loss(probe.log_odds(probe.logits(fitted, x), labels)) < 0.01


@pytest.mark.parametrize("classes", [2, 5])
def test_units_of_the_features_change_nothing(classes):
    x, labels = classes_apart(classes)
    units = np.geomspace(0.02, 50, D)
    one, other = probe.fit(x, labels, 1.0), probe.fit(x * units + 7, labels, 1.0)
    np.testing.assert_allclose(probe.logits(one, x), probe.logits(other, x * units + 7), atol=0.02)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_logits_are_the_same_bits_alone_and_from_a_probe_that_was_read_back(tmp_path, n):
    x, labels = classes_apart(5)
    fitted = probe.fit(x, labels, 1.0)
    whole = probe.logits(fitted, x)
    np.testing.assert_array_equal(probe.logits(fitted, x[:n]), whole[:n])
    np.testing.assert_array_equal(probe.logits(fitted, np.asfortranarray(x)), whole)
    for name in ("written", "read"):
        kept = Cache(tmp_path).once("ab" * 16, lambda: fitted)
        np.testing.assert_array_equal(probe.logits(kept, x), whole, err_msg=name)


def test_the_loss_is_the_mean_of_minus_log_xi_and_never_overflows():
    log_odds = np.array([-3.0, 0.0, 2.0])
    assert probe.log_loss(log_odds) == pytest.approx(-np.log(expit(log_odds)).mean())
    assert probe.log_loss(np.array([-5_000.0])) == 5_000


def test_log_odds_of_logits_of_any_size_are_finite():
    logits = np.array([[-2e3, 2e3, 0.0], [5e4, 5e4, 5e4]])
    np.testing.assert_allclose(probe.log_odds(logits, np.array([0, 2])), [-4e3, -np.log(2)])


def test_a_search_that_does_not_end_is_an_error_that_names_the_penalty(monkeypatch):
    plain = sklearn.linear_model.LogisticRegression
    monkeypatch.setattr(sklearn.linear_model, "LogisticRegression", lambda **given: plain(**{**given, "max_iter": 1}))
    with pytest.raises(probe.NoOptimumFound, match="did not converge in 5,000 iterations at penalty 1; give it a larger one"):
        probe.fit(*classes_apart(3), 1.0)


def test_clusters_are_found_again_in_standardised_features():
    x, labels = classes_apart(3, n=150)
    found = clusters.centres(x, 3)
    number = clusters.nearest(found, x)
    assert len({(a, b) for a, b in zip(number.tolist(), labels.tolist(), strict=True)}) == 3, "one cluster a class"
    np.testing.assert_array_equal(clusters.nearest(found, x[:1]), number[:1])
    centre, scale = probe.standard(x)
    means = np.array([((x - centre) / scale)[number == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose((found["centres"] - centre) / scale, means, atol=1e-6)


def test_clusters_do_not_see_features_that_do_not_vary():
    x, _ = classes_apart(3, n=150)
    x[:, 4] = 8
    found = clusters.centres(x, 3)
    moved = x.copy()
    moved[:, 4] = -1_000
    np.testing.assert_array_equal(clusters.nearest(found, moved), clusters.nearest(found, x))


def test_more_clusters_than_rows():
    with pytest.raises(BadInput, match="9 clusters were asked for, but the real rows have 2 distinct features; lower clusters"):
        clusters.centres(np.repeat(np.eye(2), 10, axis=0), 9)


@dataclass(frozen=True)
class Blind:
    """Pixels less their image's mean, over their deviation."""

    name: str = "blind"

    def __call__(self, pool, ctx):
        flat = np.asarray(pool.images[:], np.float32).reshape(len(pool), -1)
        flat = flat - flat.mean(axis=1, keepdims=True)
        return flat / flat.std(axis=1, keepdims=True)


def confident(data, **fields):
    return Confidence((Pixels(),), **fields)(data.held_out, Context(1, 0, data))


def test_every_class_needs_a_real_row(tiny):
    lacking = replace(tiny, real=tiny.real.take(tiny.real.condition == 0))
    with pytest.raises(BadInput, match="fits on real rows of every class, but class 1 has none"):
        confident(lacking)


def test_there_must_be_rows_to_choose_by(tiny):
    with pytest.raises(BadInput, match="chooses by rows of the judge split, but that of gaussian has 1; give it rows"):
        confident(replace(tiny, judge=tiny.judge.take([0])))


def test_the_space_in_which_the_probe_is_right_more_often_is_picked():
    """Classes differ in brightness; one of two spaces is blind to it."""
    data = gaussian_splits(60, 4)
    bright = data.real.sources[-1].images.copy()
    for pool in (data.real, data.judge, data.held_out):
        rows = pool.origin[pool.condition == 1, 1]
        bright[rows] = bright[rows] // 2
    source = replace(data.real.sources[-1], images=bright)
    data = replace(data, **{name: replace(getattr(data, name), sources={-1: source}) for name in ("real", "judge", "held_out")})
    ctx, scorer = Context(1, 0, data), Confidence((Blind(), Pixels()))
    assert scorer.space(ctx) == Pixels()
    blind, seeing = scorer.accuracies(ctx)
    assert blind < 0.8 < seeing
    tie = Confidence((Pixels(), Pixels()))
    assert tie._fitted(ctx)["space"] == 0


SIDES = np.random.default_rng(4).normal(size=(400, 2, 3))


@dataclass(frozen=True)
class Table:
    """Noise in which a row's class shows by so much; not where the control is fitted, if ``hidden``."""

    shows: float
    hidden: bool
    number: int

    def __call__(self, pool, ctx):
        row = pool.origin[:, 1]
        fitted = np.isin(row, ctx.data.judge.origin[: len(ctx.data.judge) // 2, 1]) if self.hidden else np.zeros(len(row), bool)
        side = np.where(fitted, np.resize([1, 1, -1, -1], len(row)), 2 * (row % 2) - 1)
        return (SIDES[row, self.number] + self.shows * side[:, None]).astype(np.float32)


def test_a_control_reads_the_space_that_the_papers_probe_picks():
    """Fitted on other rows it would be right more often elsewhere, but it is to differ in the rows only."""
    data = gaussian_splits(100, 4)
    ctx, spaces = Context(1, 0, data), (Table(0.5, False, 0), Table(2.0, True, 1))
    own, control, random = (Confidence(spaces, fit_on) for fit_on in ("real", "judge", "random"))
    assert own.space(ctx) == control.space(ctx) == random.space(ctx) == spaces[1]
    assert own.accuracy(ctx) == max(own.accuracies(ctx)) == own.accuracies(ctx)[1]
    assert control.accuracies(ctx)[0] > control.accuracies(ctx)[1] == control.accuracy(ctx)
    assert random.accuracies(ctx) == (random.accuracy(ctx),)
