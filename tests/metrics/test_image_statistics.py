"""Measures of the images themselves: closed forms, the numbers of the toy's notes, and a pattern that is planted or not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.features import Pixels
from germline.metrics import Fingerprint, LatentStatistics, PowerSpectrum, Saturation
from germline.metrics.fingerprint import means, pattern, residual, strength
from germline.metrics.latent_statistics import beside, moments, summary
from germline.metrics.power_spectrum import power, rings


def grey(x):
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def evidence_of(samples, held_out, real=None, condition=None, folder=None):
    pools = [Pool.of(images) for images in (held_out if real is None else real, held_out)]
    data = Splits("made", ("all",), pools[0], pools[0], pools[0], pools[1])
    made = Pool.of(samples, condition, 1)
    return Evidence(made, data.real, data, Context(1, 0, data, cache=Cache(folder)))


def named(metric, evidence, of="samples"):
    return {value.name: value for value in metric(evidence) if value.of == of}


@pytest.fixture(scope="module")
def reference():
    """The 700 reference digits of the toy, in its order: shuffled by default_rng(7), after the first 30 of each class."""
    digits = load_digits()
    order = np.random.default_rng(7).permutation(len(digits.target))
    first = np.concatenate([[i for i in order if digits.target[i] == c][:30] for c in range(10)])
    rows = np.array([i for i in order if i not in set(first)][:700])
    return np.rint(digits.images[rows] * (255 / 16)).astype(np.uint8)[..., None], digits.target[rows]


def test_the_toys_reference_has_the_numbers_of_its_notes(reference):
    images, labels = reference
    evidence = evidence_of(images, images, condition=labels)
    values, detail = named(LatentStatistics(), evidence), named(PowerSpectrum(), evidence)
    assert values["std"].value == pytest.approx(0.752, abs=0.003)
    assert values["within_variance"].value * 690 / 700 == pytest.approx(0.171, abs=0.001)  # theirs is divided by n
    assert 64 * detail["high_frequency"].value == pytest.approx(5.86, abs=0.06)


def test_high_frequencies_on_eight_by_eight_are_the_notes_formula_over_64(reference):
    x = reference[0][:50, ..., 0].astype(np.float64) / 127.5 - 1
    k = np.fft.fftfreq(8, 1 / 8)
    high = np.hypot(k[:, None], k) >= 3
    each = [(np.abs(np.fft.fft2(image - image.mean())) ** 2 / 64)[high].sum() for image in x]
    found = named(PowerSpectrum(), evidence_of(reference[0][:50], reference[0][:50]))
    assert found["high_frequency"].value == pytest.approx(np.mean(each) / 64, rel=1e-9)
    assert found["high_frequency_share"].value == pytest.approx(np.mean(each) / 64 / x.var(axis=(1, 2)).mean(), rel=1e-9)


@pytest.mark.parametrize("shape", [(400, 32, 32, 1), (200, 24, 40, 3)])
def test_white_noise_has_a_flat_spectrum_and_its_share_is_that_of_the_area(shape):
    noise = grey(np.random.default_rng(0).normal(127.5, 25, shape))
    found = named(PowerSpectrum(), evidence_of(noise, noise))
    curve, variance = np.array(found["high_frequency"].curve), noise.var() / 127.5**2
    assert len(curve) == min(shape[1:3]) // 2
    assert curve == pytest.approx(variance, rel=0.08)
    radius = np.hypot(np.fft.fftfreq(shape[1])[:, None], np.fft.fftfreq(shape[2]))
    assert found["high_frequency_share"].value == pytest.approx((radius >= 0.375).mean(), rel=0.01)
    assert found["high_frequency_share"].low < (radius >= 0.375).mean() < found["high_frequency_share"].high


def test_a_wave_has_all_its_power_in_its_ring():
    wave = 127.5 + 100 * np.sin(2 * np.pi * 4 * np.arange(32) / 32)
    images = grey(np.broadcast_to(wave[None, :, None, None], (3, 32, 32, 1)))
    curve = rings(power(images).mean(axis=0))
    assert curve.argmax() + 1 == 4
    assert curve[3] > 0.99 * curve.sum()
    assert power(images).sum(axis=(1, 2)) / 1024 == pytest.approx(images.var(axis=(1, 2, 3)) / 127.5**2)  # Parseval


def test_kurtosis_is_three_for_a_gaussian_whatever_its_variances_and_below_for_flat_ones():
    rng, condition = np.random.default_rng(1), np.zeros(20_000, np.int64)
    scales = np.array([0.01, 1.0, 30.0])
    gaussian = summary(moments(rng.normal(5, scales, (20_000, 3)), condition))["kurtosis"]
    assert gaussian[0] == pytest.approx(3, abs=0.15)
    assert gaussian[1] < 3 < gaussian[2]
    assert summary(moments(rng.uniform(-1, 1, (20_000, 3)), condition))["kurtosis"][0] == pytest.approx(1.8, abs=0.02)
    two_values = np.array([[-1.0], [1.0]] * 50)
    assert summary(moments(two_values, condition[:100]))["kurtosis"][0] == pytest.approx(1)
    assert "kurtosis" not in summary(moments(np.ones((5, 2)), condition[:5]))


def test_the_interval_of_the_kurtosis_is_what_other_rows_give():
    rng, condition = np.random.default_rng(2), np.zeros(500, np.int64)
    again = np.array([summary(moments(rng.laplace(size=(500, 20)), condition))["kurtosis"][:3] for _ in range(40)])
    width = (again[:, 2] - again[:, 1]).mean() / (2 * 1.96)
    assert width == pytest.approx(again[:, 0].std(ddof=1), rel=0.35)


def test_moments_do_not_depend_on_their_blocks(monkeypatch):
    rng = np.random.default_rng(3)
    x, condition = rng.normal(size=(30, 17)).astype(np.float32), np.arange(30) % 4
    whole = moments(x, condition, 2.0, -1.0)
    monkeypatch.setattr("germline.metrics.latent_statistics.ELEMENTS", 60)
    parts = moments(x, condition, 2.0, -1.0)
    y = x.astype(np.float64) * 2 - 1
    for name, rows in whole.items():
        assert parts[name] == pytest.approx(rows, rel=1e-10), name
    assert whole["first"].mean() == pytest.approx(y.mean())
    assert whole["second"].mean() == pytest.approx(y.var())
    v = y.var(axis=0)
    assert whole["square"].mean() == pytest.approx(v @ v)
    assert whole["fourth"].mean() == pytest.approx(((y - y.mean(axis=0)) ** 4).mean(axis=0).sum())


def test_within_variance_leaves_out_what_conditions_differ_by_and_rows_that_are_alone():
    rng = np.random.default_rng(4)
    prompts = np.array(["a cat", "a dog", "a fox"])[np.arange(3_000) % 3]
    x = rng.normal(0, 2, (3_000, 5)) + 50 * (np.arange(3_000) % 3)[:, None]
    found = summary(moments(x, prompts))["within_variance"]
    assert found[0] == pytest.approx(4, rel=0.03)
    assert found[3] == 3_000
    twice = np.array([[0.0], [2.0], [10.0], [14.0], [99.0]])
    labels = np.array(["one", "one", "two", "two", "alone"])
    assert summary(moments(twice, labels))["within_variance"][::3] == (pytest.approx((2 + 8) / 2), 4)  # unbiased: 2 and 8
    assert "within_variance" not in summary(moments(twice, np.array(list("abcde"))))
    assert "within_variance" not in summary(moments(twice, np.full(5, -1)))  # classes that nobody told


def test_neighbours_are_uncorrelated_in_noise_and_correlated_where_blurred():
    rng = np.random.default_rng(5)
    noise = rng.normal(127.5, 30, (300, 17, 16, 1))
    assert summary(_with(grey(noise)))["neighbour_correlation"][0] == pytest.approx(0, abs=0.01)
    # Means of two neighbours down the columns: correlation 1/2 that way, 0 the other, about equally many pairs.
    means = (noise[:, 1:] + noise[:, :-1]) / 2
    pairs = 15 * 16 / (15 * 16 + 16 * 15)
    assert summary(_with(grey(means)))["neighbour_correlation"][0] == pytest.approx(pairs / 2, abs=0.01)


def _with(images):
    return {**moments(images.reshape(len(images), -1), np.zeros(len(images), np.int64)), **beside(images)}


def test_features_have_no_neighbours_and_are_named_by_their_extractor():
    images = grey(np.random.default_rng(6).normal(127.5, 30, (30, 4, 4, 1)))
    found = named(LatentStatistics(Pixels()), evidence_of(images, images))
    assert "neighbour_correlation" not in found
    assert {value.extractor for value in found.values()} == {"pixels"}
    assert found["mean"].value == pytest.approx(images.mean(), rel=1e-6)
    assert found["std"].value == pytest.approx(images.std(), rel=1e-6)


def test_saturation_counts_both_ends():
    images = np.full((4, 2, 2, 1), 128, np.uint8)
    images[0, 0, 0], images[0, 1, 1], images[1, 0, 0], images[2, 0, 0], images[3, 0, 0] = 0, 255, 255, 1, 254
    found = named(Saturation(), evidence_of(images, images))["saturation"]
    assert found.value == 3 / 16
    assert found.curve == (1 / 16, 2 / 16)
    assert found.low < found.value < found.high


def test_a_pattern_on_flat_images_is_found_exactly():
    # A checkerboard of +-9: the local mean is 1 there, the local variance everywhere the noise, so 8 of the 9 are left.
    board = 9 * (-1.0) ** np.add.outer(np.arange(8), np.arange(10))
    flat = np.full((30, 8, 10, 1), 128, np.uint8)
    marked = grey(flat + board[..., None])
    assert residual(marked)[0, ..., 0] == pytest.approx(board * 8 / 9, abs=1e-9)
    found = named(Fingerprint(), evidence_of(marked, flat))
    assert found["fingerprint"].value == pytest.approx(8)
    assert found["fingerprint"].low == pytest.approx(8)
    assert pattern(Pool.of(marked), Pool.of(flat))[..., 0] == pytest.approx(board * 8 / 9, abs=1e-9)


def test_edges_stay_in_the_denoised_image():
    step = grey(np.where(np.arange(32) < 16, 40.0, 200.0)[None, None, :, None] + np.random.default_rng(7).normal(0, 3, (1, 32, 32, 1)))
    assert np.abs(residual(step)).max() < 20  # a filter that is blind to edges leaves 53 of the step of 160


def drawn(seed, n, stripes=0.0):
    """Images of one outline in many places and shades, noise, and the same stripes in all."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(16), np.arange(16))
    centre = rng.normal(8, 1.5, (n, 2, 1, 1))
    disc = np.hypot(x - centre[:, 0], y - centre[:, 1]) < 4
    images = 60 + rng.uniform(40, 120, (n, 1, 1)) * disc + rng.normal(0, 8, (n, 16, 16)) + stripes * (-1.0) ** x
    return grey(images)[..., None]


