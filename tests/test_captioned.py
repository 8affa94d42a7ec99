"""What is foretold of chains with one image a caption, and of pipelines, whose noise is in latents."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from germline import captioned, registry
from germline.cli import main
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.guidance import foretold, side_of
from germline.loop import Loop
from germline.mixers import Replace
from germline.pipelines.latents import encoded
from germline.pipelines.lora import Lora
from germline.pipelines.opened import open_pipeline
from germline.pipelines.tuned import Tuned
from germline.samplers import SamplePipeline
from germline.theory.guided_gaussian import effective_scale
from germline.trainers import Import, TunePipeline
from tiny_pipelines import SIDE, saved

N, PIXELS = 400, 6
PROMPTS = np.array([f"caption {i}" for i in range(N)])
TOLD, WITHIN = np.random.default_rng(0).normal(0, 14, (N, PIXELS, PIXELS, 1)), 10.0


def images_of(x):
    return np.clip(np.rint(127.5 + x), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Learn:
    """Learns what captions say, h of it, and ``by_heart`` of what a single image says besides."""

    h: float = 0.8
    by_heart: float = 0.0
    scale: float = 1.0  # the sampler's

    def __call__(self, data, previous, ctx):
        x = data.images[:].astype(np.float64) - 127.5
        said = TOLD if previous is None else self.scale * previous["shared"]  # what the images of these captions have in common
        return {"shared": self.h * (said + self.by_heart * (x - said))}

    def arrays(self, model):
        return model

    def restore(self, arrays):
        return arrays


@dataclass(frozen=True)
class Draw:
    """Draws g(s) = s times what was learned, with the spread of a caption's images."""

    n: int = N
    guidance_scale: float = 1.0
    within: float = WITHIN
    again: bool = True

    def __call__(self, model, rows, ctx):
        rows = np.asarray(rows)
        x = self.guidance_scale * model["shared"][rows % N] + self.within * ctx.normal("sample", rows, (PIXELS, PIXELS, 1))
        return Pool.of(images_of(x), PROMPTS[rows % N if self.again else np.minimum(rows, N - 1)], ctx.generation)


def data():
    noise = np.random.default_rng(1).normal(0, WITHIN, TOLD.shape)
    pool = Pool.of(images_of(TOLD + noise), PROMPTS)
    return Splits("captions", (), pool, pool, pool, pool)


DATA = data()


def loop(path, generations=0, learn=Learn(), **sampler):
    learn = replace(learn, scale=sampler.get("guidance_scale", 1.0))
    made = Loop.at(path, Recipe(founder=learn, mixer=Replace(), trainer=learn, sampler=Draw(**sampler)), DATA)
    list(made.run(generations))
    return made


def foresee(made, scales=(1.0, 1.25, 1.5, 2.0), rows=300):
    return captioned.predict(made.recipe, made.chain, DATA, scales, rows)


def test_the_planted_growth_and_spread_are_found(tmp_path):
    made = loop(tmp_path / "run", guidance_scale=1.5)
    assert captioned.single(made.chain, DATA, 300)
    found, within = foresee(made)
    assert within.share == pytest.approx(WITHIN**2 / (14**2 + WITHIN**2), abs=0.03)
    assert (within.by, within.captions, found.classes) == ("generation 0", 150, 300)
    assert found.h.value == pytest.approx(0.8, abs=0.05)
    assert found.critical.value == pytest.approx(1.25, abs=0.07)
    assert found.own.growth == pytest.approx(1.2, abs=0.07)
    assert found.own.scale == pytest.approx(1.5, abs=0.08)
    assert found.spread == pytest.approx(WITHIN / 127.5, rel=0.05)
    for at in found.scales:
        assert at.low < 0.8 * at.scale < at.high
        assert at.low < at.growth * (1 - within.share) * 1.02, "an image learned by heart is not ruled out"


