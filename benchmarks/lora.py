"""A LoRA step of ``TunePipeline`` beside that of diffusers' own example, ``examples/text_to_image/train_text_to_image_lora.py``.

The example's loop is stated anew from what it does in each step: encode the images with the VAE and the captions with CLIP, draw noise
and times, ``add_noise``, the U-Net in training, the mean squared error, accelerate's backward and clipping, AdamW, the schedule of the
rate, the loss for the log. Its images and token numbers lie in memory, so it pays for no file and no tokenizer. Ours is the trainer as a
run uses it, with a log-weight a row and condition drop: ``uncached`` encodes in every step as well, from uint8 images
and text, and ``cached``, the default, once before. Equal model, batch, rank, targets, precision (fp32) and one thread.

    python benchmarks/lora.py [--model DIR] [--batch 8] [--rank 16] [--rounds 80] [--memory-runs 3] [--json FILE]

Without ``--model``, of random weights in the sizes of the emoji model (32 pixels, VAE of three levels, U-Net of 64 and 128), no dropout.

Time: the three trainings stand still beside each other in one process and take turns, one step each, in order and then in reverse. A
round is a step of each within seconds of the others, so what else the machine does falls on all alike. A round gives a ratio; told are
the median over rounds and its 95 % interval by bootstrap over blocks of eight rounds, of processor time and of wall time. Where other
programs run, processor time counts: wall time is what they leave. None of them writes a checkpoint: the example does so every 500 steps,
ours every ten seconds, which a training that stands still for others would do far too often (at most a twentieth of its time).

Memory: fresh processes, each with one of the three; told are what the imports took (both sides import what they use before anything is
measured), the peak, and their difference, which is the training's own: model, text encoder, VAE, latents, gradients, moments. The
example itself imports ``datasets`` too, which is not counted here.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # torch's own setting holds for one Python thread only, and each training has one

import numpy as np
import torch

ROWS, WARM, BLOCK = 512, 4, 8
KINDS = ("diffusers", "uncached", "cached")
GOALS = {"uncached": 1.0, "cached": 1.3}
PROMPTS = [f"a {colour} {thing} number {number}" for number in range(8) for colour in ("red", "blue") for thing in ("cat", "sun", "boat")]
Tick = Callable[[], None]


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


def peer(folder: Path, batch: int, rank: int, steps: int, imported: Tick, tick: Tick) -> None:
    """Train as the example does; ``tick`` after every step."""
    import peft
    from accelerate import Accelerator
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset
    from transformers import CLIPTextModel, CLIPTokenizer

    imported()
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
    rates = get_scheduler("constant", optimiser, num_warmup_steps=0, num_training_steps=steps)
    unet, optimiser, loader, rates = accelerator.prepare(unet, optimiser, loader, rates)
    unet.train()
    seen = itertools.chain.from_iterable(itertools.repeat(loader))
    for pixel_values, input_ids in itertools.islice(seen, steps):
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
        tick()


def ours(folder: Path, batch: int, rank: int, steps: int, imported: Tick, tick: Tick, *, cached: bool) -> None:
    """Train by ``TunePipeline``; ``tick`` after every step."""
    import peft  # noqa: F401  used by what follows, and so part of the imports
    from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel  # noqa: F401
    from transformers import CLIPTextModel, CLIPTokenizer  # noqa: F401

    from germline.core.context import Context
    from germline.core.pool import Pool
    from germline.core.splits import Splits
    from germline.pipelines.lora import Lora
    from germline.pipelines.opened import open_pipeline
    from germline.trainers import TunePipeline, tune_pipeline

    tune_pipeline.CHECKPOINT_SECONDS = float("inf")
    imported()
    log_weight = np.random.default_rng(1).normal(size=ROWS)
    pool = Pool.of(images(open_pipeline(folder).size), np.array(prompts())).weighed(log_weight)

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
        yield (lambda more: tick() if more else None) if "train" in what else (lambda more: None)

    trainer = TunePipeline(folder, images=steps * batch, batch=batch, lora=Lora(rank), condition_drop=0.2, cached=cached)
    with tempfile.TemporaryDirectory() as scratch:
        splits = Splits("noise", (), pool, pool, pool, pool)
        trainer(pool, None, Context(0, 0, splits, scratch=Path(scratch), progress=progress))


class Turns:
    """A training in a thread of its own that does one step when it is told to, and else stands still."""

    def __init__(self, run: Callable[[Tick, Tick], None]) -> None:
        self._go, self._stood, self._error = threading.Semaphore(0), threading.Semaphore(0), ""
        self._thread = threading.Thread(target=self._all, args=(run,), daemon=True)
        self._thread.start()

    def step(self) -> tuple[float, float]:
        """Return processor and wall seconds of one step (of the first: of everything before it too)."""
        before = time.process_time(), time.perf_counter()
        self._go.release()
        self._stood.acquire()
        if self._error:
            sys.exit(self._error)
        return time.process_time() - before[0], time.perf_counter() - before[1]

    def _all(self, run: Callable[[Tick, Tick], None]) -> None:
        self._go.acquire()
        try:
            run(lambda: None, self._tick)
        except BaseException as error:  # whoever waits is to know
            self._error = f"{type(error).__name__}: {error}"
        self._stood.release()

    def _tick(self) -> None:
        self._stood.release()
        self._go.acquire()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a folder of diffusers' layout, Stable Diffusion 1 or 2")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--memory-runs", type=int, default=3)
    parser.add_argument("--memory", choices=KINDS, help="run one of them alone and print what its process held, in bytes (Linux)")
    parser.add_argument("--json", type=Path, help="write every step's seconds and every process's bytes there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = asked.model or model(Path(place))
        kinds = dict(zip(KINDS, (peer, partial(ours, cached=False), partial(ours, cached=True)), strict=True))
        if asked.memory:
            imports: list[int] = []
            kinds[asked.memory](folder, asked.batch, asked.rank, 24, lambda: imports.append(held("VmRSS")), lambda: None)
            print(json.dumps([*imports, held("VmHWM")]))
            return
        sizes = ("--batch", str(asked.batch), "--rank", str(asked.rank), "--model", str(folder))
        runs = [(kind, alone(kind, sizes)) for _ in range(asked.memory_runs) for kind in KINDS]
        arms = {kind: Turns(partial(run, folder, asked.batch, asked.rank, WARM + asked.rounds + 1)) for kind, run in kinds.items()}
        rounds = np.array(list(taken(arms, asked.rounds)))
    tell(rounds, {kind: np.array([bytes_ for name, bytes_ in runs if name == kind]) for kind in KINDS}, asked.batch, asked.rank)
    if asked.json:
        asked.json.write_text(json.dumps({"kinds": KINDS, "seconds": rounds.tolist(), "bytes": runs}))


def taken(arms: dict[str, Turns], rounds: int) -> Iterator[list[tuple[float, float]]]:
    """Yield a round's (processor, wall) seconds of each training, after ``WARM`` rounds that pay for warming up."""
    for number in range(WARM + rounds):
        order = list(arms) if number % 2 else list(reversed(arms))
        seconds = {kind: arms[kind].step() for kind in order}
        if number >= WARM:
            yield [seconds[kind] for kind in arms]


