"""Guidance in a wrapper of the network, against the guidance of diffusers' own pipelines."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from germline.core.errors import BadInput
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.pipelines.denoising import denoised
from germline.pipelines.guided import Guided, level
from germline.pipelines.latents import decoded
from germline.pipelines.opened import open_pipeline
from germline.pipelines.schedulers import scheduler
from germline.pipelines.texts import NULL, told
from tiny_pipelines import KINDS, SIDE, diffusers, saved, without_t5

PROMPTS = ["a cat", "bad dog"]
STEPS = 4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: saved(kind, root / kind) for kind in KINDS}


def start(opened):
    return torch.randn((2, *opened.latent_shape()), generator=torch.Generator().manual_seed(0))


def streams():
    return [torch.Generator().manual_seed(number) for number in (1, 2)]


def theirs(folder, scale, opened, negative=None, output="np"):
    """The library's own guidance, from the same noise."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, **without_t5(folder.name))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        PROMPTS,
        negative_prompt=negative and [negative] * 2,
        num_inference_steps=STEPS,
        guidance_scale=scale,
        latents=start(opened),
        generator=streams(),
        output_type=output,
    ).images


def ours(opened, scale, negative=NULL, network=None, method="own", steps=STEPS):
    network = network or opened.network
    rows, null = told(opened, PROMPTS), told(opened, [negative])
    return denoised(opened, network, scheduler(opened, method), rows, null, scale, steps, start(opened), streams())


def counted(network):
    """The rows of each call of the network."""
    calls = []
    hook = network.register_forward_pre_hook(
        lambda _, args, told: calls.append(len(args[0] if args else told["hidden_states"])), with_kwargs=True
    )
    return calls, hook


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_equal_to_the_librarys_own_guidance(kind, scale, folders):
    opened = open_pipeline(folders[kind])
    mine, other = ours(opened, scale), theirs(folders[kind], scale, opened, output="latent")
    np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-4)
    images = np.rint(theirs(folders[kind], scale, opened) * 255)
    np.testing.assert_allclose(decoded(opened, mine).astype(int), images, atol=1)  # a latent at 1e-4 may round to the next level
    if scale > 1:
        assert (mine - ours(opened, 1.0)).abs().max() > 1e-2, "the prompt and its scale say something"


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3"])
def test_negative_prompts_are_the_librarys(kind, folders):
    opened = open_pipeline(folders[kind])
    mine = ours(opened, 4.0, negative="dull grey")
    np.testing.assert_allclose(mine.numpy(), theirs(folders[kind], 4.0, opened, "dull grey", "latent").numpy(), atol=1e-4)
    assert (mine - ours(opened, 4.0)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["sd1", "sd3"])
def test_no_guidance_costs_one_evaluation(kind, folders):
    opened = open_pipeline(folders[kind])
    for scale, rows in ((1.0, 2), (0.0, 2), (2.0, 4)):
        calls, hook = counted(opened.network)
        ours(opened, scale, method="euler")
        hook.remove()
        assert calls == [rows] * STEPS


@pytest.mark.parametrize("kind", ["sd1", "sdxl", "sd3"])
@pytest.mark.parametrize("method", ["euler", "dpmpp_2m"])
def test_a_schedule_may_fall_to_one_and_rise_in_mid_run(kind, method, folders):
    """Guided inside an interval only: the run is a plain one outside it, and costs half there."""
    opened = open_pipeline(folders[kind])
    made = scheduler(opened, method)
    made.set_timesteps(6)
    levels = [level(opened.process, float(t)) for t in made.timesteps]
    schedule = GuidanceSchedule("interval", start=5.0, low=levels[4], high=levels[2])
    calls, hook = counted(opened.network)
    inside = ours(opened, schedule, method=method, steps=6)
    hook.remove()
    assert calls == [2, 2, 4, 4, 2, 2]
    assert (inside - ours(opened, 1.0, method=method, steps=6)).abs().max() > 1e-3
    whole = GuidanceSchedule("interval", start=5.0)
    np.testing.assert_array_equal(ours(opened, whole, method=method, steps=6), ours(opened, 5.0, method=method, steps=6))