def test_a_planted_pattern_is_found_and_none_where_there_is_none():
    held_out, real = drawn(100, 300), drawn(101, 300)
    evidence = evidence_of(drawn(0, 300, stripes=2.0), held_out, real)
    found, level = named(Fingerprint(), evidence), named(Fingerprint(), evidence, "reference")
    assert found["fingerprint"].low > 0.5
    assert found["fingerprint"].value == pytest.approx(2 * 4 / 3, rel=0.2)  # less what edges hide
    assert found["fingerprint_ratio"].value > 5
    seen = pattern(evidence.samples, evidence.data.held_out)[..., 0]
    planted = (-1.0) ** np.broadcast_to(np.arange(16), (16, 16))
    assert np.corrcoef(seen.ravel(), planted.ravel())[0, 1] > 0.8
    assert level["fingerprint"].low == 0
    assert level["fingerprint_ratio"].value < 2


def test_without_a_pattern_the_ratio_is_one_and_the_interval_holds_zero():
    rng = np.random.default_rng(8)
    found = [strength(rng.normal(0, 3, (20, 200))) for _ in range(200)]
    assert np.mean([one.ratio for one in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([one.low > 0 for one in found]) <= 0.05
    p = rng.normal(0, 1, 200)
    planted = [strength(p + rng.normal(0, 3, (20, 200))) for _ in range(50)]
    size = np.sqrt(np.mean(p**2))
    assert np.mean([one.value**2 for one in planted]) == pytest.approx(size**2, rel=0.05)  # unbiased, unlike the mean's own size
    assert np.mean([one.low <= size <= one.high for one in planted]) >= 0.9


def test_rows_in_order_of_their_classes_are_no_pattern():
    first, second = drawn(1, 150), 255 - drawn(2, 150)
    images, shuffled = np.concatenate([first, second]), np.random.default_rng(0).permutation(300)
    other = np.concatenate([drawn(3, 150), 255 - drawn(4, 150)])
    for rows in (images, images[shuffled]):
        assert named(Fingerprint(), evidence_of(rows, other))["fingerprint_ratio"].value < 2


def test_balanced_sets_have_the_ratio_of_their_means_not_of_parts_by_chance():
    """Of two classes that differ wholly, balanced sets vary by what varies within a class only."""
    found = []
    for seed in range(30):
        sets = [np.concatenate([drawn(4 * seed + i, 40), 255 - drawn(4 * seed + i + 2, 40)]) for i in (0, 1)]
        pools = [Pool.of(rows, np.repeat([0, 1], 40)) for rows in sets]
        found.append(strength(means(pools[0], 20) - means(pools[1], 20)))
    assert np.mean([one.ratio for one in found]) == pytest.approx(1, abs=0.06)
    assert np.mean([one.low > 0 for one in found]) <= 0.1


def test_too_few_rows_for_a_fingerprint():
    images = drawn(0, 5)
    with pytest.raises(BadInput, match="Fingerprint needs 3 parts of a row or more on each side, but has 2; give more rows"):
        Fingerprint()(evidence_of(images[:2], images))


@pytest.mark.parametrize("metric", [LatentStatistics(), PowerSpectrum(), Fingerprint()])
def test_what_real_rows_give_is_computed_once(metric, tmp_path):
    images = drawn(0, 30)
    evidence = evidence_of(images, images[::-1].copy(), folder=tmp_path)
    first = metric(evidence)
    again = metric(replace(evidence, ctx=replace(evidence.ctx, cache=Cache(tmp_path))))
    assert [value for value in first if value.of == "reference"] == [value for value in again if value.of == "reference"]
    assert list(tmp_path.rglob("*.safetensors"))
