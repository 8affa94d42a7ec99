"""A LoRA step of ``TunePipeline`` beside that of diffusers' own example, ``examples/text_to_image/train_text_to_image_lora.py``.

The example's loop is stated anew from what it does in each step: encode the images with the VAE and the captions with CLIP, draw noise
and times, ``add_noise``, the U-Net in training, the mean squared error, accelerate's backward and clipping, AdamW, the schedule of the
rate, the loss for the log. Its images and token numbers lie in memory, so it pays for no file and no tokenizer. Ours is the trainer as a
run uses it, with a log-weight a row, condition drop and its checkpoints: ``uncached`` encodes in every step as well, from uint8 images
and text, and ``cached``, the default, once before. Equal model, batch, rank, targets, precision (fp32) and one thread; rounds of the
three in turn, one process; the median of the processor time of a step counts. Memory is the peak of a fresh process each, libraries and
all.

    python benchmarks/lora.py [--model DIR] [--batch 8] [--rank 16] [--rounds 5]

Without ``--model``, of random weights in the sizes of the emoji model (32 pixels, VAE of three levels, U-Net of 64 and 128), no dropout.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

ROWS, STEPS, WARM = 512, 24, 4
KINDS = ("diffusers", "uncached", "cached")
PROMPTS = [f"a {colour} {thing} number {number}" for number in range(8) for colour in ("red", "blue") for thing in ("cat", "sun", "boat")]


def model(folder: Path) -> Path:
    """Write a pipeline of random weights in the sizes of the emoji model."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
    from emoji_base import folder as saved
    from emoji_base import text, unet, vae

    torch.manual_seed(0)  # diffusers draws its weights from the global stream
    words = text.tokenizer(PROMPTS, 4_500, folder / "tokenizer")
    said = text.network(words, 192, 2)
    net = unet.network((64, 128), 192, 16, dropout=0.0)
    saved.write(folder / "model", vae.network((32, 64, 96), 16), said, folder / "tokenizer", net)
    return folder / "model"


def images(side: int) -> np.ndarray:
    """Return ``ROWS`` pictures of noise, uint8."""
    return np.random.default_rng(0).integers(0, 256, (ROWS, side, side, 3), np.uint8)


def prompts() -> list[str]:
    """Return a caption a row."""
    return list(itertools.islice(itertools.cycle(PROMPTS), ROWS))


class Clock:
    """Processor seconds of every step but the first few, which pay for warming up."""

    def __init__(self) -> None:
        self._stamps: list[float] = []

    def tick(self) -> None:
        """Note that a step is done."""
        self._stamps.append(time.process_time())

    def steps(self) -> list[float]:
        """Return the seconds of each step."""
        return np.diff(self._stamps)[WARM:].tolist()


def peer(folder: Path, batch: int, rank: int) -> list[float]:
    """Return the seconds of the example's steps."""
    import peft
    from accelerate import Accelerator
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset
    from transformers import CLIPTextModel, CLIPTokenizer

    accelerator = Accelerator(cpu=True)
    noise = DDPMScheduler.from_pretrained(folder, subfolder="scheduler")
    words = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    kinds = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
    unet, vae, text = (kind.from_pretrained(folder, subfolder=name).float().requires_grad_(False) for name, kind in kinds.items())
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(peft.LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=targets))
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    side = unet.config.sample_size * 2 ** (len(vae.config.block_out_channels) - 1)
    pixels = torch.from_numpy(images(side)).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    numbers = words(prompts(), max_length=words.model_max_length, padding="max_length", truncation=True, return_tensors="pt").input_ids
    loader = DataLoader(TensorDataset(pixels, numbers), batch, shuffle=True)
    rates = get_scheduler("constant", optimiser, num_warmup_steps=0, num_training_steps=STEPS)
    unet, optimiser, loader, rates = accelerator.prepare(unet, optimiser, loader, rates)
    unet.train()
    clock, seen = Clock(), itertools.chain.from_iterable(itertools.repeat(loader))
    for pixel_values, input_ids in itertools.islice(seen, STEPS):
        with accelerator.accumulate(unet):
            latents = vae.encode(pixel_values).latent_dist.sample() * vae.config.scaling_factor
            eps = torch.randn_like(latents)
            t = torch.randint(0, noise.config.num_train_timesteps, (len(latents),))
            said = text(input_ids, return_dict=False)[0]
            wanted = eps if noise.config.prediction_type == "epsilon" else noise.get_velocity(latents, eps, t)
            found = unet(noise.add_noise(latents, eps, t), t, said, return_dict=False)[0]
            loss = functional.mse_loss(found.float(), wanted.float())
            accelerator.gather(loss.repeat(batch)).mean().item()  # for the log
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            rates.step()
            optimiser.zero_grad()
        clock.tick()
    return clock.steps()


