"""Precision, recall, density, coverage and the hallucination rate."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import gaussian_splits
from germline.core.balls import scale
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.features import Pixels
from germline.metrics import Hallucination, Support
from germline.metrics.support import Balls

GOLDEN = Path(__file__).parent.parent / "golden"
ARRAYS = np.load(GOLDEN / "selection.npz")
EXPECTED = json.loads((GOLDEN / "selection.json").read_text())["prdc"]["values"][0]


def values(real, made, k=5):
    return {name: value for name, (value, *_) in Balls.of(real, made, k).shares().items()}


def brute(real, made, k):
    """Return the four numbers as they are written in the papers, from all distances in float64."""
    real, made = real.astype(np.float64), made.astype(np.float64)
    across, own, theirs = (np.sqrt(np.square(a[:, None] - b[None]).sum(axis=2)) for a, b in ((real, made), (real, real), (made, made)))
    real_radii, made_radii = np.sort(own, axis=1)[:, k], np.sort(theirs, axis=1)[:, k]
    inside = across < real_radii[:, None]
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": (across < made_radii).any(axis=1).mean(),
        "density": inside.sum() / (k * len(made)),
        "coverage": inside.any(axis=1).mean(),
    }


def test_golden():
    found = values(ARRAYS["features"], ARRAYS["other"])
    assert found == pytest.approx({name: EXPECTED[name] for name in found}, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_against_brute_force(k):
    rng = np.random.default_rng(k)
    real, made = rng.normal(size=(130, 5)).astype(np.float32), rng.normal(0.3, 0.8, (170, 5)).astype(np.float32)
    assert values(real, made, k) == pytest.approx(brute(real, made, k), abs=1e-12)


def test_equal_laws_have_the_expected_coverage_and_density():
    # Naeem et al.: E[coverage] = 1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k)), about 1 - 2^-k at n = m; E[density] = 1
    n, m, k = 300, 200, 3
    found = [values(*np.split(np.random.default_rng(seed).normal(size=(n + m, 4)), [n]), k) for seed in range(20)]
    steps = np.arange(1, k + 1)
    expected = 1 - np.prod((n - steps) / (n + m - steps))
    assert np.mean([each["coverage"] for each in found]) == pytest.approx(expected, abs=0.012)
    assert np.mean([each["density"] for each in found]) == pytest.approx(1, abs=0.03)


def test_a_shrunken_law_loses_recall_and_a_widened_one_precision():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(400, 6)), rng.normal(size=(400, 6))
    same, narrow, wide = values(real, made), values(real, made * 0.5), values(real, made * 2)
    assert narrow["precision"] > same["precision"] > wide["precision"] + 0.3
    assert narrow["recall"] < same["recall"] - 0.3
    assert values(real, made + 99) == dict.fromkeys(same, 0)


@pytest.fixture
def data():
    return gaussian_splits(400, 4)


def evidence_of(samples, data):
    return Evidence(Pool.of(samples, np.zeros(len(samples), np.int64), 1), data.real, data, Context(1, 0, data))


def test_the_metric_measures_as_the_functions_do(data):
    images = np.random.default_rng(7).normal(127.5, 20, (300, 4, 4, 1)).clip(0, 255).astype(np.uint8)
    evidence = evidence_of(images, data)
    held_out, real, made = (evidence.ctx.features(Pixels(), pool) for pool in (data.held_out, data.real, evidence.samples))
    found = {(m.name, m.of): m for m in Support(Pixels())(evidence)}
    for of, rows in (("samples", made), ("reference", real)):
        for name, value in brute(held_out, rows, 5).items():
            measured = found[name, of]
            assert measured.value == pytest.approx(value, abs=1e-12)
            assert measured.low < measured.value < measured.high
            assert (measured.n, measured.k, measured.d, measured.extractor) == (len(rows), 5, 16, "pixels")
    with pytest.raises(BadInput, match="at least 6 rows on both sides, but got 5 samples and 400 held-out rows"):
        Support(Pixels())(evidence_of(images[:5], data))


def test_fresh_real_rows_are_outside_at_the_null_rate_and_planted_outliers_are_found(data):
    fresh = gaussian_splits(1_000, 4, seed=5).real.images[:]
    found = {m.of: m for m in Hallucination(Pixels(), null=0.1)(evidence_of(fresh, data))}
    # sd: 0.0095 of 1,000 rows and 0.015 of a scale from 400
    assert found["samples"].value == pytest.approx(0.1, abs=3 * 0.018)
    assert found["reference"].value == 0.1
    assert found["training"].value <= 0.1  # R itself set the scale
    planted = fresh.copy()
    planted[:200] = np.random.default_rng(0).integers(0, 2, (200, 4, 4, 1), dtype=np.uint8) * 255
    found = {m.of: m for m in Hallucination(Pixels(), null=0.1)(evidence_of(planted, data))}
    assert found["samples"].value == pytest.approx(0.2 + 0.8 * 0.1, abs=3 * 0.018)
    assert found["samples"].low < found["samples"].value < found["samples"].high


def test_the_scale_is_the_conformal_quantile():
    assert scale(np.arange(1.0, 20), 0.05) == 19  # the ceil(20 * 0.95) = 19th of 19
    assert scale(np.arange(99.0, 0, -1), 0.1) == 90
    for null, needed in ((0.05, 19), (0.01, 99)):
        with pytest.raises(BadInput, match=f"needs at least {needed} real rows, but got 18"):
            scale(np.arange(18.0), null)
    with pytest.raises(BadInput, match=r"null=1.5\) must be between 0 and 1"):
        scale(np.arange(18.0), 1.5)


def test_fresh_rows_exceed_the_scale_no_more_often_than_stated():
    rng = np.random.default_rng(0)
    exceeds = [rng.random() > scale(rng.random(39), 0.1) for _ in range(4_000)]
    assert np.mean(exceeds) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 4_000))  # exactly 0.1 where 40 * 0.9 is whole


def test_too_few_held_out_rows():
    small = gaussian_splits(4, 4)
    with pytest.raises(BadInput, match="at least 6 held-out rows, but got 4; lower k"):
        Hallucination(Pixels())(evidence_of(small.real.images[:], small))
