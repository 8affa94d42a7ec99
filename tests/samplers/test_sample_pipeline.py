"""Samples of pipelines: against diffusers' own calls, and what is promised of rows, seeds and blank images."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import gaussian_splits
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, GermlineError, MissingExtra
from germline.core.pool import Pool
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.loop import Loop
from germline.mixers import Replace
from germline.pipelines.latents import decoded, encoded
from germline.pipelines.opened import open_pipeline
from germline.pipelines.tuned import Tuned
from germline.samplers import ReEncoded, SamplePipeline, sample_pipeline
from germline.trainers.imported import Import
from tiny_pipelines import KINDS, SIDE, diffusers, saved, without_t5

PROMPTS = np.array(["a cat", "bad dog", "red", "the sun"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in KINDS}


def captioned() -> Splits:
    images = np.random.default_rng(0).integers(0, 256, (len(PROMPTS), SIDE, SIDE, 3), dtype=np.uint8)
    pool = Pool.of(images, PROMPTS)
    none = pool.take(np.arange(0))
    return Splits("captioned", (), pool, none, none, none)


def context(generation=0, **more):
    return Context(generation, 5, captioned(), **more)


def model(folder, **arrays):
    return Tuned(open_pipeline(folder), arrays)


@pytest.mark.parametrize(
    ("kind", "scheduler"), [("sd1", "own"), ("sd1-2022", "own"), ("sdxl", "euler"), ("sd3", "dpmpp_2m"), ("sd3-t5", "own")]
)
def test_a_row_is_what_diffusers_makes_of_its_noise_and_prompt(kind, scheduler, folders):
    sampler = SamplePipeline(4, steps=3, scheduler=scheduler, guidance_scale=3.0)
    made = sampler(model(folders[kind]), [2, 1], context(generation=1))
    assert made.condition.tolist() == ["red", "bad dog"]
    assert made.columns["attempt"].tolist() == [0, 0]
    theirs = diffusers.DiffusionPipeline.from_pretrained(folders[kind], **without_t5(kind))
    theirs.set_progress_bar_config(disable=True)
    if scheduler == "euler":
        theirs.scheduler = diffusers.EulerDiscreteScheduler.from_config(theirs.scheduler.config)
    if scheduler == "dpmpp_2m":
        flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0, "num_train_timesteps": 1000}
        theirs.scheduler = diffusers.DPMSolverMultistepScheduler(**flow)
    noise = torch.from_numpy(context(generation=1).normal("sample/noise", [2, 1], open_pipeline(folders[kind]).latent_shape()))
    images = theirs(["red", "bad dog"], num_inference_steps=3, guidance_scale=3.0, latents=noise, output_type="np").images
    np.testing.assert_allclose(made.images[:].astype(int), np.rint(images * 255), atol=1)
    assert made.images[:].std(axis=(1, 2)).min() > 5


def with_scheduler(folder, to, change):
    shutil.copytree(folder, to)
    file = to / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    return to


@pytest.mark.parametrize("scheduler", ["DDPMScheduler", "EulerAncestralDiscreteScheduler"])
def test_rows_do_not_depend_on_n_or_on_the_rows_beside_them(scheduler, folders, tmp_path):
    """Of schedulers that draw noise at every step: each row has a stream of its own, the start and every step."""
    drawing = model(with_scheduler(folders["sd1"], tmp_path / "copy", {"_class_name": scheduler}))
    sampler = SamplePipeline(8, steps=4, batch=3)
    np.random.seed(1)
    whole = sampler(drawing, range(8), context()).images[:].astype(int)
    np.random.seed(2)
    alone = [replace(sampler, n=n)(drawing, rows, context()).images[:].astype(int) for n, rows in ((6, [5]), (8, [7, 5, 0]))]
    np.testing.assert_allclose(alone[0][0], whole[5], atol=1)
    np.testing.assert_allclose(alone[1], whole[[7, 5, 0]], atol=1)
    assert np.abs(whole[0] - whole[4]).mean() > 2, "rows 0 and 4 have one prompt and other noise"
    other = SamplePipeline(8, steps=4)(drawing, [0], Context(0, 6, captioned())).images[:].astype(int)
    assert np.abs(whole[0] - other[0]).mean() > 2, "another seed, other noise"


def test_prompts_keep_their_order(folders):
    sampler = SamplePipeline(12, images_a_prompt=3)
    assert sampler.prompts(np.arange(14), context()).tolist() == [word for word in PROMPTS for _ in range(3)] + ["a cat"] * 2
    assert SamplePipeline(9).prompts(np.arange(9), context()).tolist() == [*PROMPTS, *PROMPTS, "a cat"]


def test_the_fields_reach_the_pipeline(folders):
    opened, ctx = model(folders["sd1"]), context()
    plain = SamplePipeline(2, steps=4, guidance_scale=20.0)
    base = plain(opened, [0, 1], ctx).images[:].astype(int)
    for field, other in (
        ("steps", 5),
        ("scheduler", "dpmpp_2m"),
        ("guidance_scale", 5.0),
        ("guidance_scale", GuidanceSchedule("exp_floor", 20.0, rate=9.0)),
        ("negative_prompt", "dull"),
        ("precision", "bf16"),
    ):
        assert np.abs(replace(plain, **{field: other})(opened, [0, 1], ctx).images[:].astype(int) - base).max() > 1, field
    larger = replace(captioned().real, sources={-1: Pool.of(np.zeros((4, 48, 48, 3), np.uint8)).sources[-1]})
    made = replace(plain, size=48)(opened, [0, 1], replace(ctx, data=replace(captioned(), real=larger)))
    assert made.images.shape == (2, 48, 48, 3)
    half = replace(plain, precision="bf16")(opened, [0, 1], ctx).images[:].astype(int)
    assert np.abs(half - base).mean() < 3, "bf16 is close"
    as_run = replace(ctx, execution=Execution(precision="bf16"))
    np.testing.assert_array_equal(plain(opened, [0, 1], as_run).images[:], half, "auto is the run's")


def test_evaluations():
    assert SamplePipeline(1, steps=7).evaluations() == 14
    assert SamplePipeline(1, steps=7, guidance_scale=1.0).evaluations() == 7
    assert SamplePipeline(1, steps=7, guidance_scale=GuidanceSchedule()).evaluations() == 14


def test_a_blank_image_is_drawn_again_from_other_noise(folders, monkeypatch):
    """Row 2 comes out blank twice, row 0 once; what they are then is what the noise of that attempt makes."""
    tries = iter([[0, 2], [1], []])  # which of the images decoded are blank: rows 0 1 2 3, then rows 0 2, then row 2

    def sometimes(opened, latents):
        images = decoded(opened, latents)
        images[next(tries)] = 7
        return images

    sampler, ctx, opened = SamplePipeline(4, steps=2), context(), model(folders["sd1"])
    noise = {number: ctx.normal("sample/noise", [0, 1, 2, 3], (4, 16, 16), number) for number in range(3)}
    with monkeypatch.context() as patch:
        patch.setattr(sample_pipeline, "decoded", sometimes)
        made = sampler(opened, range(4), ctx)
    assert made.columns["attempt"].tolist() == [1, 0, 2, 0]
    by_hand = np.stack([noise[attempt][row] for row, attempt in enumerate([1, 0, 2, 0])])
    monkeypatch.setattr(Context, "normal", lambda self, stage, rows, shape, step=0: by_hand[np.asarray(rows)])
    np.testing.assert_allclose(made.images[:].astype(int), sampler(opened, range(4), ctx).images[:].astype(int), atol=1)


def test_images_that_stay_blank_end_the_run_with_their_prompt(folders, monkeypatch):
    draws = []
    monkeypatch.setattr(
        sample_pipeline, "decoded", lambda opened, latents: draws.append(len(latents)) or np.zeros((len(latents), SIDE, SIDE, 3), np.uint8)
    )
    says = r"row 3 of generation 2, prompt 'the sun', came out blank in 4 draws \(2 of 2 rows did\). Use precision='fp32'"
    with pytest.raises(GermlineError, match=says):
        SamplePipeline(4, steps=1)(model(folders["sd1"]), [3, 0], context(generation=2))
    assert draws == [2] * 4, "once and three times again"


def test_a_network_that_returns_nan_ends_the_run(folders):
    name = "conv_out.weight"
    arrays = {f"unet.{key}": value.detach().numpy() for key, value in open_pipeline(folders["sd1"]).network.named_parameters()}
    arrays[f"unet.{name}"] = np.full_like(arrays[f"unet.{name}"], np.nan)
    with pytest.raises(GermlineError, match="prompt 'bad dog', came out no longer a number in 4 draws .* train with a lower learning_rate"):
        SamplePipeline(4, steps=1)(model(folders["sd1"], **arrays), [1], context(generation=1))


def test_a_scheduler_that_draws_from_a_global_stream_is_refused(folders, monkeypatch):
    made = sample_pipeline.scheduler(open_pipeline(folders["sd1"]), "ddim")
    step = made.step
    monkeypatch.setattr(made, "step", lambda *args, **told: torch.randn(1) is not None and step(*args, **told))
    monkeypatch.setattr(sample_pipeline, "scheduler", lambda opened, name: made)
    with pytest.raises(BadInput, match="DDIMScheduler draws noise from a global stream, not from a row's seed; name another scheduler"):
        SamplePipeline(4, steps=1)(model(folders["sd1"]), [1], context())


@pytest.mark.parametrize(
    ("sampler", "data", "says"),
    [
        (
            SamplePipeline(2),
            gaussian_splits(4, SIDE),
            "needs real rows with prompts, but their conditions are int64; give a data set with captions",
        ),
        (SamplePipeline(2, size=64), captioned(), "makes images of 64 x 64 x 3, but the data's are 32 x 32 x 3"),
        (SamplePipeline(2, scheduler="plms"), captioned(), "there is no scheduler 'plms' for this network"),
    ],
)
def test_what_does_not_fit_is_said(sampler, data, says, folders):
    with pytest.raises(BadInput, match=says):
        sampler(model(folders["sd1"]), [0], Context(0, 0, data))


@pytest.mark.parametrize("field", ["n", "steps", "images_a_prompt", "batch"])
def test_fields_are_checked(field):
    with pytest.raises(BadInput, match=f"SamplePipeline: {field} must be at least 1, but is 0"):
        SamplePipeline(**{"n": 1, field: 0})


def test_a_missing_extra_is_named(folders, monkeypatch):
    opened = model(folders["sd1"])
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"needs diffusers; install it with: pip install 'germline\[t2i\]'"):
        SamplePipeline(1)(opened, [0], context())


def recipe(folder, sampler):
    return Recipe(source="ours", founder=Import(folder), mixer=Replace(), trainer=Import(folder), sampler=sampler)


def test_a_run_killed_in_sampling_goes_on_to_the_same_bytes(folders, tmp_path, monkeypatch):
    """Blocks of two rows; the second run stops in its second block, and the attempts are on record."""
    made, how = recipe(folders["sd1"], SamplePipeline(6, steps=2)), Execution(block=2)
    whole = Loop.at(tmp_path / "whole", made, captioned(), execution=how)
    *_, last = whole.run(1)
    begun, real, blocks = Loop.at(tmp_path / "killed", made, captioned(), execution=how), SamplePipeline.__call__, []

    def dying(self, model, rows, ctx):
        blocks.append(list(rows))
        if len(blocks) == 2:
            raise KeyboardInterrupt
        return real(self, model, rows, ctx)

    monkeypatch.setattr(SamplePipeline, "__call__", dying)
    with pytest.raises(KeyboardInterrupt):
        list(begun.run(1))
    *_, again = Loop.at(tmp_path / "killed", made, captioned(), execution=how).run(1)
    assert blocks[:4] == [[0, 1], [2, 3], [2, 3], [4, 5]], "the finished block was not drawn again"
    assert again.digest == last.digest
    assert last.samples.columns["attempt"].tolist() == [0] * 6
    assert last.samples.condition.tolist() == [*PROMPTS, "a cat", "bad dog"]


def test_a_chain_that_only_passes_the_vae(folders, tmp_path):
    control, opened = ReEncoded(4, folders["sdxl"]), open_pipeline(folders["sdxl"])
    zero, one = Loop.at(tmp_path / "run", recipe(folders["sdxl"], control), captioned()).run(1)
    images = captioned().real.images[:]
    for generation in (zero, one):
        images = decoded(opened, encoded(opened, images)[0])
        np.testing.assert_array_equal(generation.samples.images[:], images)
        assert generation.samples.condition.tolist() == PROMPTS.tolist()
    assert np.abs(zero.samples.images[:].astype(int) - one.samples.images[:]).max() > 1, "a second passage changes something too"


def test_a_chain_that_only_passes_the_vae_may_begin_with_a_samplers_images(folders, tmp_path):
    inner = SamplePipeline(3, steps=1)
    control = ReEncoded(3, folders["sd1"], sampler=inner)
    zero, one = Loop.at(tmp_path / "run", recipe(folders["sd1"], control), captioned(), execution=Execution("fp32")).run(1)
    np.testing.assert_array_equal(zero.samples.images[:], inner(model(folders["sd1"]), range(3), Context(0, 0, captioned())).images[:])
    opened = open_pipeline(folders["sd1"])
    np.testing.assert_array_equal(one.samples.images[:], decoded(opened, encoded(opened, zero.samples.images[:])[0]))


def test_re_encoding_says_what_does_not_fit(folders):
    with pytest.raises(BadInput, match="ReEncoded makes images of 16 x 16 x 3, but the data's are 32 x 32 x 3"):
        ReEncoded(4, folders["sd1"], size=16)(None, [0], context())
    with pytest.raises(BadInput, match="there is no folder"):
        ReEncoded(4, folders["sd1"] / "nowhere")


@pytest.mark.parametrize(("kind", "scheduler"), [("sd1", "euler"), ("sd1", "dpmpp_2m"), ("sdxl", "euler"), ("sd3", "own")])
def test_the_last_prediction_that_is_shown_is_the_image(kind, scheduler, folders):
    """With these solvers the last step goes to x0_hat itself."""
    base, seen = model(folders[kind]), {}

    def see(rows, sigma, x0_hat):
        for row, latents in zip(rows.tolist(), x0_hat, strict=True):
            seen.setdefault(row, []).append((sigma, latents))

    sampler = SamplePipeline(4, steps=3, scheduler=scheduler, guidance_scale=3.0, batch=2)
    made = sampler.watched(base, [2, 1, 3], context(generation=1), see)
    assert np.array_equal(made.images[:], sampler(base, [2, 1, 3], context(generation=1)).images[:])
    assert list(seen) == [2, 1, 3]
    assert all(sorted((sigma for sigma, _ in shown), reverse=True) == [sigma for sigma, _ in shown] for shown in seen.values())
    last = decoded(base.base, torch.stack([shown[-1][1] for shown in seen.values()]).float())
    assert np.abs(last.astype(int) - made.images[:]).max() <= 1
