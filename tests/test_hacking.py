"""The stop rule for a model that learns to please its scorers: a held-out scorer that falls twice, beyond its noise."""

from types import SimpleNamespace

import pytest

from germline.core.measurement import Measurement
from germline.hacking import fallen

SELECTING = [SimpleNamespace(name="selects")]


def measured(held_out, selects=(0.1, 0.2, 0.3, 0.4), half=0.01):
    def one(name, value):
        return Measurement("alignment", value, "samples", 384, name, d=1, low=value - half, high=value + half)

    other = Measurement("entropy", 1.0, "samples")
    return [[one("judges", a), one("selects", b), other] for a, b in zip(held_out, selects, strict=False)]


@pytest.mark.parametrize(
    ("held_out", "half", "stops"),
    [
        ((0.30, 0.34, 0.32, 0.28), 0.01, True),
        ((0.30, 0.34, 0.32, 0.33), 0.01, False),  # fell once, and rose
        ((0.30, 0.34, 0.335, 0.333), 0.01, False),  # fell twice, within the noise of the two ends: 0.007 against 0.014
        ((0.30, 0.34, 0.335, 0.333), 0.004, True),
        ((0.30, 0.34, 0.20), 0.01, False),  # once is not twice
        ((0.34, 0.30), 0.01, False),
    ],
)
def test_a_held_out_scorer_that_falls_twice_beyond_its_noise_stops_the_run(held_out, half, stops):
    found = fallen(measured(held_out, half=half), SELECTING)
    assert (found is not None) == stops
    if found:
        assert (found.scorer, found.best, found.values) == ("judges", 1, held_out)
        assert "judges, which chose nothing, fell twice: 0.3, 0.34" in found.text()
        assert found.to_json()["word"] == "hacked"


def test_a_scorer_that_selects_is_not_asked():
    assert fallen(measured((0.3, 0.4, 0.5, 0.6), selects=(0.9, 0.5, 0.4, 0.3)), SELECTING) is None
    assert fallen(measured((0.3, 0.4, 0.5, 0.6), selects=(0.9, 0.5, 0.4, 0.3)), []).scorer == "selects"


def test_a_scorer_that_was_not_measured_in_every_generation_is_not_read():
    values = measured((0.5, 0.4, 0.3))
    values[1] = [value for value in values[1] if value.extractor != "judges"]
    assert fallen(values, SELECTING) is None
