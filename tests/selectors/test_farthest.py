import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import germline.selectors.farthest as module
from germline.core.errors import BadInput
from germline.metrics.entropy import entropy
from germline.selectors.farthest import farthest
from germline.selectors.threshold_decay import threshold_decay

GOLDEN = Path(__file__).parent.parent / "golden"
ARRAYS = np.load(GOLDEN / "selection.npz")
VALUES = json.loads((GOLDEN / "selection.json").read_text())


def plain_greedy(features, n, start):
    x = features.astype(np.float64)
    m, picks = ((x - x[start]) ** 2).sum(1), [start]
    m[start] = -1
    while len(picks) < n:
        new = int(m.argmax())
        picks.append(new)
        m = np.minimum(m, ((x - x[new]) ** 2).sum(1))
        m[picks] = -1
    return picks


def plain_threshold_decay(features, order, n, tau, decay, every_pass):
    x = features.astype(np.float64)
    accepted = [int(order[0])]
    m = np.sqrt(((x - x[order[0]]) ** 2).sum(1))
    tau = m.max() if tau is None else tau
    while len(accepted) < n:
        before = len(accepted)
        for row in order:
            if row not in accepted and m[row] > tau:
                accepted.append(int(row))
                m = np.minimum(m, np.sqrt(((x - x[row]) ** 2).sum(1)))
                if len(accepted) == n:
                    return accepted
        if every_pass or len(accepted) == before:
            tau *= decay
    return accepted


def tied(seed, n, d, levels):
    x = np.random.default_rng(seed).integers(0, levels, (n, d)).astype(np.float32)
    return x, len(np.unique(x, axis=0))


def test_the_line():
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert farthest(x, 4, 0).tolist() == [0, 3, 2, 1]
    assert threshold_decay(x, np.arange(4), 3, tau=4, decay=0.5).tolist() == [0, 3, 2]


def test_golden_orders():
    features = ARRAYS["features"]
    rule = VALUES["farthest_point"]
    np.testing.assert_array_equal(farthest(features, rule["picks"], rule["start"]), ARRAYS["fps_order"])
    np.testing.assert_array_equal(farthest(ARRAYS["dup_features"], 30, 0), ARRAYS["dup_fps_order"])
    for setting in VALUES["threshold_decay"]["settings"]:
        order = threshold_decay(features, ARRAYS["tdf_candidate_order"], setting["picks"], setting["tau0"], setting["alpha"])
        np.testing.assert_array_equal(order, ARRAYS[setting["array"]])


@pytest.mark.parametrize("block", [1, 7, 32, 256])
@pytest.mark.parametrize(("n", "d", "levels"), [(300, 2, 9), (300, 3, 4), (400, 6, 3), (350, 8, 50)])
def test_batched_lazy_is_plain_greedy_ties_included(block, n, d, levels, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    for candidates in (block, 2 * block, 3 * block + 1):
        monkeypatch.setattr(module, "CANDIDATES", candidates)
        x, distinct = tied(block, n, d, levels)
        start = n // 2
        assert farthest(x, distinct, start).tolist() == plain_greedy(x, distinct, start)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 90), st.integers(1, 4), st.integers(2, 6), st.integers(1, 12), st.integers(1, 12))
def test_greedy_orders_of_tied_integers(seed, n, d, levels, block, candidates):
    x, distinct = tied(seed, n, d, levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(module, "CANDIDATES", candidates)
        assert farthest(x, distinct, seed % n).tolist() == plain_greedy(x, distinct, seed % n)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(2, 90),
    st.integers(1, 4),
    st.integers(2, 6),
    st.sampled_from([None, 0.5, 2, 4, 100]),
    st.sampled_from([0.25, 0.5, 0.8, 0.97]),
)
def test_threshold_decay_is_the_double_loop_under_both_rules(seed, n, d, levels, tau, decay):
    x, distinct = tied(seed, n, d, levels)
    order = np.random.default_rng(seed + 1).permutation(n)
    got = threshold_decay(x, order, distinct, tau, decay).tolist()
    assert got == plain_threshold_decay(x, order, distinct, tau, decay, every_pass=True)
    assert got == plain_threshold_decay(x, order, distinct, tau, decay, every_pass=False)


def test_many_blocks_of_quantised_features_give_the_plain_orders():
    x = np.rint(np.random.default_rng(0).normal(size=(3000, 12)) * 40).astype(np.float32)
    assert farthest(x, 1500, 5).tolist() == plain_greedy(x, 1500, 5)
    order = np.random.default_rng(1).permutation(3000)
    assert threshold_decay(x, order, 1000).tolist() == plain_threshold_decay(x, order, 1000, None, 0.95, True)


def test_works_on_a_memory_map(tmp_path):
    x = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(farthest(np.load(tmp_path / "x.npy", mmap_mode="r"), 100, 0), farthest(x, 100, 0))


