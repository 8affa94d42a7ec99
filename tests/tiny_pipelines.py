"""Tiny pipelines of the real architectures, as diffusers saves them: about a second each, equal at every call, no weights from anywhere.

``saved("sd1", folder)`` writes one of ``KINDS`` to ``folder`` and returns it. Images are 32 x 32, latents 16 x 16. Prompts are spelled.
diffusers opens SD3 by ``from_pretrained(folder, **without_t5(kind))``; "sd3-t5" is SD3 with its third text encoder.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")
transformers = pytest.importorskip("transformers", reason="extra: t2i")

SIDE = 32
KINDS = ("sd1", "sd1-2022", "sdxl", "sd3", "sd3-t5")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]  # the end token is the last, as in CLIP
START, END = len(WORDS) - 2, len(WORDS) - 1
PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("\u2581", -2.0), *((letter, -3.0) for letter in LETTERS)]  # T5's
BLOCKS = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 16}
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}  # of a VAE in 2022
# The fields that these configurations had in 2022.
OLD_UNET = (
    "_class_name act_fn attention_head_dim block_out_channels center_input_sample cross_attention_dim down_block_types downsample_padding"
    " flip_sin_to_cos freq_shift in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size"
    " up_block_types"
)
OLD_VAE = (
    "_class_name act_fn block_out_channels down_block_types in_channels latent_channels layers_per_block norm_num_groups out_channels"
    " sample_size up_block_types"
)


def disturbed(model):
    """Nothing at its neutral value: layers that start at zero too."""
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return model.eval()


def unet(**more):
    fields = {
        "in_channels": 4,
        "attention_head_dim": 2,
        "cross_attention_dim": 16,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    return disturbed(diffusers.UNet2DConditionModel(**{**BLOCKS, **fields, **more}))


def vae(**more):
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return disturbed(diffusers.AutoencoderKL(block_out_channels=(4, 8), norm_num_groups=2, sample_size=SIDE, **kinds, **more))


def text_encoder(projected=False):
    words = {"vocab_size": len(WORDS), "bos_token_id": START, "eos_token_id": END, "pad_token_id": END}
    sizes = {"hidden_size": 16, "intermediate_size": 24, "projection_dim": 12, "num_hidden_layers": 3, "num_attention_heads": 2}
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return disturbed(kind(transformers.CLIPTextConfig(**words, **sizes)))


def tokenizer(folder):
    """A tokenizer that spells; its files of the old kind are left in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def transformer():
    sizes = {"caption_projection_dim": 16, "joint_attention_dim": 32, "pooled_projection_dim": 24, "pos_embed_max_size": 16}
    return disturbed(
        diffusers.SD3Transformer2DModel(
            sample_size=16, in_channels=4, out_channels=4, num_layers=4, attention_head_dim=8, num_attention_heads=2, **sizes
        )
    )


def dit():
    sizes = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 4, "in_channels": 4, "out_channels": 8, "sample_size": 16}
    return disturbed(diffusers.DiTTransformer2DModel(num_embeds_ada_norm=1_000, **sizes))  # the pipeline's null class is 1,000


def noise():
    return diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )


def stable(words):
    return diffusers.StableDiffusionPipeline(
        vae(), text_encoder(), tokenizer(words), unet(), noise(), None, None, requires_safety_checker=False
    )


def xl(words, zeros=True):
    sizes = {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 6 * 8 + 12, "use_linear_projection": True}
    told_sizes = unet(cross_attention_dim=32, addition_embed_type="text_time", **sizes)
    spelling = tokenizer(words)
    return diffusers.StableDiffusionXLPipeline(
        vae(),
        text_encoder(),
        text_encoder(True),
        spelling,
        spelling,
        told_sizes,
        noise(),
        force_zeros_for_empty_prompt=zeros,
        add_watermarker=False,
    )


def t5_encoder():
    sizes = {"vocab_size": len(PIECES), "d_model": 32, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}  # d_model is the network's
    return disturbed(transformers.T5EncoderModel(transformers.T5Config(**sizes, feed_forward_proj="gated-gelu")))


def t5_tokenizer():
    return transformers.T5TokenizerFast(vocab=PIECES, extra_ids=0)


def without_t5(kind: str) -> dict[str, None]:
    """What diffusers must be told to open a folder of SD3 that has no T5."""
    return {"text_encoder_3": None, "tokenizer_3": None} if kind == "sd3" else {}


def three(words, third=lambda: (None, None)):
    flow, spelling = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), tokenizer(words)
    encoders = (text_encoder(True), spelling, text_encoder(True), spelling)
    return diffusers.StableDiffusion3Pipeline(
        transformer(),
        flow,
        vae(shift_factor=0.06, use_quant_conv=False, use_post_quant_conv=False),
        *encoders,
        *third(),  # drawn last: the other weights are those of SD3 without
    )


def four(words):
    return three(words, lambda: (t5_encoder(), t5_tokenizer()))


MADE: dict[str, Callable] = {"sd1": stable, "sd1-2022": stable, "sdxl": xl, "sd3": three, "sd3-t5": four}


def saved(kind: str, folder: Path) -> Path:
    """Write a pipeline of this kind to the folder, and return it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipeline = MADE[kind](folder.parent / f"{folder.name}-words")
    pipeline.save_pretrained(folder)
    if kind == "sd1-2022":
        as_in_2022(folder)
    return folder


def as_in_2022(folder: Path) -> None:
    """Bring a saved SD1 pipeline to the layout of Stable Diffusion 1.4 in 2022: the same weights by their old names."""
    from safetensors.torch import load_file, save_file

    # No version in the configurations: diffusers takes a latent side under 64 for a mistake of its versions before 0.9.
    for part, fields in (("unet", OLD_UNET), ("vae", OLD_VAE)):
        keep(folder / part / "config.json", fields.split(), {})
    keep(folder / "scheduler" / "scheduler_config.json", ["beta_start", "beta_end", "beta_schedule", "num_train_timesteps"], OLD_SCHEDULER)
    keep(folder / "model_index.json", json.loads((folder / "model_index.json").read_text()), {"scheduler": ["diffusers", "PNDMScheduler"]})
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({old_name(name): tensor for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    encoder = folder / "text_encoder"
    told = json.loads((encoder / "config.json").read_text())
    keep(encoder / "config.json", told, {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "transformers_version": "4.21.0"})
    tensors = {
        f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in load_file(encoder / "model.safetensors").items()
    }
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, encoder / "model.safetensors", {"format": "pt"})
    for file in (folder / "tokenizer").iterdir():
        file.unlink()
    tokenizer(folder / "tokenizer")
    ends = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "tokenizer" / "special_tokens_map.json").write_text(json.dumps(ends))
    (folder / "tokenizer" / "tokenizer_config.json").write_text(
        json.dumps({**ends, "model_max_length": 77, "do_lower_case": True, "tokenizer_class": "CLIPTokenizer"})
    )


OLD_SCHEDULER = {"_class_name": "PNDMScheduler", "_diffusers_version": "0.7.0", "skip_prk_steps": True}
OLD_SCHEDULER |= {"set_alpha_to_one": False, "steps_offset": 1, "trained_betas": None, "clip_sample": False}


def keep(file: Path, fields, more) -> None:
    """Keep these fields of a JSON file, with ``more``."""
    told = json.loads(file.read_text())
    file.write_text(json.dumps({name: told[name] for name in fields if name in told} | more, indent=2))


def old_name(name: str) -> str:
    if "mid_block.attentions" in name:
        for now, then in OLD_ATTENTION.items():
            name = name.replace(f".{now}.", f".{then}.")
    return name
