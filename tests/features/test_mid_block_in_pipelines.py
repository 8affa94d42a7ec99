"""MidBlock against diffusers' own pipelines as they sample; and what in a folder must neither run nor be made up.

tests/features/test_mid_block.py computes the same numbers layer by layer.
"""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import gaussian_splits
from germline.core import digest
from germline.core.context import Context
from germline.core.errors import BadInput
from germline.core.pool import Pool
from germline.features import MidBlock, mid_block
from germline.features.diffusers_folder import opened
from germline.scorers import Confidence
from tiny_pipelines import SIDE, diffusers, dit, stable, three, unet, vae, xl

IMAGES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
CTX = Context(1, 0, None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A pipeline of every guided kind, and its folder as the library saves it."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("pipelines")
    made = {
        "dit": diffusers.DiTPipeline(dit(), vae(), diffusers.DDIMScheduler()),
        "stable": stable(root / "words"),
        "xl": xl(root / "words"),
        "xl-empty": xl(root / "words", zeros=False),
        "sd3": three(root / "words"),
    }
    for name, pipeline in made.items():
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(root / name)
    return root, made


def network_of(pipeline):
    return getattr(pipeline, "transformer", None) or pipeline.unet


def overheard(pipeline):
    """What the pipeline tells its network, by name, in its first guided step."""
    heard = []
    hook = network_of(pipeline).register_forward_pre_hook(lambda _, __, told: heard.append(told), with_kwargs=True)
    if isinstance(pipeline, diffusers.DiTPipeline):
        pipeline([4], num_inference_steps=1, guidance_scale=3.0)
    else:
        pipeline("a", height=SIDE, width=SIDE, num_inference_steps=1, guidance_scale=3.0, output_type="latent")
    hook.remove()
    return {**heard[0], **(heard[0].get("added_cond_kwargs") or {})}


@pytest.mark.parametrize("name", ["dit", "stable", "xl", "xl-empty", "sd3"])
def test_every_row_is_told_what_guidance_sets_against_a_prompt(name, folders):
    root, made = folders
    folder, theirs = opened(root / name, digest.of_path(root / name)), overheard(made[name])
    ours = {**folder.told, **mid_block._class_told(folder, None)}
    known = ("class_labels", "encoder_hidden_states", "pooled_projections", "text_embeds", "time_ids")
    assert ours.keys() == {key for key in known if theirs.get(key) is not None}
    null, prompted = (1, 0) if name == "dit" else (0, 1)  # DiT puts the class first, the others the empty prompt
    for key, told in ours.items():
        np.testing.assert_allclose(told[0].numpy(), theirs[key][null].numpy(), atol=1e-6, err_msg=key)
    key = "class_labels" if name == "dit" else "encoder_hidden_states"
    assert (theirs[key][null] != theirs[key][prompted]).any(), "the prompt says something"
    zeros = not ours[key].any()
    assert zeros == (name == "xl"), "only XL was trained to see zeros"


@pytest.mark.parametrize("name", ["dit", "stable", "sd3"])
def test_images_get_in_as_the_librarys_schedulers_scale_them(name, folders, monkeypatch):
    """The scheduler is asked to add no noise at step 300: what the network is then given is what ours gives it."""
    root, made = folders
    pipeline, given = made[name], []
    x = torch.tensor(IMAGES.transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float32)
    with torch.no_grad():
        config = pipeline.vae.config
        x0 = (pipeline.vae.encode(x).latent_dist.mean - (config.shift_factor or 0)) * config.scaling_factor
    if name == "sd3":
        plain = diffusers.FlowMatchEulerDiscreteScheduler()
        t = plain.timesteps[[700]]
        x_t, sigma = plain.scale_noise(x0, t, torch.zeros_like(x0)), float(t / 1000 / (1 - t / 1000))
    else:
        t = torch.tensor([300])
        alpha_bar = pipeline.scheduler.alphas_cumprod[300]
        x_t, sigma = pipeline.scheduler.add_noise(x0, torch.zeros_like(x0), t), float((1 / alpha_bar - 1).sqrt())
    folder = opened(root / name, digest.of_path(root / name))
    hook = folder.network.register_forward_pre_hook(lambda _, args, told: given.append((args[0], told["timestep"])), with_kwargs=True)
    MidBlock(root / name, sigma)(Pool.of(IMAGES), CTX)
    hook.remove()
    (ours, timestep), *_ = given
    np.testing.assert_allclose(timestep.numpy(), np.full(5, float(t)), rtol=1e-5)
    np.testing.assert_allclose(ours.numpy(), x_t.numpy(), rtol=1e-4, atol=1e-5)


def test_what_comes_after_the_middle_is_not_computed(folders):
    root, _ = folders
    folder, done = opened(root / "sd3", digest.of_path(root / "sd3")), []
    every = list(folder.network.transformer_blocks)
    hooks = [block.register_forward_hook(lambda *_, number=number: done.append(number)) for number, block in enumerate(every)]
    MidBlock(root / "sd3")(Pool.of(IMAGES), CTX)
    assert done == [0, 1], "half of four blocks"
    for hook in hooks:
        hook.remove()
    assert not any(block._forward_hooks for block in every), "nothing is left hanging in the network"


def copied(folders, tmp_path, name, file, change):
    """A folder with one JSON file changed."""
    shutil.copytree(folders[0] / name, tmp_path / "copy")
    path = tmp_path / "copy" / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return MidBlock(tmp_path / "copy")


def test_a_scheduler_of_another_name_may_be_for_flow_matching(folders, tmp_path):
    told = {"_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction", "num_train_timesteps": 1000}
    space = copied(folders, tmp_path, "sd3", "scheduler/scheduler_config.json", lambda _: told)
    np.testing.assert_array_equal(space(Pool.of(IMAGES), CTX), MidBlock(folders[0] / "sd3")(Pool.of(IMAGES), CTX))


def test_the_last_step_may_be_noise_alone(folders, tmp_path):
    """Betas rescaled to no signal (arXiv 2305.08891): sigma there is infinite, and no level is nearest to it."""
    space = copied(folders, tmp_path, "stable", "scheduler/scheduler_config.json", lambda c: c | {"rescale_betas_zero_snr": True})
    folder = opened(space.path, digest.of_path(space.path))
    assert np.isinf(folder.levels[-1])
    assert mid_block.time_of(folder, folder.levels[-2])[0] == 998
    assert np.isfinite(space(Pool.of(IMAGES), CTX)).all()


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("tokenizer", "the tokenizer in .*tokenizer cannot be opened"),
        ("text_encoder", "the CLIPTextModel in .*text_encoder cannot be opened"),
        ("scheduler", "says what noise the network was trained on; save the pipeline whole"),
        ("vae", "takes 4 channels, but images have 1 or 3; give the whole pipeline's folder"),
        ("unet", "unet has no config.json"),
    ],
)
def test_a_part_that_is_not_there_is_named(part, says, folders, tmp_path):
    shutil.copytree(folders[0] / "stable", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / part)
    with pytest.raises(BadInput, match=says):
        MidBlock(tmp_path / "cut")(Pool.of(IMAGES), CTX)


