"""The null line is an identity of neighbour distances, and the bands are t-intervals over seeds."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.intervals import over_seeds
from germline.core.measurement import Measurement
from germline.metrics.entropy import entropy
from germline.metrics.generalisation import mean_nearest_distance
from germline.report.arms import groups
from germline.report.curves import panels, series_of
from germline.report.law import laws, null_slope
from report.test_page import make


def test_the_slope_is_that_of_scaling():
    rows = np.random.default_rng(0).normal(size=(50, 6))
    rise = math.log10(mean_nearest_distance(3 * rows)) - math.log10(mean_nearest_distance(rows))
    run = entropy(3 * rows) - entropy(rows)
    assert rise / run == pytest.approx(null_slope(6), rel=1e-5)


@dataclass(frozen=True)
class OnTheLine:
    """Entropy, and a GS that is MNND itself, of a grid whose neighbours are all at one distance r = sd of the samples."""

    def __call__(self, evidence):
        r = float(evidence.samples.images[:].std())
        values = {"entropy": 4 * math.log(r), "generalisation_score": r, "mnnd": r}
        return [Measurement(name, value, "samples", 20, "pixels", 1, 4) for name, value in values.items()]


def test_points_of_a_null_model_lie_on_the_null_line(tmp_path):
    data = gaussian_splits(20, 2)
    (law,) = laws(groups(make(tmp_path, data, generations=2, metrics=(OnTheLine(),)))[0])
    assert len(law.points) == 9
    for point in law.points:
        assert point.log_gs == pytest.approx(law.constant + law.slope * point.entropy)
    x, y = law.figure.traces[0]["x"], law.figure.traces[0]["y"]
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(1 / (4 * math.log(10)))


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)])
def test_bands_are_the_interval_over_seeds(tmp_path, seeds):
    group = groups(make(tmp_path, gaussian_splits(20, 4), generations=1, seeds=seeds))[0]
    arm, series = group.arms[0], series_of(group)[0]
    drawn = [t for t in panels(group)[0].figure.traces if t.get("fill") == "toself" and t["legendgroup"] == f"arm{arm.style}"]
    if len(seeds) < 3:
        assert not drawn
        return
    ends = [over_seeds([series.of("samples", run)[g].value for run in arm.runs]) for g in (0, 1)]
    assert list(drawn[0]["y"]) == pytest.approx([ends[0].high, ends[1].high, ends[1].low, ends[0].low])
