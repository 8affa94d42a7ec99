"""What tells that a model learns to please its scorers: each measure against a closed form, a library, or a planted effect."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from germline.core.cache import Cache
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.evidence import Evidence
from germline.core.pool import Pool
from germline.core.splits import Splits
from germline.features import Pixels
from germline.metrics import Alike, BaseDistance, Colour, RankCorrelation, VoteAgreement, VotesKept, Weights
from germline.metrics.alike import twins
from germline.metrics.colour import colourfulness, contrast
from germline.metrics.rank_correlation import spearman
from germline.metrics.vote_agreement import auc, kappa
from germline.metrics.weights import histogram
from germline.report.glossary import entry
from germline.scorers import Function, Ratings
from germline.weighters import DistributionWeight


class Known(Context):
    """A context whose generations are given as pools."""

    def samples(self, number):
        return POOLS[number]


POOLS: list[Pool] = []
RNG = np.random.default_rng(0)


def noise(n, spread=40, mean=128, side=4):
    return np.clip(RNG.normal(mean, spread, (n, side, side, 3)), 0, 255).astype(np.uint8)


def evidence(pools, held_out, log_weight=None):
    POOLS[:] = pools
    data = Splits("made", (), held_out, held_out, held_out, held_out)
    ctx = Known(len(pools) - 1, 0, data, generations=(None,) * len(pools), cache=Cache(None))
    training = pools[-1] if log_weight is None else replace(pools[-1], log_weight=log_weight)
    return Evidence(pools[-1], training, data, ctx)


def pool(images, generation, conditions=None):
    return Pool.of(images, np.array([f"prompt {i}" for i in range(len(images))]) if conditions is None else conditions, generation)


def test_base_distance_is_the_mean_of_all_pairs_and_twice_the_variance_for_the_base_itself():
    base, later = pool(noise(30), 0), pool(noise(30, mean=150), 1)
    held_out = pool(noise(20), -1)
    weigher = DistributionWeight(Pixels(), beta=1, sigma2=1)
    x, y = (Pixels()(one, Context(0, 0, None)).astype(np.float64) for one in (base, later))
    found = {value.of: value for value in BaseDistance(weigher)(evidence([base, later], held_out))}
    assert found["samples"].value == pytest.approx(np.square(y[:, None] - x[None]).mean(), rel=1e-6)
    (first, _) = BaseDistance(weigher)(evidence([base], held_out))
    assert first.value == pytest.approx(2 * x.var(axis=0).mean(), rel=1e-6)
    assert found["samples"].low > first.high, "a shift of the mean by half a deviation is seen"
    assert (first.extractor, first.d, len(first.curve)) == ("pixels, mse", 48, 7)
    grey = pool(np.full((30, 4, 4, 3), 128, np.uint8), 1)
    assert BaseDistance(weigher)(evidence([base, grey], held_out))[0].value < 0.6 * first.value, "what turns grey comes nearer"
    lengths = BaseDistance(replace(weigher, distance="l2"))(evidence([base, later], held_out))[0]
    assert lengths.value == pytest.approx(np.linalg.norm(y[:, None] - x[None], axis=2).mean(), rel=1e-5)


def test_weights_are_a_histogram_and_a_share_in_effect():
    rows = pool(noise(10), 0)
    log_weight = np.log([1.0] * 5 + [0.55] * 3 + [0.05] * 2) - 7
    mean, share = Weights()(evidence([rows], rows, log_weight))
    assert mean.value == pytest.approx(0.675)
    assert mean.curve == (0.2, 0, 0, 0, 0, 0.3, 0, 0, 0, 0.5)
    assert share.value == pytest.approx(6.75**2 / (5 + 3 * 0.55**2 + 0.005) / 10)
    assert mean.of == share.of == "training"
    assert histogram(np.array([0.0, 1.0])) == (0.5, *[0] * 8, 0.5)
    assert [value.value for value in Weights()(evidence([rows], rows, np.full(10, -3.0)))] == [1, 1]


def test_contrast_and_colour_of_images_whose_numbers_are_known():
    black_white = np.zeros((1, 4, 4, 3), np.uint8)
    black_white[:, :2] = 255
    assert contrast(black_white) == pytest.approx([127.5])
    assert colourfulness(black_white) == pytest.approx([0])
    red_cyan = np.zeros((1, 4, 4, 3), np.uint8)
    red_cyan[:, :2, :, 0], red_cyan[:, 2:, :, 1:] = 200, 200
    # rg is 200 and -200; yb is 100 and -100: no mean, deviations 200 and 100
    assert colourfulness(red_cyan) == pytest.approx([np.hypot(200, 100)])
    plain_red = np.zeros((1, 4, 4, 3), np.uint8)
    plain_red[..., 0] = 100
    assert colourfulness(plain_red) == pytest.approx([0.3 * np.hypot(100, 50)])
    assert contrast(plain_red[..., :1]) == contrast(plain_red) == [0]
    dull, gaudy = noise(60, 10), noise(60, 60)
    found = {(value.name, value.of): value for value in Colour()(evidence([pool(gaudy, 0)], pool(dull, -1)))}
    for name in ("contrast", "colourfulness"):
        assert found[name, "samples"].low > found[name, "reference"].high
    (only, _) = Colour()(evidence([pool(gaudy[..., :1], 0)], pool(dull[..., :1], -1)))
    assert only.name == "contrast", "grey images have no colours"


@pytest.mark.parametrize("extractor", [None, Pixels()])
def test_twins_are_counted_at_generation_zeros_own_rate(extractor):
    base, same, twins = (noise(200) for _ in range(3))
    twins[:60] = twins[100:160]
    twins[:60, 0, 0, 0] ^= 1
    (first,) = Alike(extractor)(evidence([pool(base, 0)], pool(base, -1)))
    assert first.value == pytest.approx(0.05, abs=0.006)
    (healthy,) = Alike(extractor)(evidence([pool(base, 0), pool(same, 1)], pool(base, -1)))
    assert healthy.low < 0.05 < healthy.high
    (found,) = Alike(extractor)(evidence([pool(base, 0), pool(twins, 1)], pool(base, -1)))
    assert found.value == pytest.approx(0.65, abs=0.07)
    assert found.low > healthy.high
    with pytest.raises(BadInput, match=r"quantile=2"):
        Alike(quantile=2)


def test_the_interval_of_twins_holds_the_base_rate_of_a_model_that_did_not_drift():
    """60 pairs of equal laws: the interval holds the quantile about as often as it says, though the threshold is estimated too."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        near = [np.sort(np.abs(np.subtract.outer(*[rng.normal(size=150)] * 2)), axis=1)[:, 1] for _ in range(2)]
        _, low, high = twins(near[0], near[1], 0.05)
        held.append(low <= 0.05 <= high)
    assert np.mean(held) > 0.9


