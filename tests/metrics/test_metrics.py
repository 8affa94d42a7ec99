import json
from dataclasses import dataclass
from math import gamma, log, pi
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from scipy.special import digamma

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.noise import bootstrap, wilson
from germline.core.pool import Pool
from germline.metrics import Ages, Agreement, Coverage, Entropy, Frechet, Generalisation, RealShare
from germline.metrics.ages import effective_sample_size
from germline.metrics.coverage import coverage
from germline.metrics.entropy import contributions, entropy
from germline.metrics.frechet import Moments, frechet_distance, frechet_distance_of_rows
from germline.metrics.generalisation import generalisation_score, mean_nearest_distance
from germline.selectors import Uniform

GOLDEN = Path(__file__).parent.parent / "golden"
ARRAYS = np.load(GOLDEN / "selection.npz")
VALUES = json.loads((GOLDEN / "selection.json").read_text())
A, B = ARRAYS["features"], ARRAYS["other"]
SETS = {
    "features": A,
    "other": B,
    "fps_subset": A[ARRAYS["fps_order"]],
    "tdf0_subset": A[ARRAYS["tdf0_order"]],
    "tdf1_subset": A[ARRAYS["tdf1_order"]],
}


@dataclass(frozen=True)
class Corner:
    """Four pixels."""

    def __call__(self, pool, ctx):
        return np.asarray(pool.images[:], np.float32)[:, :2, :2, 0].reshape(len(pool), 4)


@dataclass(frozen=True)
class Always:
    label: int

    def predict(self, pool, ctx):
        return np.full(len(pool), self.label)


@pytest.fixture
def evidence(tiny, tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (24, 4, 4, 1), dtype=np.uint8)
    samples = Pool.of(images, np.arange(24) % 3, 2)
    training = Pool.concat([tiny.real.take(np.arange(6)), Pool.of(images[:12][::-1], np.zeros(12, np.int64), 0)])
    return Evidence(samples, training, tiny, Context(2, 0, tiny, cache=Cache(tmp_path / "cache")))


def by_place(measurements):
    return {(m.name, m.of): m for m in measurements}


# Entropy


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("name", SETS)
def test_entropy_golden(k, name):
    assert entropy(SETS[name], k) == pytest.approx(VALUES["entropy"]["values"][f"k={k}"][name], rel=1e-6)


@pytest.mark.parametrize(("d", "mean", "sd"), [(1, 1.419, 0.021), (2, 2.824, 0.023), (5, 7.043, 0.034)])
def test_entropy_of_a_gaussian(d, mean, sd):
    assert abs(entropy(np.random.default_rng(d).normal(size=(5000, d))) - mean) < 4 * sd


def test_entropy_of_the_unit_square_is_zero():
    assert abs(entropy(np.random.default_rng(0).random((5000, 2))) - 0.002) < 4 * 0.014


def test_entropy_with_all_radii_one():
    # 50 far-apart pairs at distance 1: H = psi(100) - psi(1) + log(4 pi / 3)
    x = np.zeros((100, 3), np.float32)
    x[:, 0] = np.repeat(np.arange(50) * 10, 2) + np.tile([0, 1], 50)
    assert entropy(x) == pytest.approx(digamma(100) - digamma(1) + log(pi**1.5 / gamma(2.5)), rel=1e-12)
    assert entropy(x) == pytest.approx(6.609789, abs=1e-6)


def test_entropy_scales():
    assert entropy(A * 4) - entropy(A) == pytest.approx(16 * log(4), rel=1e-9)


def test_entropys_interval_is_that_of_the_mean_log_radius_given_the_neighbours(evidence):
    features = np.random.default_rng(3).normal(size=(400, 4)).astype(np.float32)
    each = contributions(features)
    assert each.mean() == pytest.approx(entropy(features), rel=1e-12)
    low, high = bootstrap(each)
    assert (high - low) / 2 == pytest.approx(1.96 * each.std() / 20, rel=0.1)
    found = by_place(Entropy(Corner())(evidence))["entropy", "samples"]
    assert found.low < found.value < found.high


def test_copies_are_an_error_in_the_function_and_cost_about_ten_nats_with_an_offset():
    with_copy = np.concatenate([A, A[:1]])
    with pytest.raises(BadInput, match=r"minus infinity: row 0 equals 1 other rows"):
        entropy(with_copy)
    assert entropy(with_copy, offset=1e-10) < entropy(A) - 1
    with pytest.raises(BadInput, match="needs at least 6 distinct rows, but got 3"):
        entropy(A[:3], 5)


