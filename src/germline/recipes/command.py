"""Your own program in the loop: what trains and what samples are command lines; mixing, selecting and measuring are germline's."""

import shlex
from functools import partial
from pathlib import Path
from typing import Literal

from germline.core.exchange import Files, Format
from germline.core.protocols import Mixer, Selector
from germline.core.recipe import Recipe
from germline.features import Classifier
from germline.mixers import Accumulate, Augment, Fresh, RealOnly, Replace
from germline.samplers import CommandSampler
from germline.selectors import Farthest, RealShare, Stratified, ThresholdDecay, Uniform
from germline.trainers import CommandTrainer


def command(
    train: str = "python train.py {data} {previous} {out} {seed}",
    sample: str = "python sample.py {model} {out} {n} {seed}",
    n: int = 2_000,
    loop: Literal["replace", "accumulate", "augment", "fresh", "real-only"] = "replace",
    select: Literal["all", "uniform", "stratified", "real-share", "entropy", "threshold-decay"] = "all",
    rows: int | None = None,
    real_share: float = 0.3,
    handed: Format = "npz",
    timeout: float | None = None,
    resumable: bool = False,
    shell: bool = False,
) -> Recipe[Files]:
    """Command: your own trainer and sampler, as two command lines, in any of the loops.

    Args:
        train: run on T_g, the file {data}; it may go on from the files in the folder {previous}, and writes the model's files to the folder
            {out}. Also there: {seed}, {n}, {generation}, {classes}.
        sample: run on a model, the files in the folder {model}; it writes {n} images to the folder {out}, as one .npz, one .npy, or
            pictures. Also there: {seed}, {rows} (a CSV file: class and seed of every row), {generation}, {classes}.
        n: rows sampled a generation.
        loop: what is on offer to a generation.
        select: what of it is trained on.
        rows: rows trained on a generation, where something is selected; n when not given.
        real_share: share of real rows, for loop fresh and select real-share.
        handed: {data} is one .npz (images, labels, classes, weights), or a folder of PNGs with a sub-folder a class.
        timeout: seconds after which either program is stopped; never when not given.
        resumable: after a kill the trainer goes on from what it left in {out}, instead of from an empty folder.
        shell: the lines are for sh, with pipes and variables.
    """
    m, space = rows or n, Classifier()
    loops: dict[str, Mixer] = {"replace": Replace(), "accumulate": Accumulate(), "augment": Augment(), "real-only": RealOnly()}
    selectors: dict[str, Selector | None] = {"all": None, "uniform": Uniform(m), "stratified": Stratified(m), "entropy": Farthest(m, space)}
    selectors |= {"real-share": RealShare(m, real_share), "threshold-decay": ThresholdDecay(m, space)}
    trainer = CommandTrainer(train, handed, program(train), shell, resumable, timeout)
    return Recipe(
        source="a program of one's own",
        founder=trainer,
        mixer=Fresh(real_share) if loop == "fresh" else loops[loop],
        selector=selectors[select],
        trainer=trainer,
        sampler=CommandSampler(sample, n, program(sample), shell, timeout),
    )


def program(line: str) -> tuple[Path, ...]:
    """Return the files that a command line names, but not an interpreter: editing one of them makes another run of it."""
    try:
        words = [Path(word) for word in shlex.split(line)]
    except ValueError:
        return ()
    return tuple(word for i, word in enumerate(words) if word.is_file() and (i or not word.is_absolute()))


embedded = partial(command)