def tell(rounds: np.ndarray, memory: dict[str, np.ndarray], batch: int, rank: int) -> None:
    """Print medians, ratios with intervals, and memory; ``rounds`` is (rounds, trainings, 2)."""
    import diffusers
    import peft

    versions = ", ".join(f"{library.__name__} {library.__version__}" for library in (torch, diffusers, peft))
    print(f"{versions}; one thread, fp32, batch {batch}, rank {rank}; {len(rounds)} rounds, load {os.getloadavg()[0]:.1f}")
    for number, kind in enumerate(KINDS):
        processor, wall = 1e3 * np.median(rounds[:, number], 0)
        line = f"{kind:<10} {processor:6.1f} ms a step of processor, {wall:6.1f} of wall time"
        if kind in GOALS:
            for clock, name in enumerate(("processor", "wall")):
                low, middle, high = interval(rounds[:, 0, clock] / rounds[:, number, clock])
                line += f"; {name}: {middle:.2f} times as fast ({low:.2f} to {high:.2f})"
            line += f", goal {GOALS[kind]}"
        print(line)
    for kind, held_ in memory.items() if len(memory[KINDS[0]]) else ():
        imports, peak = (int(statistics.median(column)) for column in held_.T)
        first = np.median(memory[KINDS[0]], 0)
        ratios = f"{peak / first[1]:.3f} and {(peak - imports) / (first[1] - first[0]):.3f} of diffusers'"
        spread = f"{held_[:, 1].min() / 1e6:.0f} to {held_[:, 1].max() / 1e6:.0f}"
        print(
            f"{kind:<10} {imports / 1e6:.0f} MB imports, {peak / 1e6:.0f} MB peak ({spread}), {(peak - imports) / 1e6:.0f} MB own: {ratios}"
        )


def interval(ratios: np.ndarray) -> tuple[float, float, float]:
    """Return the median and its 95 % interval by a bootstrap over blocks of ``BLOCK`` rounds: rounds near each other are alike."""
    blocks = ratios[: len(ratios) // BLOCK * BLOCK].reshape(-1, BLOCK)
    picked = np.random.default_rng(0).integers(0, len(blocks), (4_000, len(blocks)))
    low, high = np.quantile(np.median(blocks[picked].reshape(4_000, -1), 1), (0.025, 0.975))
    return float(low), float(np.median(ratios)), float(high)


def alone(kind: str, sizes: tuple[str, ...]) -> list[int]:
    """Return what a fresh process held after its imports, and at its peak, in bytes."""
    done = subprocess.run([sys.executable, __file__, "--memory", kind, *sizes], check=True, capture_output=True, text=True)
    found: list[int] = json.loads(done.stdout.splitlines()[-1])
    return found


def held(name: str) -> int:
    """Return bytes of this process; the peak is VmHWM, as ``ru_maxrss`` would begin at what the process that started it held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
