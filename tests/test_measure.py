"""Measurements lie beside the record, are read back, and never end a run."""

from dataclasses import replace

import pytest

from germline import standard
from germline.core import sealed
from germline.features import PCA, Pixels
from germline.measure import measure, measured
from germline.metrics import Coverage, Frechet, Generalisation, RealShare, Spectrum


def test_a_metric_that_cannot_be_measured_is_left_out_with_its_reason(finished, tiny):
    generation = finished.chain[1]
    impossible = Frechet(PCA(Pixels(), dims=99))
    with pytest.warns(UserWarning, match="goes on without this metric: pca99-pixels needs dims"):
        values = measure(generation, tiny, [impossible, RealShare()])
    assert {value.name for value in values} == {"real_share"}


@pytest.mark.filterwarnings("ignore:generation 0 goes on without")
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_real_rows_end_no_run(finished, tiny, rows):
    few = {name: getattr(tiny, name).take(range(rows)) for name in ("real", "held_out")}
    data = replace(tiny, classes=(), judge=tiny.judge.take([0, 1]), **few)
    found = {value.name for value in measure(finished.chain[0], data, standard.of_prompts(data))}
    assert "duplicates" in found
    assert ({"coverage", "generalisation_score", "variance"} <= found) == (rows > 1)


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (Coverage(Pixels()), "Coverage with k = 1 needs at least 2 held-out rows, but got 1; give more rows"),
        (Generalisation(), "Generalisation needs at least 2 rows of each kind, but got 1 of the reference; give more rows"),
        (Spectrum(Pixels()), "A spectrum needs at least 2 rows, but got 1; give more rows"),
    ],
)
def test_what_one_row_cannot_bear_is_left_out_with_its_reason(finished, tiny, metric, says):
    with pytest.warns(UserWarning, match=f"goes on without this metric: {says}"):
        assert not measure(finished.chain[0], replace(tiny, held_out=tiny.held_out.take([0])), [metric])


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