def ours(folder: Path, batch: int, rank: int, cached: bool) -> list[float]:
    """Return the seconds of our steps."""
    from germline.core.context import Context
    from germline.core.pool import Pool
    from germline.core.splits import Splits
    from germline.pipelines.lora import Lora
    from germline.pipelines.opened import open_pipeline
    from germline.trainers import TunePipeline

    log_weight = np.random.default_rng(1).normal(size=ROWS)
    pool = Pool.of(images(open_pipeline(folder).size), np.array(prompts())).weighed(log_weight)
    clock = Clock()

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
        yield (lambda more: clock.tick()) if "train" in what else (lambda more: None)

    trainer = TunePipeline(folder, images=STEPS * batch, batch=batch, lora=Lora(rank), condition_drop=0.2, cached=cached)
    with tempfile.TemporaryDirectory() as scratch:
        splits = Splits("noise", (), pool, pool, pool, pool)
        trainer(pool, None, Context(0, 0, splits, scratch=Path(scratch), progress=progress))
    return clock.steps()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder of diffusers' layout, Stable Diffusion 1 or 2")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", choices=KINDS, help="run one of them alone and print the peak of this process, in bytes (Linux)")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = asked.model or model(Path(place))
        kinds = dict(zip(KINDS, (peer, partial(ours, cached=False), partial(ours, cached=True)), strict=True))
        if asked.memory:
            kinds[asked.memory](folder, asked.batch, asked.rank)
            print(peak())
            return
        compare(kinds, folder, asked.batch, asked.rank, asked.rounds)


def compare(kinds: dict[str, Callable[[Path, int, int], list[float]]], folder: Path, batch: int, rank: int, rounds: int) -> None:
    """Print medians, ratios and peaks."""
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, run in kinds.items():
            seconds[kind] += run(folder, batch, rank)
    sizes = ("--batch", str(batch), "--rank", str(rank), "--model", str(folder))
    peaks = {kind: alone(kind, sizes) for kind in kinds}
    import diffusers
    import peft

    versions = ", ".join(f"{library.__name__} {library.__version__}" for library in (torch, diffusers, peft))
    print(f"{versions}; one thread, fp32, batch {batch}, rank {rank}")
    first = statistics.median(seconds[KINDS[0]])
    for kind in kinds:
        low, middle, high = statistics.quantiles(seconds[kind], n=4)
        print(
            f"{kind:<10} {1e3 * middle:7.1f} ms a step ({1e3 * low:.1f} to {1e3 * high:.1f}, {len(seconds[kind])} steps),"
            f" {first / middle:.2f} times as fast; peak {peaks[kind] / 1e6:.0f} MB, {peaks[kind] / peaks[KINDS[0]]:.2f} of diffusers'"
        )


def alone(kind: str, sizes: tuple[str, ...]) -> int:
    """Return the peak memory of a fresh process, in bytes."""
    done = subprocess.run([sys.executable, __file__, "--memory", kind, *sizes], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def peak() -> int:
    """Return the most memory that this process held, in bytes; ``ru_maxrss`` would begin at what the process that started it held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
