"""The last stage: a folder that diffusers opens, in half precision."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTokenizer

from emoji_base.unet import schedule

STEPS, SCALE = 20, 3.0  # of the sampler, where nothing else is said


def standardised(vae: nn.Module, means: Float[Tensor, "n 4 8 8"], stds: Float[Tensor, "n 4 8 8"]) -> None:
    """Change a VAE in place so that its latents have mean 0 and variance 1 in each channel: ``scaling_factor`` is then 1.

    The encoder's last layer and the decoder's first are convolutions of 1 x 1, which take the change up: z' = (z - m) / s here,
    z = s z' + m there. A scaling factor alone, as in Stable Diffusion, would leave each channel its own mean and scale. Ours.
    """
    m = means.mean((0, 2, 3))
    s = (means.var((0, 2, 3)) + stds.square().mean((0, 2, 3))).sqrt()
    after, before = cast(nn.Conv2d, vae.quant_conv), cast(nn.Conv2d, vae.post_quant_conv)
    assert after.bias is not None and before.bias is not None  # noqa: PT018
    with torch.no_grad():
        channels = len(m)
        after.weight[:channels] /= s[:, None, None, None]
        after.bias[:channels] = (after.bias[:channels] - m) / s
        after.bias[channels:] -= 2 * s.log()  # the second half are log-variances
        before.bias += before.weight[:, :, 0, 0] @ m
        before.weight *= s[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)  # type: ignore[operator]


def write(folder: Path, vae: nn.Module, text: nn.Module, words: Path, unet: nn.Module) -> None:
    """Write the pipeline in half precision; ``words`` is the tokenizer's folder, copied as it is.

    transformers 5 saves a text model without the prefix that versions before it need, and reads both; so the prefix is put back.
    """
    parts = {"vae": vae, "text_encoder": text, "unet": unet}
    for part in parts.values():
        part.half()
    pipeline = StableDiffusionPipeline(
        **parts,
        tokenizer=CLIPTokenizer.from_pretrained(words),
        scheduler=schedule(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    file = folder / "text_encoder" / "model.safetensors"
    tensors = {name if name.startswith("text_model.") else f"text_model.{name}": value for name, value in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})
    # Else transformers 5 opens this part in half precision, and diffusers the others in full: a plain from_pretrained could not compute.
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2))
    shutil.rmtree(folder / "tokenizer")
    shutil.copytree(words, folder / "tokenizer")


def opened(folder: Path) -> StableDiffusionPipeline:
    """Return the pipeline as anybody opens it, in full precision."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def made(pipeline: StableDiffusionPipeline, prompts: list[str], first: int = 0, scale: float = SCALE) -> UInt8[np.ndarray, "n 32 32 3"]:
    """Return one picture a prompt; row i draws from seed ``first`` + i."""
    out = []
    for start in range(0, len(prompts), 60):
        some = prompts[start : start + 60]
        seeds = [torch.Generator().manual_seed(first + start + row) for row in range(len(some))]
        found = pipeline(some, num_inference_steps=STEPS, guidance_scale=scale, generator=seeds, output_type="np").images
        out.append(np.rint(found * 255).astype(np.uint8))
    return np.concatenate(out)


def size(folder: Path) -> int:
    """Return the bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