@pytest.mark.parametrize("by_heart", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1.0, 2.2])
def test_the_interval_and_the_side_are_right_whether_images_are_learned_by_heart_or_not(by_heart, scale, tmp_path):
    """Without the correction, h would be 0.8 x 0.66 where captions alone are learned, and s* 1.9 instead of 1.25."""
    made = loop(tmp_path / "run", learn=Learn(by_heart=by_heart), guidance_scale=scale)
    found, within = foresee(made)
    assert found.own.low < 0.8 * scale < found.own.high
    assert found.critical.low is None or found.critical.low < 1.25
    assert found.critical.high is None or found.critical.high > 1.25
    list(made.run(2))
    seen = captioned.observed(made.chain, DATA, within.share)
    assert seen[0] == pytest.approx(found.own.growth, rel=0.05)
    side = "exaggerate" if 0.8 * scale > 1 else "blur"
    assert side_of(seen) == side
    assert found.own.side in (side, "hold")
    if by_heart == 0:
        curve = foretold(found.own.growth, 3, found.most)
        assert seen[:2] == pytest.approx(curve[:2], rel=0.2)


def test_what_cannot_be_foretold_says_why(tmp_path):
    made = loop(tmp_path / "run")
    with pytest.raises(BadInput, match="does not draw the prompts over again"):
        captioned.predict(replace(made.recipe, sampler=Draw(again=False)), made.chain, DATA, (1.0, 2.0))
    with pytest.raises(BadInput, match="needs 20 captions that samples and training set share, but there are 5"):
        captioned._pairs(PROMPTS[:5], PROMPTS, 300)
    with pytest.raises(BadInput, match="two rising scales"):
        foresee(made, scales=(2.0,))
    with pytest.raises(BadInput, match="draws of generation 0 than all images of the data do"):
        captioned.predict(replace(made.recipe, sampler=Draw(within=60.0)), made.chain, DATA, (1.0, 2.0))
    with pytest.raises(BadInput, match="nothing was absorbed yet"):
        captioned.predict(replace(made.recipe, founder=Import("a/name")), made.chain, DATA, (1.0, 2.0))


