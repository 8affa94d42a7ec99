"""The metric of confidence: means over the right rows, and an accuracy that is the probe's own, on rows that are counted."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.context import Context
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.features import Pixels
from germline.metrics import Confidence
from germline.scorers import Confidence as Probe

DATA = gaussian_splits(60, 4, sd=12)


def lit(data):
    """The set with class 1 a little brighter, so that a probe is mostly right."""
    images = data.real.sources[-1].images.copy()
    for pool in (data.real, data.judge, data.held_out):
        rows = pool.origin[pool.condition == 1, 1]
        images[rows] += 8
    source = replace(data.real.sources[-1], images=images)
    return replace(data, **{name: replace(getattr(data, name), sources={-1: source}) for name in ("real", "judge", "held_out")})


@pytest.fixture(scope="module")
def evidence():
    """Ten samples, and a training set of 20 real rows and these ten."""
    data = lit(DATA)
    made = Pool.of(data.judge.images[:10], data.judge.condition[:10], 0)
    return Evidence(made, Pool.concat([data.real.take(range(20)), made]), data, Context(1, 0, data))


def test_each_number_is_the_mean_xi_of_its_rows(evidence):
    probe, ctx = Probe((Pixels(),)), evidence.ctx
    found = {(v.name, v.of): v for v in Confidence(probe)(evidence)}
    training = evidence.training
    rows = {
        ("confidence", "samples"): evidence.samples,
        ("confidence", "reference"): evidence.data.held_out,
        ("confidence", "training"): training,
        ("confidence_real", "training"): training.take(range(20)),
        ("confidence_made", "training"): training.take(range(20, 30)),
    }
    for key, pool in rows.items():
        xi = probe.xi(pool, ctx)
        assert found[key].value == pytest.approx(xi.mean())
        assert found[key].n == len(pool)
        assert found[key].low < xi.mean() < found[key].high
    assert set(found) == {*rows, ("probe_accuracy", "reference")}


def test_the_interval_is_that_of_a_mean(evidence):
    probe = Probe((Pixels(),))
    xi = probe.xi(evidence.data.held_out, evidence.ctx)
    (value,) = [v for v in Confidence(probe)(evidence) if (v.name, v.of) == ("confidence", "reference")]
    assert value.high - value.low == pytest.approx(2 * 1.96 * xi.std() / np.sqrt(len(xi)), rel=0.15)


def test_rows_of_one_origin_only_leave_the_other_number_out(evidence):
    names = {v.name for v in Confidence(Probe((Pixels(),)))(replace(evidence, training=evidence.data.real))}
    assert names == {"confidence", "confidence_real", "probe_accuracy"}


@pytest.mark.parametrize("fit_on", ["real", "judge", "random"])
def test_accuracy_is_the_share_of_rows_that_no_probe_is_fitted_on(evidence, fit_on):
    """60 real and 60 judge rows: the control is fitted on the first 30 of the judge split, all are judged on the other 30."""
    probe, ctx = Probe((Pixels(),), fit_on), evidence.ctx
    (value,) = [v for v in Confidence(probe)(evidence) if v.name == "probe_accuracy"]
    rest = evidence.data.judge.take(range(30, 60))
    assert value.n == 30
    assert value.value == pytest.approx((probe.xi(rest, ctx) > 0.5).mean())
    assert value.curve == (value.value,)