def test_entropy_counts_copies_and_leaves_them_out(evidence):
    plain = by_place(Entropy(Corner())(evidence))
    rows = np.concatenate([np.arange(24), [3, 3, 7]])
    copied = by_place(Entropy(Corner())(Evidence(evidence.samples.take(rows), evidence.training, evidence.data, evidence.ctx)))
    assert copied["entropy", "samples"] == plain["entropy", "samples"]
    assert copied["entropy_copies", "samples"].value == 3
    assert plain["entropy_copies", "samples"].value == 0
    assert copied["entropy", "samples"].n == 24
    released = by_place(
        Entropy(Corner(), with_copies=True)(Evidence(evidence.samples.take(rows), evidence.training, evidence.data, evidence.ctx))
    )
    assert released["entropy", "samples"].n == 27
    assert released["entropy", "samples"].value < plain["entropy", "samples"].value - 1


# Generalization score


def test_generalisation_golden():
    golden = VALUES["nearest_neighbour"]
    assert generalisation_score(B, A) == pytest.approx(golden["gs_l2"], rel=1e-6)
    assert generalisation_score(A, B) == pytest.approx(golden["reverse_gs_l2"], rel=1e-6)
    assert generalisation_score(B, A, mean_squared=True) == pytest.approx(golden["gs_mse_per_element"], rel=1e-6)
    assert mean_nearest_distance(A) == pytest.approx(golden["within_features_l2"], rel=1e-6)
    assert mean_nearest_distance(A, mean_squared=True) == pytest.approx(golden["within_features_mse_per_element"], rel=1e-6)


def test_samples_that_are_training_rows_score_zero(evidence):
    memorised = Evidence(evidence.training.take(np.arange(5)), evidence.training, evidence.data, evidence.ctx)
    for extractor in (None, Corner()):
        found = by_place(Generalisation(extractor)(memorised))
        assert found["generalisation_score", "samples"].value == 0
        assert found["generalisation_score", "reference"].value > 0
        assert found["mnnd", "training"].value > 0


def test_images_one_grey_level_apart_are_at_distance_root_d():
    image = np.random.default_rng(0).integers(1, 255, (1, 8, 8, 3))
    step = np.where(np.random.default_rng(1).random((1, 8, 8, 3)) < 0.5, 1, -1)
    a, b = (x.astype(np.uint8).reshape(1, -1).astype(np.float32) for x in (image, image + step))
    assert generalisation_score(a, b) == np.sqrt(192)
    assert generalisation_score(a, b, mean_squared=True) == pytest.approx(1, rel=1e-12)


def test_pixels_are_compared_in_0_to_255(tiny, tmp_path):
    black, grey = (Pool.of(np.full((3, 4, 4, 1), value, np.uint8), None, g) for g, value in ((1, 0), (0, 100)))
    found = by_place(Generalisation()(Evidence(black, grey, tiny, Context(1, 0, tiny, cache=Cache(tmp_path / "cache")))))
    assert found["generalisation_score", "samples"].value == 100.0**2


# Frechet distance


def sqrtm_distance(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(0) - b.mean(0)
    return gap @ gap + np.trace(ca) + np.trace(cb) - 2 * np.trace(scipy.linalg.sqrtm(ca @ cb).real)


def test_frechet_golden():
    expected = VALUES["frechet"]["value"]
    a, b = A.astype(np.float64), B.astype(np.float64)
    got = frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    assert got == pytest.approx(expected, rel=1e-6)
    assert Moments.of(A).distance(Moments.of(B)) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance_of_rows(A, B) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_commuting_gaussians_in_closed_form():
    a, b = np.array([4.0, 9.0, 1.0]), np.array([1.0, 16.0, 0.0])
    mu = np.array([1.0, 2.0, 3.0])
    for left, right in ((a, b), (b, a), (b, b * [4, 1, 1])):
        expected = 14 + np.square(np.sqrt(left) - np.sqrt(right)).sum()
        assert frechet_distance(mu, np.diag(left), 0 * mu, np.diag(right)) == pytest.approx(expected, rel=1e-12)


def test_frechet_with_fewer_rows_than_features():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 50)), rng.normal(size=(15, 50)) * 2 + 1
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = scipy.linalg.eigh(ca)
    half = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    trace = np.sqrt(np.maximum(scipy.linalg.eigvalsh(half @ cb @ half), 0)).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(ca) + np.trace(cb) - 2 * trace
    assert frechet_distance_of_rows(a, b) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(a.mean(0), ca, b.mean(0), cb) == pytest.approx(expected, rel=1e-5)


def test_frechet_to_itself_is_nothing_and_moments_merge():
    assert abs(Moments.of(A).distance(Moments.of(A))) < 1e-10
    whole, merged = Moments.of(A), Moments.of(A[:100]).merge(Moments.of(A[100:450])).merge(Moments.of(A[450:]))
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, np.cov(A.astype(np.float64), rowvar=False), rtol=1e-9)


