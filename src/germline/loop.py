"""The loop: mix, score, weigh, select, train, sample; generation after generation."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from germline.chain import CONFIG, DRIFT, Chain
from germline.core import digest, sealed
from germline.core.atomic import replacing
from germline.core.context import Context, Execution
from germline.core.digest import Json
from germline.core.errors import BadInput, RunConflict
from germline.core.generation import CHOICE, IMAGES, MODEL, ROWS, Generation, refuse_fewer_than_none
from germline.core.pool import Pool
from germline.core.progress import Progress, silent
from germline.core.protocols import Trainer, together
from germline.core.recipe import Recipe
from germline.core.splits import Splits
from germline.diffusion.precision import resolve
from germline.pipelines.processes import END, Processes, processes

M = TypeVar("M")
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "pyarrow", "safetensors")


@dataclass(frozen=True, eq=False)
class Loop(Generic[M]):
    """A recipe at work in a run folder.

    It has no memory: a generation is a function of recipe, data, chain and seed, so resuming is running again, whatever was
    killed and when.

    Under torchrun every process makes its loop and iterates over it, in one folder that all of them see. Only the first locks, writes and
    is given generations; the others take part in the trainings that are computed ``together``.
    """

    chain: Chain
    recipe: Recipe[M]
    data: Splits
    progress: Progress = silent

    @classmethod
    def at(
        cls,
        path: Path | str,
        recipe: Recipe[M],
        data: Splits,
        *,
        seed: int = 0,
        execution: Execution | None = None,
        names: Mapping[str, Json] | None = None,
        progress: Progress = silent,
        accept_drift: bool = False,
    ) -> Loop[M]:
        """Return the loop in folder ``path``, new or to be resumed.

        Args:
            path: the run folder.
            recipe: the parts.
            data: the splits.
            seed: of every random draw.
            execution: precision, threads, block size; a run that exists keeps its own.
            names: what rebuilds recipe and data by name, for the command line.
            progress: opens progress bars.
            accept_drift: go on although library versions changed, so that bytes are no longer promised.

        Raises:
            BadInput: a scorer is not ready: its weights are not here.
            RunConflict: the folder holds a run of another recipe, seed or data set, or other versions made it.
            Corrupt: a file of the run is damaged.
        """
        chain = Chain(Path(path), recipe.founder.restore, recipe.trainer.restore)
        identity: dict[str, Json] = {"parts": digest.describe(recipe.ready()), "seed": seed, "data": data.digest}
        group = processes()
        if not group.rank:
            with chain.locked():
                if (chain.path / CONFIG).exists():
                    _same(chain, identity, accept_drift)
                else:
                    how = execution or Execution(precision=resolve("auto"))
                    config = {**identity, "names": dict(names or {}), "versions": versions(), "execution": vars(how).copy()}
                    sealed.write(chain.path / CONFIG, config)
                chain.check()
        group.together()
        return cls(chain, recipe, data, progress)

    def run(self, generations: int) -> Iterator[Generation]:
        """Yield generations 0 to ``generations``, making those that are not there yet.

        Raises:
            RunConflict: another process works on this run.
            BadInput: a number below 0, too few prompts for so many, or a part returned something unusable; the message names the part.
        """
        refuse_fewer_than_none(generations)
        self.recipe.enough(generations, self.data)
        group = processes()
        if group.rank:
            return self._follow(group)
        with self.chain.locked(), limited_threads(self.chain.execution.threads), group.leading():
            for number in range(generations + 1):
                yield self.chain[number] if number < len(self.chain) else self._make(number)

    def _follow(self, group: Processes) -> None:
        """Take part in the trainings that the first process announces, until it ends."""
        with limited_threads(self.chain.execution.threads):
            while (number := group.told()) != END:
                ctx = self.chain.context(number, self.data)
                self._trained(self.chain.open(number, ctx.generations), ctx)

    def _make(self, number: int) -> Generation:
        ctx = self.chain.context(number, self.data, self.progress)
        step = self.chain.open(number, ctx.generations)
        step.path.mkdir(parents=True, exist_ok=True)
        for stage, name, write in (("choose", CHOICE, self._choose), ("train", MODEL, self._train), ("sample", IMAGES, self._sample)):
            if not (step.path / name).exists():
                with self.chain.timed(number, stage):
                    write(step, ctx)
        about: dict[str, Json] = {"images_seen": getattr(self._trainer(number), "images", None), "samples": self.recipe.sampler.n}
        return self.chain.seal(number, self._parts(number), about)

    def _parts(self, number: int) -> str:
        """Return the digest of what makes this generation; generation 0 needs only founder and sampler, so arms share it."""
        recipe = self.recipe
        later = (recipe.mixer, recipe.scorers, recipe.weighters, recipe.selector, recipe.trainer, recipe.sampler)
        parts = later if number else (recipe.founder, recipe.sampler)
        return digest.of_json([digest.describe(parts), self.chain.config["seed"], self.data.digest])

    def _choose(self, step: Generation, ctx: Context) -> None:
        offer, order = choose(self.recipe, ctx) if step.number else (self.data.real, np.arange(len(self.data.real)))
        selector = type(self.recipe.selector).__name__ if self.recipe.selector and step.number else "all"
        with replacing(step.path / CHOICE) as temporary:
            pq.write_table(choice_table(offer, order, selector), temporary)

    def _train(self, step: Generation, ctx: Context) -> None:
        trainer = self._trainer(step.number)
        if together(trainer):
            processes().told(step.number)
        arrays = trainer.arrays(self._trained(step, ctx))
        with replacing(step.path / MODEL) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)

    def _trainer(self, number: int) -> Trainer[M]:
        return self.recipe.trainer if number else self.recipe.founder

    def _trained(self, step: Generation, ctx: Context) -> M:
        previous: M | None = self.chain[step.number - 1].model if step.number else None  # type: ignore[assignment]
        return self._trainer(step.number)(step.training(self.data), previous, ctx)

    def _sample(self, step: Generation, ctx: Context) -> None:
        model: M = step.model  # type: ignore[assignment]
        n, block, height_width_channels = self.recipe.sampler.n, ctx.execution.block, self.data.image_shape
        with replacing(step.path / IMAGES) as temporary:
            images = np.lib.format.open_memmap(temporary, "w+", np.uint8, (n, *height_width_channels))
            conditions, columns = [], []
            with self.progress(f"generation {step.number}: sample", n) as advance:
                for start in range(0, n, block):
                    rows = np.arange(start, min(start + block, n))
                    part = self._block(model, rows, ctx)
                    images[rows] = part["images"]
                    conditions.append(part["condition"])
                    columns.append(part["attempt"])
                    advance(len(rows))
            images.flush()
            table = pa.table({"condition": np.concatenate(conditions), "attempt": np.concatenate(columns)})
            with replacing(step.path / ROWS) as rows_file:
                pq.write_table(table, rows_file)

    def _block(self, model: M, rows: np.ndarray, ctx: Context) -> Mapping[str, np.ndarray]:
        """Return the samples of these rows, from the scratch folder if a killed run left them there."""
        path = ctx.scratch / f"rows_{rows[0]:08d}.npz"
        if not path.exists():
            pool = self.recipe.sampler(model, rows, ctx)
            if len(pool) != len(rows):
                who = type(self.recipe.sampler).__name__
                raise BadInput(f"{who} must return one sample for each of {len(rows)} rows, but returned {len(pool)}.")
            attempt = pool.columns.get("attempt", np.zeros(len(rows), np.int64))
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.savez(file, images=pool.images[:], condition=pool.condition, attempt=attempt)
        with np.load(path, allow_pickle=False) as block:
            return dict(block)


def choose(recipe: Recipe[M], ctx: Context) -> tuple[Pool, np.ndarray]:
    """Mix, score, weigh, select: return the offer with its scores and log-weights, and the chosen rows in order of choice.

    Raises:
        BadInput: a part returned the wrong shape, NaN, rows twice, or rows that are not on offer.
    """
    offer = recipe.mixer(ctx)
    for scorer in recipe.scorers:
        offer = offer.with_column(scorer.name, one_a_row(scorer, scorer(offer, ctx), len(offer)))
    for weighter in recipe.weighters:
        offer = offer.weighed(one_a_row(weighter, weighter(offer, ctx), len(offer), minus_infinity=True))
    open_to_choice = np.flatnonzero(offer.log_weight > -np.inf)
    if recipe.selector is None:
        return offer, open_to_choice
    picked = recipe.selector(offer.take(open_to_choice), ctx)
    distinct_rows(recipe.selector, picked, len(open_to_choice))
    return offer, open_to_choice[picked]


def one_a_row(part: object, values: np.ndarray, rows: int, minus_infinity: bool = False) -> np.ndarray:
    """Return ``values`` as float64 after checking that there is one number a row."""
    who, what = type(part).__name__, "log-weights" if minus_infinity else "scores"
    if values.shape != (rows,):
        raise BadInput(f"{who} must return {what} with shape ({rows},), one per row of the pool, but returned {values.shape}.")
    bad = np.isnan(values) | (np.isposinf(values) if minus_infinity else np.isinf(values))
    if bad.any():
        raise BadInput(f"{who} returned {values[bad][0]} in row {int(np.flatnonzero(bad)[0])}; {what} must be numbers.")
    return np.asarray(values, np.float64)


def distinct_rows(part: object, rows: np.ndarray, n: int) -> None:
    """Check that a selector returned distinct row numbers of a pool of ``n`` rows."""
    who = type(part).__name__
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise BadInput(f"{who} must return row numbers, one axis of integers, but returned {rows.dtype} {rows.shape}.")
    if len(rows) == 0:
        raise BadInput(f"{who} chose no row of {n}; a training set needs at least one.")
    if rows.min() < 0 or rows.max() >= n:
        raise BadInput(f"{who} must return rows 0..{n - 1}, but returned {rows.min()}..{rows.max()}.")
    if len(np.unique(rows)) < len(rows):
        raise BadInput(f"{who} chose some row twice: {len(rows)} picks, {len(np.unique(rows))} distinct. Weigh a row to count it more.")


def choice_table(offer: Pool, chosen: np.ndarray, selector: str) -> pa.Table:
    """Return the table of every row on offer: where it came from, its scores, whether it was chosen, when and why."""
    order = np.full(len(offer), -1, np.int64)
    order[chosen] = np.arange(len(chosen))
    reason = np.where(order >= 0, selector, np.where(offer.log_weight > -np.inf, f"not chosen by {selector}", "log-weight -inf"))
    columns = {"generation": offer.generation, "row": offer.origin[:, 1], "condition": offer.condition, "log_weight": offer.log_weight}
    return pa.table({**columns, **offer.columns, "order": order, "reason": pa.array(reason).dictionary_encode()})


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Compute with this many threads: two give other bits than one, and are slower under load."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def versions() -> dict[str, Json]:
    """Return the versions of what decides the bytes of a run."""
    return {"germline": version("germline"), "python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _same(chain: Chain, identity: Mapping[str, Json], accept_drift: bool) -> None:
    """Check that the run in the folder is this run, made by the same versions."""
    config = chain.config
    chain.refuse_adopted("run")
    for name, now in identity.items():
        if config[name] != now:
            where = "".join(f"\n  {line}" for line in differences(config[name], now, name))
            begun = "Give another --out, or fork the run."
            do = begun if len(chain) else "Nothing of it is finished: delete the folder, or give another --out."
            raise RunConflict(f"{chain.path} holds a run with another {name}:{where}\n{do}")
    drift = differences(config["versions"], versions(), "versions")
    if execution := config["execution"]:
        assert isinstance(execution, dict)
        if execution["precision"] == "bf16" and resolve("auto") != "bf16":
            drift.append("precision: bf16 there, not native here")
    if drift and not accept_drift:
        where = "".join(f"\n  {line}" for line in drift)
        raise RunConflict(
            f"{chain.path} was made by other versions, so equal bytes are no longer promised:{where}\nGo on with --accept-drift."
        )
    if drift:
        sealed.write(chain.path / DRIFT, {"accepted": list(drift), "after_generation": len(chain) - 1})


def differences(old: Json, new: Json, where: str) -> list[str]:
    """Return one line for each place where two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for key in sorted({*old, *new}) for line in differences(old.get(key), new.get(key), f"{where}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in differences(a, b, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {_short(old)} there, {_short(new)} here"]


def _short(value: Json) -> str:
    text = digest.canonical(value)
    return text if len(text) < 60 else text[:57] + "..."