def test_a_decaying_schedule_is_bound_to_the_levels_that_the_scheduler_visits(folders):
    """By hand: DDIM's steps of SD1 in plain arithmetic, exp_floor over u = timestep."""
    opened, made = open_pipeline(folders["sd1"]), None
    made = scheduler(opened, "ddim")
    made.set_timesteps(STEPS)
    rows, null, x_t, process = told(opened, PROMPTS), told(opened, [NULL]), start(opened), opened.process
    for number, t in enumerate(made.timesteps):
        u = 1 - float(t) / 999
        w = 1 + (7.5 - 1) * np.exp(-3 * u)
        with torch.no_grad():
            said = [opened.network(x_t, t, encoder_hidden_states=r["encoder_hidden_states"].expand(2, -1, -1))[0] for r in (null, rows)]
        eps = said[0] + w * (said[1] - said[0])
        a, b = process.scales(t[None])
        after = t - 1000 // STEPS
        a_next, b_next = process.scales(after[None].clamp(min=0))  # set_alpha_to_one is off: the last level is the first of training
        x_t = a_next * (x_t - b * eps) / a + b_next * eps
        assert number == STEPS - 1 or after >= 0
    schedule = GuidanceSchedule("exp_floor", start=7.5, rate=3.0, over="timestep")
    np.testing.assert_allclose(ours(opened, schedule, method="ddim").numpy(), x_t.numpy(), rtol=1e-4, atol=1e-4)


def test_flow_matching_begins_where_there_is_noise_alone(folders):
    """sigma is infinite at the first step of SD3: the scale there is the schedule's start, whatever u counts."""
    opened, seen = open_pipeline(folders["sd3"]), []
    assert level(opened.process, 1000.0) == np.inf
    for over in ("step", "timestep", "log_sigma"):
        out = ours(opened, GuidanceSchedule("linear", start=4.0, over=over), method="euler")
        assert torch.isfinite(out).all()
        seen.append(out)
    assert (seen[0] - seen[1]).abs().max() > 1e-4, "u is another in each"


def test_the_network_computes_in_its_own_precision_and_the_rest_in_float32(folders):
    opened = open_pipeline(folders["sdxl"])
    from copy import deepcopy

    half = deepcopy(opened.network).to(torch.bfloat16)
    exact, rounded = ours(opened, 3.0), ours(opened, 3.0, network=half)
    assert rounded.dtype == torch.float32
    error = (exact - rounded).abs().max()
    assert 1e-4 < error < 0.2 * exact.abs().max()


def test_a_schedule_below_one_is_refused(folders):
    with pytest.raises(BadInput, match="Guidance: .*falls to .* below_one"):
        ours(open_pipeline(folders["sd1"]), GuidanceSchedule("exp", start=2.0, rate=3.0))


def test_a_distilled_network_is_refused(folders):
    opened = open_pipeline(folders["sd1"])
    guided = Guided(opened.network, told(opened, [NULL]), 2.0, opened.process)
    with pytest.raises(BadInput, match="distilled to be told its scale"):
        guided(start(opened), torch.tensor(1), told(opened, PROMPTS)["encoder_hidden_states"], timestep_cond=torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        ("sd1", "ddpm++", "there is no scheduler 'ddpm\\+\\+' for this network; take own, ddim or euler or dpmpp_2m"),
        ("sd3", "ddim", "no scheduler 'ddim' for flow matching, where DDIM is Euler's method; take own, euler or dpmpp_2m"),
    ],
)
def test_unknown_schedulers(kind, name, says, folders):
    with pytest.raises(BadInput, match=says):
        scheduler(open_pipeline(folders[kind]), name)


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("sd1", {"_class_name": "NoSuchScheduler"}, "names a NoSuchScheduler, which diffusers does not have"),
        ("sd3", {"stochastic_sampling": True}, "stochastic sampling, whose noise diffusers draws from no seed"),
    ],
)
def test_schedulers_of_a_folder_that_cannot_be_used(kind, change, says, folders, tmp_path):
    import json

    opened = open_pipeline(folders[kind])
    file = tmp_path / "scheduler" / "scheduler_config.json"
    file.parent.mkdir()
    told_ = json.loads((folders[kind] / "scheduler" / "scheduler_config.json").read_text())
    file.write_text(json.dumps(told_ | change))
    with pytest.raises(BadInput, match=says):
        scheduler(replace(opened, folder=tmp_path), "own")


def test_a_side_that_diffusers_does_not_take(folders):
    opened = open_pipeline(folders["sd1"])
    rows, null = told(opened, PROMPTS), told(opened, [NULL])
    with pytest.raises(BadInput, match=f"multiples of 8, but {SIDE - 2} x {SIDE - 2}"):
        denoised(opened, opened.network, scheduler(opened, "own"), rows, null, 1.0, 1, start(opened)[..., :-1, :-1], streams())