def test_spearman_is_scipys_and_its_interval_is_over_prompts():
    a = RNG.normal(size=300).round(1)
    b = (a + RNG.normal(size=300)).round(1)
    value, low, high = spearman(a, b)
    assert value == pytest.approx(spearmanr(a, b).statistic)
    half = 1.96 / np.sqrt(297) * (1 - value**2)  # Fisher's z, near enough for ranks
    assert (low, high) == (pytest.approx(value - half, abs=0.03), pytest.approx(value + half, abs=0.03))
    prompts = np.repeat(np.arange(30), 10)
    alike, other = np.repeat(RNG.normal(size=30), 10), np.repeat(RNG.normal(size=30), 10)
    wide, narrow = spearman(alike, other, prompts), spearman(alike, other)
    assert wide[0] == narrow[0] == pytest.approx(spearmanr(alike, other).statistic)
    assert wide[2] - wide[1] > 2 * (narrow[2] - narrow[1]), "ten rows of a prompt are not ten draws"
    assert spearman(a, a)[0] == 1
    assert spearman(a, -a)[0] == -1


def test_the_intervals_hold_the_truth_about_as_often_as_they_say():
    """Independent scores: 0 lies in 95 % of the intervals, give or take the noise of 60 of them."""
    held = [found[1] <= 0 <= found[2] for found in (spearman(*np.random.default_rng(i).normal(size=(2, 80))) for i in range(60))]
    assert np.mean(held) > 0.86


