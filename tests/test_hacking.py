"""The stop rule for a model that learns to please its scorers: a held-out scorer stays low beyond its noise, and what chose does not."""

from types import SimpleNamespace

import numpy as np
import pytest

from germline.core.measurement import Measurement
from germline.hacking import fallen

SELECTING = [SimpleNamespace(name="selects")]


def measured(held_out, selects=(0.1, 0.2, 0.3, 0.4), half=0.01):
    def one(name, value, of="alignment"):
        return Measurement(of, value, "samples", 384, name, d=1, low=value - half, high=value + half)

    other = Measurement("entropy", 1.0, "samples")
    return [[one("judges", a), one("selects", b, "mean_score"), other] for a, b in zip(held_out, selects, strict=False)]


@pytest.mark.parametrize(
    ("held_out", "half", "stops"),
    [
        ((0.30, 0.34, 0.32, 0.28), 0.01, True),
        ((0.30, 0.34, 0.32, 0.33), 0.01, False),  # the last one is within the noise of the best: 0.01 against 0.019
        ((0.30, 0.34, 0.335, 0.333), 0.01, False),
        ((0.30, 0.34, 0.335, 0.333), 0.002, True),
        ((0.30, 0.34, 0.20), 0.01, False),  # once is not twice
        ((0.34, 0.30), 0.01, False),
        ((0.30, 0.24, 0.25), 0.01, True),  # fell at once and stayed there, though it rose a little
    ],
)
def test_a_held_out_scorer_that_is_below_its_best_twice_beyond_its_noise_stops_the_run(held_out, half, stops):
    found = fallen(measured(held_out, half=half), SELECTING)
    assert (found is not None) == stops
    if found:
        best = int(np.argmax(held_out))
        assert (found.scorer, found.best, found.values) == ("judges", best, held_out)
        assert found.text().startswith("judges, which chose nothing, lay twice below its best: 0.3, ")
        assert "selects, which chose, did not fall with it: 0.1, 0.2, 0.3" in found.text()
        assert found.to_json()["word"] == "hacked"
        assert found.to_json()["chose"] == {"selects": [0.1, 0.2, 0.3, 0.4][: len(held_out)]}


def test_a_model_that_gets_worse_by_every_scorer_is_not_called_hacked():
    held_out = (0.30, 0.34, 0.32, 0.28)
    assert fallen(measured(held_out, selects=(0.2, 0.3, 0.25, 0.2)), SELECTING) is None
    assert fallen(measured(held_out, selects=(0.2, 0.3, 0.25, 0.29)), SELECTING) is not None, "within its noise it did not fall"
    both = [*SELECTING, SimpleNamespace(name="judges")]
    assert fallen(measured((0.4, 0.4, 0.4, 0.4), selects=held_out), both) is None, "nothing is held out"


def test_a_scorer_that_selects_is_not_asked_and_without_one_nothing_is_gamed():
    values = measured((0.3, 0.4, 0.5, 0.6), selects=(0.9, 0.5, 0.4, 0.3))
    assert fallen(values, SELECTING) is None
    assert fallen(values, [SimpleNamespace(name="judges")]).scorer == "selects"
    assert fallen(values, []) is None


def test_a_scorer_that_was_not_measured_in_every_generation_is_not_read():
    values = measured((0.5, 0.4, 0.3))
    values[1] = [value for value in values[1] if value.extractor != "judges"]
    assert fallen(values, SELECTING) is None


def stopped(drift, chains=400, rounds=9, half=0.01):
    """The share of chains that are stopped at any round, whose held-out mean moves by ``drift`` standard errors a round."""
    error = half / 1.959964
    count = 0
    for seed in range(chains):
        draw = np.random.default_rng(seed)
        means = 0.3 + error * (draw.normal(size=rounds) + drift * np.arange(rounds))
        values = measured(means, selects=0.3 + error * draw.normal(size=rounds), half=half)
        count += any(fallen(values[:last], SELECTING) for last in range(3, rounds + 1))
    return count / chains


def test_of_chains_that_stand_still_one_in_a_hundred_is_stopped_in_eight_rounds_and_of_those_that_fall_slowly_most():
    assert stopped(0) < 0.03
    assert stopped(-1) > 0.8
