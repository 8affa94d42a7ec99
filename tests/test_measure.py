"""Measurements lie beside the record, are read back, and never end a run."""

import pytest

from germline.core import sealed
from germline.features import PCA, Pixels
from germline.measure import measure, measured
from germline.metrics import Coverage, Frechet, RealShare


def test_a_metric_that_cannot_be_measured_is_left_out_with_its_reason(finished, tiny):
    generation = finished.chain[1]
    impossible = Frechet(PCA(Pixels(), dims=99))
    with pytest.warns(UserWarning, match="goes on without this metric: pca99-pixels needs dims"):
        values = measure(generation, tiny, [impossible, RealShare()])
    assert {value.name for value in values} == {"real_share"}


def test_measured_numbers_are_read_back_and_added_to(finished, tiny):
    generation = finished.chain[1]
    first = measure(generation, tiny, [RealShare()])
    path = generation.path / "metrics.json"
    before = path.read_bytes()
    assert measure(generation, tiny, [RealShare()]) == first
    assert path.read_bytes() == before
    more = measure(generation, tiny, [RealShare(), Coverage(Pixels())])
    assert more[: len(first)] == first
    assert len(sealed.read(path)["measurements"]) == 2
    assert sorted(map(repr, measured(generation))) == sorted(map(repr, more))


def test_metrics_are_no_part_of_the_record(finished, tiny):
    before = finished.chain[1].digest
    measure(finished.chain[1], tiny, [RealShare()])
    assert finished.chain[1].digest == before
    finished.chain.check()