def brightness(images, conditions):
    return images.mean(axis=(1, 2, 3))


def redness(images, conditions):
    return images[..., 0].mean(axis=(1, 2))


def test_a_scorer_that_was_gamed_no_longer_agrees_with_the_held_out_one():
    """All three channels move together at first; later the model raises red alone, which the selecting scorer alone rewards."""
    shade = RNG.integers(40, 200, (100, 1, 1, 1)) + RNG.integers(0, 30, (100, 4, 4, 3))
    honest = shade.astype(np.uint8)
    gamed = honest.copy()
    gamed[..., 0] = RNG.integers(0, 255, (100, 1, 1))
    metric = RankCorrelation(Function(redness, "red"), Function(brightness, "bright"))
    real, first = pool(honest, -1), metric(evidence([pool(honest, 0)], pool(honest, -1)))
    assert first[0].value > 0.95
    (later, reference) = metric(evidence([pool(honest, 0), pool(gamed, 1)], real))
    assert later.high < first[0].low
    assert reference.value == first[0].value
    assert later.extractor == "red with bright"
    with pytest.raises(BadInput, match=r"RankCorrelation needs 3 rows .* flat tells apart, but it gives 100 samples rows 1 values"):
        RankCorrelation(Function(flat, "flat"), Function(brightness, "bright"))(evidence([real], real))


def flat(images, conditions):
    return np.ones(len(images))


def test_agreement_with_votes_is_the_librarys(tmp_path):
    scores = RNG.normal(size=80).round(1)
    kept = scores + RNG.normal(size=80) > 0
    value, low, high = auc(scores, kept)
    assert value == pytest.approx(roc_auc_score(kept, scores))
    assert low < value < high
    assert kappa(scores > 0, kept)[0] == pytest.approx(cohen_kappa_score(scores > 0, kept))
    assert kappa(kept, kept)[0] == 1
    images = noise(40)
    images[:20] //= 2
    table = tmp_path / "votes.csv"
    table.write_text("row,generation,score\n" + "".join(f"{row},1,{int(row >= 20)}\n" for row in range(5, 35)))
    metric = VoteAgreement(Function(brightness, "bright"), Ratings(table), threshold=95)
    rows = evidence([pool(noise(40), 0), pool(images, 1)], pool(images, -1))
    found = {value.name: value for value in metric(rows)}
    assert found.keys() == {"vote_auc", "vote_kappa"}
    assert found["vote_auc"].value == found["vote_kappa"].value == 1
    (kept,) = VotesKept(Ratings(table))(rows)
    assert (kept.name, kept.value, kept.n, kept.extractor) == ("votes_kept", 0.5, 30, None)
    assert kept.low < 0.5 < kept.high
    with pytest.raises(BadInput, match=r"VotesKept: none of 40 samples has a vote; measure the generation that was voted on"):
        VotesKept(Ratings(table))(evidence([pool(images, 0)], pool(images, -1)))
    with pytest.raises(BadInput, match=r"of 40 samples 0 have votes, 0 of them keep; vote on more"):
        metric(evidence([pool(images, 0)], pool(images, -1)))


def test_every_measure_is_explained():
    for name in (
        "base_distance",
        "weight",
        "ess_share",
        "contrast",
        "colourfulness",
        "alike",
        "rank_correlation",
        "mean_score",
        "vote_auc",
        "vote_kappa",
        "votes_kept",
    ):
        assert entry(name).meaning, name