def test_entropy_rises_from_random_to_greedy():
    # 3000 rows near a 12-dimensional surface in 64 dimensions, half of them kept
    rng = np.random.default_rng(3)
    x = (np.tanh(rng.normal(size=(1600, 12)) @ rng.normal(size=(12, 64))) * 10).astype(np.float32)
    order = rng.permutation(1600)
    decays = [entropy(x[threshold_decay(x, order, 800, decay=decay)]) for decay in (0.8, 0.95, 0.99)]
    steps = [entropy(x[order[:800]]), *decays, entropy(x[farthest(x, 800, int(order[0]))])]
    assert steps[:-1] == sorted(steps[:-1])
    assert steps[-1] >= steps[-2] - 0.5
    assert steps[1] > steps[0] + 3


@pytest.mark.parametrize("inflation", ["accumulate", "replace from 2N"])
def test_greedy_inflates_the_variance_of_a_gaussian_chain(inflation):
    # 2-D, N = 200, 12 generations: maximum-likelihood Gaussian, selection by distance; far from a healthy chain
    totals = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = real = rng.normal(size=(200, 2))
        history = [real]
        for _ in range(12):
            made = rng.multivariate_normal(rows.mean(0), np.cov(rows.T, bias=True), 200 if inflation == "accumulate" else 400)
            history.append(made)
            offer = np.concatenate(history) if inflation == "accumulate" else made
            rows = offer[farthest(offer, 200, int(rng.integers(len(offer))))]
        totals.append(np.trace(np.cov(rows.T)) / np.trace(np.cov(real.T)))
    low, high = {"accumulate": (10, 40), "replace from 2N": (20, 80)}[inflation]
    assert low < np.mean(totals) < high


def bad(row):
    x = np.random.default_rng(4).normal(size=(20, 3)).astype(np.float32)
    x[row, 1] = np.nan
    return x


@pytest.mark.parametrize("select", [lambda x, n: farthest(x, n, 0), lambda x, n: threshold_decay(x, np.arange(len(x)), n)])
def test_errors_name_the_number_and_the_row(select):
    copies = np.repeat(np.random.default_rng(5).normal(size=(10, 3)).astype(np.float32), 2, axis=0)
    with pytest.raises(BadInput, match="between 1 and 20 rows, as many as are on offer, but was asked for 21; change n"):
        select(copies, 21)
    with pytest.raises(BadInput, match="asked for 11 rows, but only 10 of 20 are distinct; lower n to 10"):
        select(copies, 11)
    assert len(select(copies, 10)) == 10
    with pytest.raises(BadInput, match="row 13 holds NaN"):
        select(bad(13), 5)


@pytest.mark.parametrize("tau", [0.0, -1.0, float("nan")])
def test_threshold_decay_needs_a_distance(tau):
    with pytest.raises(BadInput, match="needs a tau above 0"):
        threshold_decay(ARRAYS["features"], np.arange(600), 5, tau)


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5, -0.1])
def test_threshold_decay_needs_a_decay(decay):
    with pytest.raises(BadInput, match="decay between 0 and 1"):
        threshold_decay(ARRAYS["features"], np.arange(600), 5, None, decay)


def test_a_tau_that_float32_cannot_tell_from_the_last_distance_does_not_hang():
    """Found in a study: after some decays tau^2 came to lie below the largest bound in float64 and on it in float32."""
    x = np.array([[0.0], [3.0], [1.0]])
    assert threshold_decay(x, np.arange(3), 3, tau=3 * (1 - 1e-10)).tolist() == [0, 1, 2]


def test_rows_that_float32_cannot_tell_apart_do_not_hang():
    x = np.full((40, 2), 1e4, np.float32)
    x[:20] *= -1
    x[:, 1] += np.arange(40, dtype=np.float32) / 1024
    rows = threshold_decay(x, np.arange(40), 40)
    assert sorted(rows.tolist()) == list(range(40))
    assert sorted(farthest(x, 40, 0).tolist()) == list(range(40))


@pytest.mark.parametrize("how", ["farthest", "threshold_decay"])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_stopped_search_goes_on_to_the_same_picks(how, stop, monkeypatch):
    """On rows without ties and on a grid full of them; the state is what a file would hold."""
    monkeypatch.setattr(module, "BLOCK", 32)
    monkeypatch.setattr(module, "CANDIDATES", 64)
    monkeypatch.setattr("germline.selectors.threshold_decay.BLOCK", 16)
    rng = np.random.default_rng(0)
    for features in (rng.normal(size=(600, 5)).astype(np.float32), rng.integers(0, 9, (600, 3)).astype(np.float32)):
        order = rng.permutation(600)

        def search(watch, state=None, features=features, order=order):
            if how == "farthest":
                return farthest(features, 150, int(order[0]), watch, state)
            return threshold_decay(features, order, 150, watch=watch, state=state)

        states, squared = [], []

        def stopped(chosen, states=states):
            states.append({name: array.copy() for name, array in chosen.state().items()})
            if len(states) == stop:
                raise KeyboardInterrupt

        whole = search(lambda chosen, squared=squared: squared.append(chosen.squared.copy()))
        with pytest.raises(KeyboardInterrupt):
            search(stopped)
        assert 1 < len(states[-1]["picks"]) < 150
        np.testing.assert_array_equal(search(lambda chosen: None, states[-1]), whole)
        x = features[whole].astype(np.float64)
        truth = [((x[:i] - x[i]) ** 2).sum(1).min() for i in range(1, 150)]
        np.testing.assert_allclose(squared[-1][1:], truth, rtol=1e-4, atol=1e-4)