def test_captions_that_repeat_are_classes_as_before(tmp_path):
    pool = replace(DATA.real, condition=np.repeat(PROMPTS[: N // 4], 4))
    made = Loop.at(tmp_path / "run", Recipe(Learn(), Replace(), Learn(), Draw()), replace(DATA, real=pool))
    list(made.run(0))
    assert captioned.single(made.chain, replace(DATA, real=pool), 300), "the samples' captions are single"
    found = captioned.repeated(replace(pool, condition=np.array(["b", "a", "a", "c", "b"] + [f"{i}" for i in range(N - 5)])), 3)
    assert found.condition.tolist() == ["a", "a", "b"]


def test_the_verb_foretells_and_holds_it_against_the_chain(tmp_path, monkeypatch, capsys):
    made = loop(tmp_path / "run", guidance_scale=1.0)
    monkeypatch.setattr(registry, "open_run", lambda path: registry.Run("planted", made.chain, made.recipe, DATA))
    assert main(["guidance", str(made.chain.path), "--scales", "1", "1.5", "2"]) == 0
    said = capsys.readouterr().out
    assert "in 300 captions with one image each" in said
    assert "within a caption: 3" in said
    assert "draws of generation 0 can tell (2 images of 150 captions); intervals begin where images learned by heart" in said
    list(made.run(2))
    assert main(["guidance", str(made.chain.path), "--scales", "1", "1.5", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["observed_side"] == found["prediction"]["own"]["likely"] == "blur"
    assert found["observed"][0] == pytest.approx(found["prediction"]["own"]["growth"], rel=0.05)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A tiny pipeline tuned on 24 captions with a picture each."""
    root = tmp_path_factory.mktemp("pipelines")
    base = saved("sd1", root / "sd1")
    x = np.random.default_rng(0).integers(0, 255, (24, 1, 1, 3)) * np.ones((1, SIDE, SIDE, 1))
    pool = Pool.of(x.astype(np.uint8), PROMPTS[:24])
    splits = Splits("colours", (), pool, pool, pool, pool)
    tuner = TunePipeline(base, images=8, batch=4, lora=Lora(2))
    made = Loop.at(root / "run", Recipe(tuner, Replace(), tuner, SamplePipeline(24, steps=3, guidance_scale=2.0)), splits)
    list(made.run(0))
    return made, splits, base


def test_a_pipelines_spread_is_that_of_latents_within_a_caption_by_the_base(tuned):
    made, splits, base = tuned
    found, within = captioned.predict(made.recipe, made.chain, splits, (1.0, 2.0), 24)
    assert (within.by, within.captions) == ("the base", 20)
    opened, sampler = open_pipeline(base), SamplePipeline(24, steps=3, base=base)
    # The law by hand: two draws of the base for each caption, encoded; half the squared difference is the variance.
    ctx, pairs = made.chain.context(0, splits), captioned._pairs(PROMPTS[:24], PROMPTS[:24], 24)
    draws = captioned._law(made.recipe, made.chain[0].model, splits.real.take(pairs[:, 0]), pairs[:, 1], ctx, made.chain[0].digest)[2]
    assert (draws.condition[::2] == draws.condition[1::2]).all()
    latents = encoded(opened, draws.images[:], SIDE)[0].numpy()
    assert found.spread == pytest.approx(np.sqrt(np.square(latents[::2] - latents[1::2]).mean() / 2), rel=1e-4)
    if found.constant > 1:
        schedule = replace(sampler, guidance_scale=GuidanceSchedule("exp_floor", found.start, 3.0, "timestep"))
        assert effective_scale(schedule.scale(), found.spread, [*map(float, sampler.sigmas())]) == pytest.approx(found.constant, abs=1e-6)


def test_the_null_branchs_leak_is_how_far_samples_without_a_prompt_moved(tuned):
    made, splits, base = tuned
    sampler, ctx = replace(made.recipe.sampler, guidance_scale=0.0), made.chain.context(0, splits)
    rows = np.arange(24)
    u, u0 = (sampler(model, rows, ctx).images[:].astype(float).mean(0) for model in (made.chain[0].model, Tuned(open_pipeline(base))))
    m = splits.real.images[:].astype(float).mean(0)
    expected = ((u - u0) * (m - u0)).sum() / ((m - u0) ** 2).sum()
    assert captioned.leak(made.recipe, made.chain, splits, 24) == pytest.approx(expected, abs=1e-5)
    other = replace(made.recipe, sampler=replace(made.recipe.sampler, negative_prompt="x"))
    assert captioned.leak(other, made.chain, splits, 24) != pytest.approx(expected, abs=1e-7), "what is drawn is the null branch"


def test_no_pipeline_no_leak(tmp_path):
    made = loop(tmp_path / "run")
    assert captioned.leak(made.recipe, made.chain, DATA) is None


def test_the_schedule_is_matched_on_the_pipelines_own_levels(tuned):
    base = tuned[2]
    sampler = SamplePipeline(4, steps=20, base=base)
    start = captioned.latent_start(sampler, 1.4, 0.8)
    matched = replace(sampler, guidance_scale=GuidanceSchedule("exp_floor", start, 3.0, "timestep"))
    assert effective_scale(matched.scale(), 0.8, [*map(float, sampler.sigmas())]) == pytest.approx(1.4, abs=1e-6)
    assert captioned.latent_start(sampler, 0.9, 0.8) is None


def test_spread_is_without_bias_and_over_groups_of_two_or_more(tuned):
    opened = open_pipeline(tuned[2])
    images = np.random.default_rng(0).integers(0, 255, (9, SIDE, SIDE, 3), np.uint8)
    groups = np.array(["a", "a", "b", "b", "b", "c", "d", "d", "e"])
    x = encoded(opened, images, SIDE)[0].flatten(1).double().numpy()
    parts = [x[groups == name] for name in "abd"]
    by_hand = np.sqrt(sum(np.square(part - part.mean(0)).sum() for part in parts) / (sum(len(part) - 1 for part in parts) * x.shape[1]))
    assert captioned.latent_spread(opened, images, groups) == pytest.approx(by_hand)
    with pytest.raises(BadInput, match="two images of some caption"):
        captioned.latent_spread(opened, images[:2], np.array(["a", "b"]))
