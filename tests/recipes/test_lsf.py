"""Latent-space filtering in the loop: the rows trained on are those that the recorded confidence says, and it never changes its mind."""

from dataclasses import replace

import numpy as np
import pytest

from germline.data import digits
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.features import Pixels
from germline.flags import parse
from germline.loop import Loop
from germline.measure import measure
from germline.recipes.lsf import SIGMAS, lsf
from germline.recipes.setup import Setup
from germline.studies.lsf import METRICS as LATENT

N = 100
TINY = Setup(founder_images=640, images=128, batch=64, channels=(8, 16), steps=2, guidance_scale=1.0)
DATA = digits({"real": N, "reserve": 100, "judge": 400, "held_out": 100})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lsf")


@pytest.fixture(scope="module")
def chain(folder):
    """ACU-LSF, two generations after the founder."""
    loop = Loop.at(folder / "acu", lsf(N, setup=TINY), DATA)
    list(loop.run(2))
    return loop


def chosen(generation):
    """The offer, and which of its rows were trained on."""
    offer, training = generation.offer(DATA), generation.training(DATA)
    kept = {tuple(row) for row in training.origin.tolist()}
    return offer, np.array([tuple(row) in kept for row in offer.origin.tolist()])


def filtered(folder, name, **options):
    recipe = lsf(N, setup=TINY, **options)
    if options.get("farthest"):
        recipe = replace(recipe, selector=replace(recipe.selector, selector=replace(recipe.selector.selector, extractor=Pixels())))
    *_, generation = Loop.at(folder / name, recipe, DATA).run(1)
    return chosen(generation)


@pytest.mark.parametrize("number", [1, 2])
def test_acu_lsf_trains_on_the_surest_of_everything_so_far(chain, number):
    generation = chain.chain[number]
    offer, kept = chosen(generation)
    score = offer.columns["confidence"]
    assert (len(offer), kept.sum(), generation.images_seen()) == ((number + 1) * N, N, 128)
    assert set(offer.generation.tolist()) == {-1, *range(number)}
    assert score[kept].min() >= score[~kept].max()
    assert score.std() > 0


def test_an_old_row_has_the_score_it_had(chain):
    first, second = (chain.chain[number].offer(DATA) for number in (1, 2))
    np.testing.assert_array_equal(first.origin, second.origin[: len(first)])
    np.testing.assert_array_equal(first.columns["confidence"], second.columns["confidence"][: len(first)])


def test_the_probe_reads_the_latents_of_generation_0_and_is_sure_of_the_own_label(chain):
    (probe,) = chain.recipe.scorers
    ctx = chain.chain.context(2, DATA)
    latents = ctx.features(probe.space(ctx), DATA.real)
    assert latents.shape == (N, 16 * 2 * 2)
    assert probe.parameters(ctx) == 64 * 10 + 10
    assert len(probe.accuracies(ctx)) == len(SIGMAS)
    assert max(probe.accuracies(ctx)) > 0.3, "chance is 0.1"
    wrong = replace(DATA.real, condition=(DATA.real.condition + 1) % 10)
    assert (probe(DATA.real, ctx) > probe(wrong, ctx)).mean() > 0.9


def test_syn_lsf_trains_on_the_surest_half_of_the_last_samples(folder):
    offer, kept = filtered(folder, "syn", loop="replace")
    score = offer.columns["confidence"]
    assert (len(offer), kept.sum(), set(offer.generation.tolist())) == (2 * N, N, {0})
    assert score[kept].min() >= score[~kept].max()


def test_per_class_keeps_the_surest_of_every_class(folder):
    offer, kept = filtered(folder, "per-class", per_class=True)
    assert np.bincount(offer.condition[kept]).tolist() == [N // 10] * 10
    for label in range(10):
        score, here = offer.columns["confidence"][offer.condition == label], kept[offer.condition == label]
        assert score[here].min() >= score[~here].max()


def test_farthest_keeps_rows_among_the_surest_and_not_just_those(folder):
    offer, kept = filtered(folder, "farthest", farthest=True)
    score = offer.columns["confidence"]
    assert kept.sum() == N
    assert score[kept].min() >= np.sort(score)[-3 * N // 2]
    assert score[kept].min() < np.sort(score)[-N]


def test_each_probe_is_surer_of_the_rows_it_was_fitted_on(chain):
    """Row by row, on one generation 0: the control that is fitted on judge rows has no such bond with R."""
    (own,) = chain.recipe.scorers
    ctx = chain.chain.context(1, DATA)
    fitted = {"real": DATA.real, "judge": DATA.judge.take(np.arange(N))}
    for rows, other in (("real", "judge"), ("judge", "real")):
        gain = replace(own, fit_on=rows)(fitted[rows], ctx) - replace(own, fit_on=other)(fitted[rows], ctx)
        assert gain.mean() > 4 * gain.std() / np.sqrt(N)
    learned_nothing = replace(own, fit_on="random").xi(DATA.real, ctx)
    assert own.xi(DATA.real, ctx).mean() > 0.2 > learned_nothing.mean()


def test_the_studys_metrics_see_every_generation_in_one_space_with_one_probe(chain):
    """Generation 0 too; held-out rows are the same level at each, since latents and probe are those of generation 0."""
    first, last = ({(v.name, v.of): v for v in measure(chain.chain[number], DATA, LATENT)} for number in (0, 2))
    assert set(last) - set(first) == {("confidence_made", "training")}
    assert ("ole", "samples") in first
    references = [key for key in first if key[1] == "reference"]
    assert [last[key] for key in references] == [first[key] for key in references]
    assert 0 < first["confidence", "reference"].value < 1
    assert 0 < first["class_angle", "reference"].value < 90
    assert 1 < first["class_rank", "reference"].value < 10
    assert first["confidence", "training"].value == first["confidence_real", "training"].value
    assert first["probe_accuracy", "reference"].n == 300
    assert len(first["probe_accuracy", "reference"].curve) == len(SIGMAS)


def test_clusters_stand_in_for_labels(folder):
    offer, kept = filtered(folder, "clusters", clusters=5)
    score = offer.columns["confidence"]
    assert score[kept].min() >= score[~kept].max()
    assert np.isfinite(score).all()


def test_lsf_composes_with_a_guidance_schedule_by_flags_alone(folder):
    """``germline run lsf --guidance-schedule exp_floor --guidance-scale 3``: the samples that are filtered are guided by the schedule."""
    flags = [
        "--founder-images",
        "640",
        "--images",
        "128",
        "--channels",
        "8",
        "16",
        "--steps",
        "4",
        "--guidance-schedule",
        "exp_floor",
        "--guidance-scale",
        "3",
        "--data",
        "digits",
    ]
    given = parse("lsf", ["--n", str(N), *flags])
    loop = Loop.at(folder / "scheduled", lsf(**given.kwargs), DATA)
    founder, generation = loop.run(1)
    offer, kept = chosen(generation)
    assert kept.sum() == N
    assert offer.columns["confidence"][kept].min() >= offer.columns["confidence"][~kept].max()
    assert loop.recipe.sampler.guidance_scale == GuidanceSchedule("exp_floor", 3.0, 3.0)
    constant = replace(loop.recipe.sampler, guidance_scale=3.0)(founder.model, np.arange(20), loop.chain.context(0, DATA))
    assert not np.array_equal(constant.images[:], founder.samples.images[:20])
