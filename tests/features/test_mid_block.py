"""The middle of diffusers networks: the same numbers as a forward pass layer by layer, of tiny models of the real architectures."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from germline.core import digest
from germline.core.cache import Cache
from germline.core.context import Context, Execution
from germline.core.errors import BadInput, MissingExtra
from germline.core.pool import Pool
from germline.features import MidBlock, diffusers_folder
from germline.features.mid_block import prepared, time_of

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")
transformers = pytest.importorskip("transformers", reason="extra: t2i")

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
POOL = Pool.of(IMAGES, np.array([0, 1, 2, 1, 0]))
LENGTH = 7  # tokens of a prompt
BOS, EOS = 256, 257
LINEAR = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
STABLE = {**LINEAR, "_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}
BLOCKS = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
PIPELINES = ("ddpm", "stable", "xl", "dit", "sd3")


def pixels():
    return diffusers.UNet2DModel(
        sample_size=16,
        num_class_embeds=3,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        **BLOCKS,
    )


def with_text(**more):
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **{"cross_attention_dim": 8, **BLOCKS, **more},
    )


def dit(**more):
    made = {"num_layers": 3, "sample_size": 8, "num_embeds_ada_norm": 5, "norm_num_groups": 4, **more}
    return diffusers.DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, **made)


def sd3():
    sizes = {"joint_attention_dim": 24, "caption_projection_dim": 16, "pooled_projection_dim": 12, "pos_embed_max_size": 8}
    return diffusers.SD3Transformer2DModel(8, 2, 4, 3, 8, 2, out_channels=4, **sizes)


def vae(shift):
    return diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        scaling_factor=1.5,
        shift_factor=shift,
    )


def encoder(kind, act="quick_gelu"):
    config = transformers.CLIPTextConfig(
        vocab_size=258,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        projection_dim=6,
        hidden_act=act,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    return getattr(transformers, kind)(config)


def tokenizer(folder):
    """A CLIP tokenizer of bytes, without merges."""
    folder.mkdir()
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]  # the printable bytes
    letters = [chr(one) for one in letters] + [chr(256 + one) for one in range(256 - len(letters))]
    vocabulary = {**{letter: number for number, letter in enumerate(letters)}, "<|startoftext|>": BOS, "<|endoftext|>": EOS}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": LENGTH, "tokenizer_class": "CLIPTokenizer", **special}))


def save(folder, pipeline, scheduler, **parts):
    """A pipeline's folder, as save_pretrained lays it out; nothing in it is at its neutral value."""
    index = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__}
    for name, part in parts.items():
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.add_(torch.randn(parameter.shape) * 0.1)
        part.eval().save_pretrained(folder / name)
        if name.startswith("text_encoder"):
            tokenizer(folder / name.replace("text_encoder", "tokenizer"))
        index[name] = ["diffusers", type(part).__name__]
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (folder / "model_index.json").write_text(json.dumps(index))
    return parts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny pipelines of the real architectures, and what was saved there."""
    torch.manual_seed(0)
    root, plain, projected = tmp_path_factory.mktemp("models"), "CLIPTextModel", "CLIPTextModelWithProjection"
    # two texts of 8 values each, six numbers of 4 values, one pooled text of 6
    xl = with_text(
        cross_attention_dim=16, addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=30
    )
    two = {"text_encoder": encoder(projected), "text_encoder_2": encoder(projected, "gelu")}
    made = {
        "ddpm": save(root / "ddpm", "DDPMPipeline", LINEAR, unet=pixels()),
        "stable": save(root / "stable", "StableDiffusionPipeline", STABLE, unet=with_text(), vae=vae(None), text_encoder=encoder(plain)),
        "xl": save(
            root / "xl",
            "StableDiffusionXLPipeline",
            STABLE,
            unet=xl,
            vae=vae(None),
            text_encoder=encoder(plain),
            text_encoder_2=encoder(projected),
        ),
        "dit": save(root / "dit", "DiTPipeline", LINEAR, transformer=dit(), vae=vae(None)),
        "sd3": save(root / "sd3", "StableDiffusion3Pipeline", FLOW, transformer=sd3(), vae=vae(0.3), **two),
    }
    return root, made


@pytest.fixture
def ctx():
    return Context(1, 0, None)


def levels(betas):
    alpha_bar = np.cumprod(1 - betas)
    return np.sqrt((1 - alpha_bar) / alpha_bar)


SIGMAS = {
    "linear": levels(np.linspace(1e-4, 0.02, 1000)),
    "scaled_linear": levels(np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2),
}


def step(sigma, schedule):
    """The nearest step in ratio, and x_t / x0 there."""
    number = int(np.argmin(np.abs(np.log(SIGMAS[schedule]) - np.log(sigma))))
    return number, 1 / np.sqrt(1 + SIGMAS[schedule][number] ** 2)


def latents(parts):
    x = torch.tensor(IMAGES.transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float32)
    if "vae" not in parts:
        return x
    mean = parts["vae"].quant_conv(parts["vae"].encoder(x))[:, :4]
    return 1.5 * (mean - (parts["vae"].config.shift_factor or 0))


def empty(encoder):
    """Encode the empty prompt: begin, end, and ends to fill."""
    return encoder(torch.tensor([[BOS] + [EOS] * (LENGTH - 1)]), output_hidden_states=True)


def through(net, x, emb, **text):
    x = net.conv_in(x)
    for block in net.down_blocks:
        x = block(x, emb, **(text if getattr(block, "has_cross_attention", False) else {}))[0]
    return net.mid_block(x, emb, **text)


def by_hand(name, parts, sigma, label):
    """A forward pass, layer by layer, up to the middle; rows x places x channels."""
    x, n, net = latents(parts), len(IMAGES), parts.get("unet") or parts["transformer"]
    if name == "sd3":
        s = sigma / (1 + sigma)
        one, other = (empty(parts[key]) for key in ("text_encoder", "text_encoder_2"))
        text = torch.zeros(1, LENGTH + 256, 24)  # T5 is silent
        text[:, :LENGTH, :16] = torch.cat([one.hidden_states[-2], other.hidden_states[-2]], -1)
        temb = net.time_text_embed(torch.full((n,), 1000 * s), torch.cat([one.text_embeds, other.text_embeds], -1).repeat(n, 1))
        x, text = net.pos_embed((1 - s) * x), net.context_embedder(text).repeat(n, 1, 1)
        for block in net.transformer_blocks[:2]:
            text, x = block(x, text, temb)
        return x
    t, scale = step(sigma, "linear" if name in ("ddpm", "dit") else "scaled_linear")
    t = torch.full((n,), t)
    if name == "dit":
        x, labels = net.pos_embed(scale * x), torch.full((n,), 5 if label is None else label)
        for block in net.transformer_blocks[:2]:
            x = block(x, timestep=t, class_labels=labels)
        return x
    emb, text = net.time_embedding(net.time_proj(t)), {}
    if name == "ddpm":
        emb = emb + net.class_embedding(torch.full((n,), label or 0))
    elif name == "stable":
        text = {"encoder_hidden_states": empty(parts["text_encoder"]).last_hidden_state.repeat(n, 1, 1)}
    else:  # XL was trained to see zeros for no prompt
        text = {"encoder_hidden_states": torch.zeros(n, LENGTH, 16)}
        sizes = net.add_time_proj(torch.tensor([16, 16, 0, 0, 16, 16])).flatten().repeat(n, 1)
        emb = emb + net.add_embedding(torch.cat([torch.zeros(n, 6), sizes], -1))
    return through(net, scale * x, emb, **text).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("sigma", [1.0, 0.3])
@pytest.mark.parametrize(
    ("name", "label"), [("ddpm", None), ("ddpm", 2), ("stable", None), ("xl", None), ("dit", None), ("dit", 3), ("sd3", None)]
)
def test_features_are_those_of_a_forward_pass_layer_by_layer(name, label, sigma, folders, ctx):
    root, made = folders
    with torch.no_grad():
        expected = by_hand(name, made[name], sigma, label).numpy()
    flat, pooled = (MidBlock(root / name, sigma, pooled, label)(POOL, ctx) for pooled in (False, True))
    assert flat.dtype == pooled.dtype == np.float32
    assert flat.std(axis=0).mean() > 1e-3, "rows differ"
    flat = flat.reshape(expected.shape) if name in ("dit", "sd3") else flat.reshape(5, expected.shape[2], -1).transpose(0, 2, 1)
    np.testing.assert_allclose(flat, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(pooled, expected.mean(axis=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PIPELINES)
def test_rows_know_neither_their_condition_nor_their_neighbours(name, folders, tmp_path, ctx):
    extractor = MidBlock(folders[0] / name, pooled=True)
    whole = extractor(POOL, ctx)
    np.testing.assert_array_equal(extractor(replace(POOL, condition=2 - POOL.condition), ctx), whole)
    np.testing.assert_array_equal(extractor(replace(POOL, condition=np.array(list("abcde"))), ctx), whole)
    np.testing.assert_allclose(extractor(POOL.take([3]), ctx), whole[[3]], rtol=1e-4, atol=1e-5)
    cached = Context(1, 0, None, cache=Cache(tmp_path), execution=Execution(block=2))
    np.testing.assert_allclose(cached.features(extractor, POOL.take([4, 1])), whole[[4, 1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_noise_level_matters(name, folders, ctx):
    low, high = (MidBlock(folders[0] / name, sigma)(POOL, ctx) for sigma in (0.2, 4.0))
    assert np.abs(low - high).max() > 1e-2


def test_the_step_of_a_level():
    """The linear schedule of DDPM: its first step, its last, and the one where signal and noise are equal."""
    betas = np.linspace(1e-4, 0.02, 1000)
    folder = diffusers_folder.Folder("UNet2DModel", None, None, {}, levels(betas), 1000)
    equal = int(np.abs(np.cumprod(1 - betas) - 0.5).argmin())
    assert time_of(folder, 1.0) == (equal, pytest.approx(np.sqrt(0.5), abs=1e-3))
    assert time_of(folder, 0.0101)[0] == 0
    assert time_of(folder, 157.0)[0] == 999
    for sigma in (0.001, 200.0):
        with pytest.raises(BadInput, match=rf"trained on noise from sigma 0.01 to 157, but sigma is {sigma:g}"):
            time_of(folder, sigma)
    flow = replace(folder, levels=None)
    assert time_of(flow, 3.0) == (pytest.approx(750), pytest.approx(0.25))


def test_the_levels_are_those_of_the_scheduler_of_the_folder(folders):
    for name, expected in (("ddpm", "linear"), ("stable", "scaled_linear")):
        found = diffusers_folder.opened(folders[0] / name, "any").levels
        np.testing.assert_allclose(found, SIGMAS[expected], rtol=1e-3)
    assert diffusers_folder.opened(folders[0] / "sd3", "any").levels is None


def test_a_network_alone_is_one_of_the_noise_of_ddpm(folders, ctx):
    root, _ = folders
    np.testing.assert_array_equal(MidBlock(root / "ddpm" / "unet", label=1)(POOL, ctx), MidBlock(root / "ddpm", label=1)(POOL, ctx))


def test_images_are_resized_as_pillow_does_and_grey_is_three_equal_channels():
    grey = np.random.default_rng(1).integers(0, 256, (2, 24, 20, 1), dtype=np.uint8)
    found = prepared(grey, 3, (16, 12)).numpy()
    for image, x in zip(grey, found, strict=True):
        resized = Image.fromarray(image[..., 0].astype(np.float32)).resize((12, 16), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(x, np.broadcast_to(np.clip(resized, 0, 255) / 127.5 - 1, (3, 16, 12)), atol=1e-4)
    np.testing.assert_allclose(prepared(IMAGES, 3, (16, 16)).numpy(), IMAGES.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    with pytest.raises(BadInput, match="takes 1 channel, but the images have 3"):
        prepared(IMAGES, 1, None)


def test_identity_is_the_content(folders, tmp_path):
    there = MidBlock(folders[0] / "dit")
    shutil.copytree(there.path, tmp_path / "moved")
    moved = MidBlock(tmp_path / "moved")
    assert digest.of_part(moved) == digest.of_part(there)
    assert moved.name == there.name
    assert there.name.startswith("mid-block-dit-")
    assert MidBlock(there.path, 0.5, True, 2).name == f"{there.name}-pooled-sigma0.5-label2"
    for part in ("vae", "transformer"):
        before, weights = digest.of_part(moved), moved.path / part / "diffusion_pytorch_model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        assert digest.of_part(moved) != before
    assert moved.name != there.name


def edited(source, target, file, **changes):
    """A copy of a folder with another JSON file."""
    shutil.copytree(source, target)
    config = json.loads((target / file).read_text())
    (target / file).write_text(json.dumps({**config, **changes}))
    return target


def test_folders_that_are_no_such_model(folders, tmp_path, ctx):
    root, made = folders
    with pytest.raises(BadInput, match="MidBlock: there is no .*gone"):
        MidBlock(tmp_path / "gone")
    with pytest.raises(BadInput, match="has no config.json, but must hold one of UNet2DModel"):
        _ = MidBlock(tmp_path).name
    with pytest.raises(BadInput, match=r"vae holds a AutoencoderKL, but must hold one of UNet2DModel"):
        MidBlock(root / "dit" / "vae")(POOL, ctx)
    flux = edited(root / "dit", tmp_path / "flux", "model_index.json", _class_name="FluxPipeline")
    with pytest.raises(BadInput, match="flux holds a FluxPipeline, but must hold one of DDPMPipeline"):
        MidBlock(flux)(POOL, ctx)
    with pytest.raises(BadInput, match="takes 4 channels, but images have 1 or 3; give the whole pipeline's folder, with its VAE"):
        MidBlock(root / "stable" / "unet")(POOL, ctx)
    edm = edited(root / "dit", tmp_path / "edm", "scheduler/scheduler_config.json", _class_name="EDMEulerScheduler")
    (edm / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "EDMEulerScheduler"}')
    with pytest.raises(BadInput, match="the EDMEulerScheduler of .* has no betas; DDPM's noise and flow matching are known"):
        MidBlock(edm)(POOL, ctx)
    broken = edited(root / "dit", tmp_path / "broken", "model_index.json")
    (broken / "model_index.json").write_text("{")
    with pytest.raises(BadInput, match="model_index.json is no JSON"):
        MidBlock(broken)(POOL, ctx)
    needs = diffusers.UNet2DConditionModel(**{**made["stable"]["unet"].config, "in_channels": 3})
    needs.save_pretrained(tmp_path / "needs")
    with pytest.raises(BadInput, match="needs a prompt; give the whole pipeline's folder, with its text encoders"):
        MidBlock(tmp_path / "needs")(POOL, ctx)


def test_networks_without_a_middle_or_of_another_kind_of_noise_or_classes(folders, tmp_path, ctx):
    changes = {
        "hollow": ({"mid_block_type": None}, "this UNet2DModel was made without a middle block"),
        "fourier": ({"time_embedding_type": "fourier"}, "networks of DDPM's steps are known here"),
        "embedded": ({"class_embed_type": "identity", "num_class_embeds": None}, "embeds classes by 'identity'"),
    }
    config = {**folders[1]["ddpm"]["unet"].config}
    for name, (change, says) in changes.items():
        diffusers.UNet2DModel(**{**config, **change}).save_pretrained(tmp_path / name)
        with pytest.raises(BadInput, match=says):
            MidBlock(tmp_path / name)(POOL, ctx)


@pytest.mark.parametrize(
    ("name", "label", "says"),
    [
        ("ddpm", 3, "one of its classes 0 to 2, but is 3"),
        ("dit", 5, "0 to 4, but is 5"),
        ("dit", -1, "0 to 4"),
        ("sd3", 0, "has no classes"),
    ],
)
def test_a_label_that_the_network_does_not_know(name, label, says, folders, ctx):
    with pytest.raises(BadInput, match=says):
        MidBlock(folders[0] / name, label=label)(POOL, ctx)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_sigma_is_above_0(sigma, tmp_path):
    with pytest.raises(BadInput, match="sigma must be above 0"):
        MidBlock(tmp_path, sigma)


def test_weights_that_are_pickled_cut_or_not_whole(folders, tmp_path, ctx):
    from safetensors.torch import load_file, save_file

    root, made = folders
    for name, file in (
        ("stable/vae", "diffusion_pytorch_model"),
        ("stable/text_encoder", "model"),
        ("ddpm/unet", "diffusion_pytorch_model"),
    ):
        pipeline, part = name.split("/")
        folder = tmp_path / pipeline / part
        shutil.copytree(root / pipeline, folder)
        weights = folder / part / f"{file}.safetensors"
        arrays = load_file(weights)
        lost = min(arrays)
        save_file({key: value for key, value in arrays.items() if key != lost}, weights, {"format": "pt"})
        with pytest.raises(BadInput, match=rf"{part} lacks 1 of its tensors, first .*{lost.split('.')[-1]}"):
            MidBlock(folder)(POOL, ctx)
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(BadInput, match=rf"{part} cannot be opened: .* Only safetensors are"):
            MidBlock(folder)(POOL, ctx)
        weights.unlink()
        pickled = weights.with_name("pytorch_model.bin" if file == "model" else f"{file}.bin")
        torch.save(made[pipeline][part].state_dict(), pickled)
        with pytest.raises(BadInput, match=rf"{part} cannot be opened: .* Only safetensors are"):
            MidBlock(folder)(POOL, ctx)


def test_without_diffusers_the_extra_is_named(folders, monkeypatch, ctx):
    diffusers_folder.opened.cache_clear()
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"MidBlock needs diffusers; install it with: pip install 'germline\[t2i\]'"):
        MidBlock(folders[0] / "ddpm")(POOL, ctx)
