"""The support score: what the metric counts, one row at a time."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.features import Pixels
from germline.metrics import Hallucination
from germline.scorers import Support


@pytest.fixture(scope="module")
def data():
    return gaussian_splits(400, 4)


@pytest.fixture
def ctx(data):
    return Context(1, 0, data)


def test_the_score_in_closed_form(data, ctx):
    rows = gaussian_splits(30, 4, seed=3).real
    found = Support(Pixels(), k=3, null=0.1)(rows, ctx)
    judge, real, x = (pool.images[:].reshape(len(pool), -1).astype(float) for pool in (data.judge, data.real, rows))

    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))

    radii = np.sort(distances(judge, judge), axis=1)[:, 3]
    factors = np.sort((distances(real, judge) / radii).min(axis=1))
    scale = factors[int(np.ceil(401 * 0.9)) - 1]
    np.testing.assert_allclose(found, 1 - (distances(x, judge) / radii).min(axis=1) / scale, rtol=1e-6, atol=1e-6)
    assert Support(Pixels())(data.judge, ctx).tolist() == [1.0] * 400, "a row of the judge split is the middle of a ball"


def test_it_counts_what_the_metric_counts(data, ctx):
    """With judge and held-out rows exchanged, the share below 0 is the metric's value."""
    made = np.random.default_rng(7).normal(127.5, 32, (300, 4, 4, 1)).clip(0, 255).astype(np.uint8)
    exchanged = replace(data, judge=data.held_out, held_out=data.judge)
    evidence = Evidence(Pool.of(made, generation=0), data.real, exchanged, Context(1, 0, exchanged))
    measured = next(m for m in Hallucination(Pixels())(evidence) if m.of == "samples").value
    assert measured == (Support(Pixels())(Pool.of(made, generation=0), ctx) < 0).mean()
    assert 0.1 < measured < 0.9


def test_fresh_real_rows_are_outside_at_the_null_rate(data, ctx):
    fresh = gaussian_splits(1_000, 4, seed=5).real
    outside = (Support(Pixels(), null=0.1)(fresh, ctx) < 0).mean()
    assert outside == pytest.approx(0.1, abs=3 * 0.018)  # sd: 0.0095 of 1,000 rows and 0.015 of a scale from 400


def test_faults_are_named(ctx):
    small = gaussian_splits(4, 4)
    with pytest.raises(BadInput, match="Support with k = 5 needs at least 6 rows in the judge split, but got 4; lower k"):
        Support(Pixels())(small.real, Context(1, 0, small))
    with pytest.raises(BadInput, match="needs at least 19 real rows, but got 4"):
        Support(Pixels(), k=1)(small.real, Context(1, 0, small))
    flat = gaussian_splits(30, 4, sd=0)
    with pytest.raises(BadInput, match="are equal to one another, so there is no distance to go by"):
        Support(Pixels())(flat.real, Context(1, 0, flat))
