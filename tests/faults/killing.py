"""Runs a chain in a live process and kills it at a chosen moment of a chosen write."""

import dataclasses
import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import germline.core.atomic
import germline.trainers.training
from conftest import gaussian_recipe, gaussian_splits
from germline.core.recipe import Recipe
from germline.data import digits, toy_digits
from germline.loop import Loop
from germline.mixers import Replace
from germline.recipes.chain_setup import TOY
from germline.recipes.redifine import redifine
from germline.samplers import Denoised
from germline.trainers import TrainDenoiser

MOMENTS = ("before", "during the write", "before the rename", "after")
REPLACING = germline.core.atomic.replacing
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["germline.loop", "pytest"])


def gaussian(folder: Path) -> Loop:
    return Loop.at(folder, gaussian_recipe(20), gaussian_splits(20, 4))


def network(folder: Path) -> Loop:
    """A real U-Net on 8x8 digits, with a checkpoint at every step."""
    germline.trainers.training.CHECKPOINT_SECONDS = 0.0
    train = TrainDenoiser(images=192, channels=(16, 32))
    recipe = Recipe(train, Replace(), dataclasses.replace(train, start="sequential"), Denoised(300, steps=4))
    return Loop.at(folder, recipe, digits())


def fine_tuned(folder: Path) -> Loop:
    """A Chain of Diffusion on the 8x8 toy, with a checkpoint at every step, of its base too."""
    germline.trainers.training.CHECKPOINT_SECONDS = 0.0
    setup = dataclasses.replace(TOY, base_images=512, images=192, rank=4, steps=3)
    return Loop.at(folder, redifine(300, 0.5, setup), toy_digits())


def pausing(name: str, generation: int, moment: str, here):
    """``replacing`` that, at the moment, reports and waits to be killed; generation -1 stands for the cache beside the runs."""
    there = f"gen_{generation:03d}" if generation >= 0 else ".cache"

    def pause() -> None:
        here.send(os.getpid())
        signal.pause()

    @contextmanager
    def replacing(path: Path):
        hit = path.name.startswith(name) and there in path.parts
        if hit and moment == "before":
            pause()
        with REPLACING(path) as temporary:
            yield temporary
            if hit and moment == "during the write":
                os.truncate(temporary, temporary.stat().st_size // 2)
                pause()
            if hit and moment == "before the rename":
                pause()
        if hit and moment == "after":
            pause()

    return replacing


def child(build, folder: Path, last: int, name: str, generation: int, moment: str, here) -> None:
    wrapped = pausing(name, generation, moment, here)
    for module in list(sys.modules.values()):
        if getattr(module, "replacing", None) is REPLACING:
            module.replacing = wrapped
    list(build(folder).run(last))
    here.send(None)


def kill_at(build, folder: Path, last: int, name: str, generation: int, moment: str) -> bool:
    """Start the run, kill it at the moment, and say whether a live process was hit."""
    parent, here = CONTEXT.Pipe()
    process = CONTEXT.Process(target=child, args=(build, folder, last, name, generation, moment, here))
    process.start()
    here.close()
    pid = parent.recv()
    if pid is None:
        process.join()
        return False
    assert process.is_alive()
    os.kill(pid, signal.SIGKILL)
    process.join()
    return process.exitcode == -signal.SIGKILL


def table(hits: dict[tuple[str, str], int], stages) -> str:
    lines = [f"{'hits':20}" + "".join(f"{moment:>20}" for moment in MOMENTS)]
    lines += [f"{stage:20}" + "".join(f"{hits.get((stage, moment), 0):20}" for moment in MOMENTS) for stage in stages]
    return "\n".join(lines)
