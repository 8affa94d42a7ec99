"""A pipeline's latents as features, beside what diffusers' own VAE gives."""

import numpy as np
import pytest

from germline.core.context import Context
from germline.data import emoji
from germline.features import VAELatents
from germline.pipelines.opened import SHIPPED
from tiny_pipelines import saved

diffusers = pytest.importorskip("diffusers", reason="extra: t2i")
ROWS = 70  # more than a block


@pytest.fixture(scope="module")
def data():
    return emoji()


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """A pipeline whose latents are shifted as well as scaled."""
    return saved("sd3", tmp_path_factory.mktemp("vae") / "sd3")


@pytest.mark.parametrize("name", ["emoji", "shifted"])
def test_they_are_what_diffusers_gives_and_scaled_on_demand(name, data, request):
    import torch

    folder = SHIPPED["emoji"] if name == "emoji" else request.getfixturevalue("shifted")
    vae = diffusers.AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float32)
    real = data.held_out.take(np.arange(ROWS))
    x = torch.from_numpy(real.images[:]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        theirs = vae.encode(x).latent_dist.mode().flatten(1).numpy()
    shift, scale = vae.config.shift_factor or 0.0, vae.config.scaling_factor
    ctx = Context(0, 0, data)
    np.testing.assert_allclose(VAELatents(folder, size=32)(real, ctx), theirs, atol=1e-4)
    np.testing.assert_allclose(VAELatents(folder, size=32, scaled=True)(real, ctx), (theirs - shift) * scale, atol=1e-4)