def test_a_network_for_inpainting_is_refused(folders, tmp_path):
    shutil.copytree(folders[0] / "stable", tmp_path / "inpainting")
    unet(in_channels=9).save_pretrained(tmp_path / "inpainting" / "unet")
    with pytest.raises(BadInput, match="takes 9 channels, but the VAE beside it makes 4"):
        MidBlock(tmp_path / "inpainting")(Pool.of(IMAGES), CTX)


@pytest.mark.parametrize("name", [["code", "Mine"], "Mine"])
def test_code_in_the_folder_never_runs(name, folders, tmp_path):
    """diffusers runs a component's own file where the index names one; here only known classes of the libraries are opened."""
    whole, mark = MidBlock(folders[0] / "stable")(Pool.of(IMAGES), CTX), tmp_path / "it-ran"
    space = copied(folders, tmp_path, "stable", "model_index.json", lambda c: c | {"unet": ["code", "UNet2DConditionModel"]})
    for place in (space.path, space.path / "unet", space.path / "vae"):
        for file in ("code.py", "pipeline.py", "Mine.py"):
            (place / file).write_text(f"open({str(mark)!r}, 'w')")
    np.testing.assert_array_equal(space(Pool.of(IMAGES), CTX), whole)
    index = space.path / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": name}))
    with pytest.raises(BadInput, match="but must hold one of DDPMPipeline"):
        MidBlock(space.path)(Pool.of(IMAGES), CTX)
    assert not mark.exists()


def test_a_changed_folder_is_opened_anew(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folders[0] / "dit", tmp_path / "changing")
    space = MidBlock(tmp_path / "changing", pooled=True)
    before, name = space(Pool.of(IMAGES), CTX), space.name
    weights = space.path / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({key: array + 0.1 for key, array in load_file(weights).items()}, weights, {"format": "pt"})
    assert space.name != name
    assert np.abs(space(Pool.of(IMAGES), CTX) - before).max() > 1e-3


def test_bicubic_overshoots_are_clamped():
    edge = np.zeros((1, 8, 8, 1), np.uint8)
    edge[:, 4:] = 255
    assert mid_block.prepared(edge, 1, (32, 32)).abs().max() == 1


def test_a_probe_on_two_noise_levels_tells_bright_from_dark(folders):
    """Latent-space filtering without a network of germline: right labels score above wrong ones, on rows that no probe saw."""
    data = gaussian_splits(24, 8, sd=10)
    bright = data.real.sources[-1].images.copy()
    for pool in (data.real, data.judge, data.held_out):
        bright[pool.origin[pool.condition == 1, 1]] += 60
    source = replace(data.real.sources[-1], images=bright)
    data = replace(data, **{name: replace(getattr(data, name), sources={-1: source}) for name in ("real", "judge", "held_out")})
    probe, ctx = Confidence(tuple(MidBlock(folders[0] / "dit", sigma, pooled=True) for sigma in (0.3, 1.0))), Context(1, 0, data)
    wrong = replace(data.held_out, condition=1 - data.held_out.condition)
    assert (probe(data.held_out, ctx) > probe(wrong, ctx)).mean() > 0.9
    assert len(probe.accuracies(ctx)) == 2
