"""Images of diffusion generators that differ, for `audit_share.py`: embedded Fashion-MNIST, about ten minutes of one core.

    python benchmarks/share_generators.py [OUT [NAME ...]]

OUT (runs/audit-share) gets NAME.npy, 800 images of each; the runs lie in OUT/runs, of which `replace` is that of
`germline run replace --generations 2`. Killed, the same command goes on.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from germline import Loop
from germline.chain import Chain, fork
from germline.core.progress import bars
from germline.data import fashion_mnist
from germline.recipes.chain_of_diffusion import chain_of_diffusion
from germline.recipes.chain_setup import ChainSetup
from germline.recipes.neon import neon
from germline.recipes.redifine import REMEDIED, redifine
from germline.recipes.replace import replace as replacing
from germline.recipes.setup import Setup
from germline.samplers import Denoised

OUT, N = Path("runs/audit-share"), 800
SMALL = Setup(founder_images=12_800, optimiser="adamw")
NARROW = replace(SMALL, objective="edm", channels=(16, 32), guidance_scale=1.5, solver="euler", steps=20)
EPS = replace(SMALL, objective="ddpm-eps", guidance_scale=1.0, solver="ancestral", schedule="ddpm", steps=20, clip=True)
MLP = ChainSetup(network="mlp", base_images=192_000, images=12_800, learning_rate=1e-3, solver="euler", steps=20, guidance_scale=1.0)
REDIFINE = replace(REMEDIED, base_images=12_800, images=4_800)

# name: run, its recipe, the generation, the run whose generation 0 it goes on from
LOOPS = {
    "unet": ("replace", lambda: replacing(2_000), 0, None),
    "narrow-edm": ("narrow-edm", lambda: replacing(N, setup=NARROW), 0, None),
    "eps-ancestral": ("eps-ancestral", lambda: replacing(N, setup=EPS), 0, None),
    "mlp": ("mlp", lambda: chain_of_diffusion(N, setup=MLP), 0, None),
    "redifine": ("redifine", lambda: redifine(N, setup=REDIFINE), 1, None),
    "neon": ("neon", lambda: neon(N, setup=Setup(images=4_800)), 1, "replace"),
    "replace-2": ("replace", lambda: replacing(2_000), 2, None),
}
UNGUIDED = Denoised(N, guidance_scale=1.0, solver="heun", steps=8)  # the network of "unet"
NAMES = ("unet", "unet-unguided", "narrow-edm", "eps-ancestral", "mlp", "redifine", "neon", "replace-2")


def make(name, out, data):
    """Return the images of a generator, made now if OUT has none."""
    path = out / f"{name}.npy"
    if path.exists():
        return np.load(path)
    if name == "unet-unguided":
        make("unet", out, data)
        recipe = replacing(2_000)
        chain = Chain(out / "runs" / "replace", recipe.founder.restore, recipe.trainer.restore)
        ctx = chain.context(0, data)
        images = np.concatenate([UNGUIDED(chain[0].model, np.arange(N)[at : at + 100], ctx).images[:] for at in range(0, N, 100)])
    else:
        run, recipe, last, shared = LOOPS[name]
        if shared and not (out / "runs" / run).exists():
            make("unet", out, data)
            fork(out / "runs" / shared, out / "runs" / run, 0)
        *_, generation = Loop.at(out / "runs" / run, recipe(), data, seed=0, progress=bars).run(last)
        images = generation.samples.images[:N]
    np.save(path, images)
    return images


def main():
    out = Path(sys.argv[1]) if sys.argv[1:] else OUT
    (out / "runs").mkdir(parents=True, exist_ok=True)
    data = fashion_mnist()
    for name in sys.argv[2:] or NAMES:
        print(name, make(name, out, data).shape, flush=True)


if __name__ == "__main__":
    main()