def test_frechet_metric_names_its_extractor_and_sums_the_reference_once(evidence):
    found = by_place(Frechet(Corner())(evidence))
    corner = Corner()
    features = {"samples": evidence.samples, "training": evidence.training, "reference": evidence.data.real}
    target = corner(evidence.data.held_out, evidence.ctx).astype(np.float64)
    for of, pool in features.items():
        measured = found["FD-corner", of]
        assert measured.value == pytest.approx(sqrtm_distance(corner(pool, evidence.ctx).astype(np.float64), target), rel=1e-6)
        assert (measured.n, measured.d, measured.better) == (len(pool), 4, "low")
    with pytest.raises(BadInput, match=r"more rows than the 4 features of corner, but got 4; give it more rows, or .* PCA"):
        Frechet(Corner())(Evidence(evidence.samples.take(np.arange(4)), evidence.training, evidence.data, evidence.ctx))
    with pytest.warns(UserWarning, match="goes on without its training set in Frechet: .* but got 4"):
        chosen = by_place(Frechet(Corner())(Evidence(evidence.samples, evidence.training.take(np.arange(4)), evidence.data, evidence.ctx)))
    assert chosen == {place: value for place, value in found.items() if place[1] != "training"}


# Coverage, shares, agreement


def test_coverage_golden_at_k_5():
    assert coverage(A, B, 5) == pytest.approx(VALUES["prdc"]["values"][0]["coverage"], abs=1e-12)


def test_coverage_of_a_perfect_model_is_about_one_half():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 4))
    assert abs(coverage(real, made) - 2000 / 3999) < 0.05
    assert coverage(real, made + 100) == 0
    assert coverage(real, real) == 1


def test_coverage_metric_matches_the_function(evidence):
    found = by_place(Coverage(Corner(), k=2)(evidence))
    corner = Corner()
    held_out = corner(evidence.data.held_out, evidence.ctx)
    for of, pool in (("samples", evidence.samples), ("training", evidence.training), ("reference", evidence.data.real)):
        assert found["coverage", of].value == coverage(held_out, corner(pool, evidence.ctx), 2)


def test_real_share_age_and_effective_sample_size(evidence):
    assert by_place(RealShare()(evidence))["real_share", "training"].value == pytest.approx(6 / 18)
    found = by_place(Ages()(evidence))
    assert found["mean_age", "training"].value == 2
    assert found["ess", "training"].value == pytest.approx(18)
    assert effective_sample_size(np.log([3.0, 1.0]) + 500) == pytest.approx(16 / 10)
    assert effective_sample_size(np.array([0.0, -np.inf])) == 1
    only_real = Evidence(evidence.samples, evidence.data.real, evidence.data, evidence.ctx)
    assert ("mean_age", "training") not in by_place(Ages()(only_real))


def test_ages_are_weighted_as_the_trainer_weights_them(evidence):
    made = [Pool.of(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64), g) for g in (0, 1)]
    mixed = Pool.concat([evidence.data.real, *made]).weighed(np.log([*[1.0] * 20, 3.0, 3.0, 1.0, 0.0 + 1e-300]))
    found = by_place(Ages()(Evidence(evidence.samples, mixed, evidence.data, evidence.ctx)))
    assert found["mean_age", "training"].value == pytest.approx((3 * 2 + 3 * 2 + 1) / 7)
    assert found["ess", "training"].value == pytest.approx(27**2 / (20 + 9 + 9 + 1))


def test_agreement_beside_the_classifiers_own_accuracy(evidence):
    found = by_place(Agreement(Always(0))(evidence))
    assert found["agreement", "samples"].value == pytest.approx(8 / 24)
    assert found["agreement", "reference"].value == pytest.approx((evidence.data.held_out.condition == 0).mean())
    low, high = wilson(8, 24)
    assert (low, high) == (found["agreement", "samples"].low, found["agreement", "samples"].high)
    assert (low, high) == pytest.approx((0.1797, 0.5329), abs=5e-4)  # Wilson's interval of 8 in 24
    prompts = Pool.of(evidence.samples.sources[2], np.array(["cat"] * 24), 2)
    with pytest.raises(BadInput, match="needs classes as conditions, but those of the samples are <U3"):
        Agreement(Always(0))(Evidence(prompts, evidence.training, evidence.data, evidence.ctx))


@pytest.mark.parametrize(
    "metric", [Frechet(Corner()), Coverage(Corner()), Entropy(Corner()), Generalisation(), RealShare(), Ages(), Agreement(Always(1))]
)
def test_measurements_are_strict_json(metric, evidence):
    for measurement in metric(evidence):
        json.dumps(measurement.to_json(), allow_nan=False)


def test_a_uniform_subset_of_the_real_data_has_its_distances():
    half = A[Uniform(300)(Pool.of(np.zeros((600, 1, 1, 1), np.uint8)), Context(1, 0, None))]
    assert mean_nearest_distance(half) > mean_nearest_distance(A)
    assert generalisation_score(half, A) == 0
