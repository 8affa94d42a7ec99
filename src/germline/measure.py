"""Metrics over finished generations. They lie beside the record, not in it: they can be added and made again on old runs."""

import warnings
from collections.abc import Iterable, Sequence

from threadpoolctl import threadpool_limits

from germline.chain import METRICS, Chain
from germline.core import digest, sealed
from germline.core.context import Context
from germline.core.digest import Json
from germline.core.errors import BadInput, Corrupt
from germline.core.evidence import Evidence
from germline.core.generation import Generation
from germline.core.measurement import Measurement
from germline.core.progress import Progress, silent
from germline.core.protocols import Metric
from germline.core.splits import Splits


def measure(
    generation: Generation, data: Splits, metrics: Sequence[Metric], *, progress: Progress = silent, again: bool = False
) -> list[Measurement]:
    """Return the measurements of one finished generation, and keep them in its ``metrics.json``.

    A metric that was measured before, with the same fields, is read back unless ``again``. One that cannot be measured here (too few
    rows, prompts instead of classes) is left out with a warning: a run does not end because of a number.
    """
    founder = (*generation.earlier, generation)[0]
    chain = Chain(generation.path.parent, founder.restore, generation.restore)
    known = {} if again else _read(generation)
    fresh = {digest.of_part(metric): metric for metric in metrics if digest.of_part(metric) not in known}
    if fresh:
        ctx = chain.context(generation.number, data, progress)
        evidence, lost = _evidence(generation, data, ctx), set[str]()
        # As many threads as the run had: products of matrices differ in their last bits with the number of threads.
        opened = progress(f"generation {generation.number}: measure", len(fresh))
        with opened as advance, threadpool_limits(ctx.execution.threads):
            for key, metric in fresh.items():
                try:
                    values = _of(metric, evidence, lost)
                    known[key] = {"metric": digest.describe(metric), "values": [value.to_json() for value in values]}
                except BadInput as error:
                    warnings.warn(f"generation {generation.number} goes on without this metric: {error}", stacklevel=2)
                advance(1)
        if lost:
            without = f"without {', '.join(sorted(lost))}: what it was trained on is unknown, since it was adopted without --train"
            warnings.warn(f"generation {generation.number} goes on {without}.", stacklevel=2)
        kept = {**_read(generation), **known}
        sealed.write(generation.path / METRICS, {"measurements": kept})
    return _values(known[key] for metric in metrics if (key := digest.of_part(metric)) in known)


def _evidence(generation: Generation, data: Splits, ctx: Context) -> list[Evidence]:
    """Return what metrics may look at; where T_g is unknown, once with S_g and once with the held-out rows in its place."""
    stand_ins = [generation.training(data)] if generation.training_known else [generation.samples, data.held_out]
    return [Evidence(generation.samples, training, data, ctx) for training in stand_ins]


def _of(metric: Metric, evidence: Sequence[Evidence], lost: set[str]) -> list[Measurement]:
    """Return what a metric says; where T_g is unknown, only what is the same whatever stands in for it. ``lost`` takes the other names."""
    first, *others = (list(metric(one)) for one in evidence)
    if not others:
        return first
    kept = [value for value in first if value.of != "training" and value in others[0]]
    there = {value.name for value in kept if value.of == "samples"}
    lost |= {value.name for value in first if value.of != "reference"} - there
    return [value for value in kept if value.name in there]


def measured(generation: Generation) -> list[Measurement]:
    """Return everything that was measured of a generation so far."""
    return _values(_read(generation).values())


def _read(generation: Generation) -> dict[str, Json]:
    path = generation.path / METRICS
    if not path.exists():
        return {}
    kept = sealed.read(path)["measurements"]
    assert isinstance(kept, dict)
    return kept


def _values(entries: Iterable[Json]) -> list[Measurement]:
    out = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry["values"], list):
            raise Corrupt("metrics.json holds something that is no measurement; delete it and measure again.")
        for value in entry["values"]:
            assert isinstance(value, dict)
            curve = value.get("curve")
            fields = {**value, "curve": tuple(curve)} if isinstance(curve, list) else value
            out.append(Measurement(**fields))
    return out
