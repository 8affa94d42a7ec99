"""Confidence of a probe: plain logistic regression, log-odds that do not saturate, and the two traps of filtering by it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from germline.core.context import Context
from germline.core.errors import BadInput, GermlineError
from germline.core.pool import Pool
from germline.features import Pixels
from germline.scorers import Confidence, probe
from germline.selectors import Top

RNG = np.random.default_rng(0)


def toy(n, d, classes, s, seed):
    """Rows of a Gaussian a class: means of deviation s and unit spread in 50 dimensions at most, turned into d, noise 0.3 around them."""
    rng, latent = np.random.default_rng(0), min(50, d)  # the law is one; only the draws differ
    means = s * rng.normal(size=(classes, latent))
    basis = np.linalg.qr(rng.normal(size=(d, latent)))[0].T
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (means[labels] + rng.normal(size=(n, latent))) @ basis + 0.3 * rng.normal(size=(n, d)), labels


@pytest.mark.parametrize("classes", [2, 5])
def test_it_is_logistic_regression_on_standardised_features(classes):
    x, y = toy(400, 30, classes, 0.5, 1)
    new, _ = toy(50, 30, classes, 0.5, 2)
    found = probe.fit(x, y, 10.0)
    assert found["weight"].size + found["bias"].size == 30 * classes + classes
    centre, scale = x.mean(axis=0), x.std(axis=0)
    # scikit-learn fits two classes by one vector, twice ours: half the penalty on each makes the same optimum.
    plain = LogisticRegression(C=(2 if classes == 2 else 1) / 10, tol=1e-8, max_iter=5_000).fit((x - centre) / scale, y)
    np.testing.assert_allclose(softmax(probe.logits(found, new), axis=1), plain.predict_proba((new - centre) / scale), atol=2e-3)


def test_the_fit_is_the_same_every_time_and_a_rows_logits_do_not_depend_on_its_neighbours():
    x, y = toy(200, 40, 4, 0.5, 1)
    one, two = probe.fit(x, y, 1.0), probe.fit(x, y, 1.0)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    np.testing.assert_array_equal(probe.logits(one, x[:7]), probe.logits(one, x)[:7])


def test_features_that_do_not_vary_say_nothing():
    x, y = toy(200, 10, 2, 0.5, 1)
    x[:, 3] = 5
    found = probe.fit(x, y, 1.0)
    assert not found["weight"][:, 3].any()
    assert np.isfinite(probe.logits(found, x + 100 * (np.arange(10) == 3))).all()


def test_log_odds_go_on_where_xi_is_one():
    logits = RNG.normal(size=(6, 4)) * 3
    labels = np.array([0, 1, 2, 3, 0, 1])
    xi = softmax(logits, axis=1)[np.arange(6), labels]
    np.testing.assert_allclose(probe.log_odds(logits, labels), np.log(xi / (1 - xi)))
    sure = probe.log_odds(np.array([[900.0, 0, 0], [800.0, 0, 0]]), np.array([0, 0]))
    assert sure[0] > sure[1]
    assert expit(sure[0]) == expit(sure[1]) == 1


@pytest.fixture
def scored(tiny):
    """A scorer in pixels of bright and dark images, and its context."""

    def part(pool):
        shift = np.where(pool.condition == 1, 200, 50)[:, None, None, None]
        return Pool.of(np.clip(shift + RNG.integers(-30, 30, (len(pool), 4, 4, 1)), 0, 255).astype(np.uint8), pool.condition)

    data = replace(tiny, **{name: part(getattr(tiny, name)) for name in ("real", "judge", "held_out")})
    return Confidence((Pixels(),)), Context(1, 0, data)


def test_a_changed_label_leaves_the_features_and_changes_xi(scored):
    scorer, ctx = scored
    pool = ctx.data.held_out
    other = replace(pool, condition=1 - pool.condition)
    np.testing.assert_array_equal(ctx.features(Pixels(), pool), ctx.features(Pixels(), other))
    np.testing.assert_allclose(scorer(other, ctx), -scorer(pool, ctx))
    assert scorer.xi(pool, ctx).min() > 0.9 > 0.1 > scorer.xi(other, ctx).max()


def test_scoring_again_gives_the_same_value_and_parts_give_the_whole(scored):
    scorer, ctx = scored
    whole = scorer(ctx.data.real, ctx)
    np.testing.assert_array_equal(scorer(ctx.data.real, ctx), whole)
    np.testing.assert_array_equal(scorer(ctx.data.real.take(np.array([7, 2])), ctx), whole[[7, 2]])
    assert scorer.parameters(ctx) == 16 * 2 + 2
    assert len(scorer.accuracies(ctx)) == 1


def test_a_random_probe_has_learned_nothing_and_pseudo_labels_find_the_two_kinds(scored):
    scorer, ctx = scored
    assert replace(scorer, fit_on="judge").xi(ctx.data.held_out, ctx).min() > 0.9
    random = replace(scorer, fit_on="random")(ctx.data.held_out, ctx)
    assert len(np.unique(np.sign(random))) == 2
    unlabelled = replace(ctx.data.held_out, condition=np.full(len(ctx.data.held_out), -1))
    assert replace(scorer, clusters=2).xi(unlabelled, ctx).min() > 0.9


@pytest.mark.parametrize(
    ("fields", "condition", "says"),
    [
        ({"spaces": ()}, None, "needs a space"),
        ({"penalties": ()}, None, "needs a space, penalties"),
        ({"clusters": 1}, None, "2 clusters or more"),
        ({}, "cat", "needs 2 classes or more and conditions from 0 to 1"),
        ({}, 7, "without labels, give clusters"),
    ],
)
def test_errors_say_what_to_do(scored, fields, condition, says):
    scorer, ctx = scored
    pool = ctx.data.held_out
    pool = pool if condition is None else replace(pool, condition=np.full(len(pool), condition))
    with pytest.raises(BadInput, match=says):
        replace(scorer, **fields)(pool, ctx)


def best(log_odds, n):
    return np.argsort(-log_odds, kind="stable")[:n]


def test_trap_one_a_probe_knows_the_rows_again_that_it_was_fitted_on():
    """1,000 real and 5,000 made rows of exactly one law: a fair filter keeps 16.7 % real. With more features than rows it interpolates."""
    (real, y), (made, z), (others, w) = (toy(n, 2_048, 10, 0.25, seed) for n, seed in ((1_000, 1), (5_000, 2), (1_000, 3)))
    x, labels = np.concatenate([real, made]), np.concatenate([y, z])
    share = {}
    for name, (rows, classes) in {"pool": (real, y), "held-out": (others, w)}.items():
        chosen = best(probe.log_odds(probe.logits(probe.fit(rows, classes, 10.0), x), labels), 1_000)
        share[name] = (chosen < 1_000).mean()
    assert share["pool"] > 0.5
    assert abs(share["held-out"] - 1 / 6) < 0.03


def test_trap_two_the_surest_rows_are_not_spread_over_the_classes(tiny):
    """Ten classes, 100 rows each are fair; the held-out probe prefers some classes, and a quota mends it exactly."""
    (made, z), (others, w) = (toy(n, 1_152, 10, 0.5, seed) for n, seed in ((6_000, 2), (1_000, 3)))
    score = probe.log_odds(probe.logits(probe.fit(others, w, 10.0), made), z)
    pool = Pool.of(np.zeros((6_000, 1, 1, 1), np.uint8), z).with_column("confidence", score)
    ctx = Context(1, 0, tiny)
    counts = np.bincount(z[Top(1_000, "confidence")(pool, ctx)], minlength=10)
    assert counts.max() - counts.min() > 60  # of ten fair classes: 30
    assert (np.bincount(z[Top(1_000, "confidence", per_class=True)(pool, ctx)], minlength=10) == 100).all()


def only_from(least, plain):
    """A fit that converges at penalties of ``least`` and more only."""

    def fit(features, labels, penalty):
        if penalty < least:
            raise probe.NoOptimumFound(f"not at {penalty:g}")
        return plain(features, labels, penalty)

    return fit


def test_a_penalty_without_convergence_is_left_out_with_a_warning_and_changes_nothing_else(scored, monkeypatch):
    _, ctx = scored
    few, many = Confidence((Pixels(),), penalties=(10.0, 100.0)), Confidence((Pixels(),), penalties=(1.0, 10.0, 100.0))
    expected = few(ctx.data.real, ctx)
    monkeypatch.setattr(probe, "fit", only_from(10.0, probe.fit))
    with pytest.warns(UserWarning, match="did not converge at penalty 1, which is left out"):
        got = many(ctx.data.real, ctx)
    np.testing.assert_array_equal(got, expected)


def test_no_convergence_at_any_penalty_is_an_error_that_says_what_to_do(scored, monkeypatch):
    score, ctx = scored
    monkeypatch.setattr(probe, "fit", only_from(1e9, probe.fit))
    with pytest.raises(GermlineError, match="any of the penalties 1, 10, 100, 1000; give larger penalties, or a space with fewer features"):
        score(ctx.data.real, ctx)
