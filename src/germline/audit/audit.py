"""Made images beside real ones: copies, diversity, holes, classes, strange rows. What is called what is fixed on real rows first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64

from germline.audit import copies, findings
from germline.audit.copies import Known, Matches, Null
from germline.audit.findings import Finding
from germline.audit.regions import Region, missing_share, regions, shares
from germline.core.balls import own_radii, reach, scale
from germline.core.context import Context
from germline.core.digest import Json
from germline.core.errors import BadInput
from germline.core.measurement import Measurement
from germline.core.names import name_of
from germline.core.noise import share
from germline.core.pool import REAL, Pool
from germline.core.progress import Progress, silent
from germline.core.splits import Splits
from germline.features import Classifier
from germline.metrics.support import Balls
from germline.metrics.vendi import vendi
from germline.standard import has_classes, space

K, ODD, LEAST = 5, 50, 20  # neighbours of a ball; odd rows that are kept; rows of a side below which nothing can be said


@dataclass(frozen=True)
class Limits:
    """What is fixed before a made row is looked at: rates of false alarms, and the numbers that real rows give at these rates."""

    alarms: float
    copy: float
    surely: float
    null: float
    reach: float


@dataclass(frozen=True, eq=False)
class Copies:
    """Copies of real rows among the made ones, strongest first: (made row, real row, strangeness); of exact copies 0.

    ``called`` are below the limit at 1 % false alarms and not exact; ``surely`` counts those of them below any real row's strangeness.
    """

    exact: tuple[tuple[int, int, float], ...]
    called: tuple[tuple[int, int, float], ...]
    surely: int
    share: tuple[float, float, float]
    nearer: tuple[float, float, float]
    repeats: float


@dataclass(frozen=True)
class Balance:
    """Shares of the classes among real and made rows; ``how`` made rows got theirs, and how well labels and classifier agree."""

    names: tuple[str, ...]
    real: tuple[float, ...]
    made: tuple[float, ...]
    how: str
    accuracy: float | None
    agreement: float | None

    @property
    def distance(self) -> float:
        """The total variation distance of the shares: the part of the rows that would have to change class."""
        return float(np.abs(np.subtract(self.real, self.made)).sum() / 2)


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything that was found. ``odd`` are made rows with the factor at which the real rows' support reaches them, oddest first."""

    data: Splits
    made: Pool
    limits: Limits
    copies: Copies
    numbers: tuple[Measurement, ...]
    regions: tuple[Region, ...]
    counted: Pool
    balance: Balance | None
    odd: tuple[tuple[int, float], ...]
    findings: tuple[Finding, ...]

    def to_json(self, names: Sequence[str], real_names: Sequence[str]) -> dict[str, Json]:
        """Return everything but images; ``names`` are those of the made rows, ``real_names`` those of the data's one source."""

        def listed(pairs: tuple[tuple[int, int, float], ...]) -> list[Json]:
            return [{"made": names[made], "real": real_names[real], "strangeness": strangeness} for made, real, strangeness in pairs]

        level = findings.worst(self.findings)
        return {
            "verdict": level,
            "verdict_text": findings.VERDICTS[level],
            "findings": [asdict(finding) for finding in self.findings],
            "rows": {"real": len(self.data.real.sources[REAL]), "made": len(self.made)},
            "limits": asdict(self.limits),
            "copies": {
                "exact": listed(self.copies.exact),
                "near": listed(self.copies.called),
                "nearer_than_any_two_real_rows": self.copies.surely,
                "near_share": list(self.copies.share),
                "nearer_than_the_median_real_row": list(self.copies.nearer),
                "repeats": self.copies.repeats,
            },
            "numbers": [number.to_json() for number in self.numbers],
            "regions": [
                {**asdict(region), "medoids": [real_names[self.counted.origin[row, 1]] for row in region.medoids]}
                for region in self.regions
            ],
            "classes": None if self.balance is None else {**asdict(self.balance), "distance": self.balance.distance},
            "odd": [{"made": names[row], "reach": factor} for row, factor in self.odd],
        }


def audit(
    data: Splits,
    made: Pool,
    ctx: Context,
    alarms: float = 0.01,
    null: float = 0.05,
    progress: Progress = silent,
    folder: Path | None = None,
    guidance: float | None = None,
) -> Audit:
    """Return what there is to say of made rows, beside real rows that are split in R, judge and held_out.

    Copies are looked for of all real rows. Everything else compares with the held-out rows, in the space of a classifier that is fitted
    on the judge split where there are classes, else in principal components of the best installed extractor. All limits are computed
    before the first made row is read. Images are read a piece at a time; memory holds features, and in ``folder`` lies what is compared
    pixel by pixel. ``guidance`` is the scale that made rows were sampled with, if it is known; only the advice depends on it.

    Raises:
        BadInput: there are too few rows, or images differ in shape.
    """
    if made.images.shape[1:] != data.image_shape:
        raise BadInput(f"Made images are {made.images.shape[1:]} and real ones {data.image_shape}; bring all to one size: --size 32, say.")
    if min(len(made), len(data.held_out), len(data.judge)) < LEAST:
        counts = f"{len(made)} made, {len(data.held_out)} held-out and {len(data.judge)} judge rows"
        raise BadInput(f"An audit needs at least {LEAST} rows of every kind, but has {counts}; give more images.")
    known = Known(data.real.sources[REAL].images, progress, folder)
    nulls = known.null(alarms)
    extractor = space(data)
    held_out, real, judge = (ctx.features(extractor, pool) for pool in (data.held_out, data.real, data.judge))
    radii = own_radii(held_out, K)
    limits = Limits(alarms, nulls.limit, nulls.floor, null, scale(reach(real, held_out, radii), null))
    features = ctx.features(extractor, made)
    found = _copies(data, made, known.matches(made.images, progress), nulls)
    factors = reach(features, held_out, radii)
    numbers = _numbers(held_out, real, features, factors, limits, name_of(extractor))
    counted = Pool.concat([data.real, data.held_out])
    holes = regions(judge, np.concatenate([real, held_out]), features)
    balance = _balance(data, made, ctx)
    odd = np.argsort(-factors, kind="stable")[:ODD]
    said = _findings(found, numbers, holes, balance, limits, len(made), len(counted), guidance)
    return Audit(data, made, limits, found, numbers, holes, counted, balance, tuple((int(row), float(factors[row])) for row in odd), said)


def _copies(data: Splits, made: Pool, matches: Matches, null: Null) -> Copies:
    same = copies.exact(made.images, data.real.sources[REAL].images)
    called = (matches.strangeness < null.limit) & (same < 0)
    order = [int(row) for row in np.argsort(matches.strangeness, kind="stable") if called[row]]
    return Copies(
        tuple((int(row), int(same[row]), 0.0) for row in np.flatnonzero(same >= 0)),
        tuple((row, int(matches.rows[row]), float(matches.strangeness[row])) for row in order),
        int((called & (matches.strangeness < null.floor)).sum()),
        share(called | (same >= 0)),
        share(matches.strangeness < np.median(null.strangeness)),
        float(copies.repeated(made.images).mean()),
    )


def _numbers(
    held_out: Float[np.ndarray, "h d"],
    real: Float[np.ndarray, "n d"],
    made: Float[np.ndarray, "m d"],
    factors: Float64[np.ndarray, " m"],
    limits: Limits,
    who: str,
) -> tuple[Measurement, ...]:
    """Return diversity and support of made rows, and of real rows in their place; both with the same number of rows."""
    out = []
    count = min(len(real), len(made))
    for of, rows in (("samples", _spread(made, count)), ("reference", _spread(real, count))):
        n, d = rows.shape
        for name, (value, low, high) in Balls.of(held_out, rows, K).shares().items():
            out.append(Measurement(name, value, of, n, who, K, d, low, high, better="high"))
        diversity = vendi(rows)
        out.append(Measurement("vendi", diversity.value, of, n, who, None, d, *diversity.interval(), better="high"))
    value, low, high = share(factors > limits.reach)
    out.append(Measurement("hallucination", value, "samples", len(made), who, K, made.shape[1], low, high, better="low"))
    out.append(Measurement("hallucination", limits.null, "reference", len(real), who, K, made.shape[1], better="low"))
    return tuple(out)


def _spread(rows: Float[np.ndarray, "n d"], count: int) -> Float[np.ndarray, "{count} d"]:
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def _balance(data: Splits, made: Pool, ctx: Context) -> Balance | None:
    """Return the classes' shares; where made rows have no labels, a classifier's, for real rows too, so that its errors cancel."""
    if not has_classes(data):
        return None
    judge, count = Classifier(), len(data.classes)
    predicted = judge.predict(made, ctx)
    accuracy = judge.accuracy(data.held_out, ctx)
    labels: Int64[np.ndarray, " n"] = made.condition
    if (labels >= 0).any():
        known = labels >= 0
        agreement = float((predicted[known] == labels[known]).mean())
        real = shares(np.concatenate([data.real.condition, data.held_out.condition, data.judge.condition]), count)
        return _of(data, real, shares(labels, count), "by their labels", accuracy, agreement)
    real = shares(judge.predict(data.held_out, ctx), count)
    return _of(data, real, shares(predicted, count), "by a classifier, since made rows have no labels", accuracy, None)


def _of(data: Splits, real: np.ndarray, made: np.ndarray, how: str, accuracy: float, agreement: float | None) -> Balance:
    return Balance(data.classes, tuple(map(float, real)), tuple(map(float, made)), how, accuracy, agreement)


def _findings(
    found: Copies,
    numbers: Sequence[Measurement],
    holes: tuple[Region, ...],
    balance: Balance | None,
    limits: Limits,
    n: int,
    counted: int,
    guidance: float | None,
) -> tuple[Finding, ...]:
    at = {(number.name, number.of): number for number in numbers}
    strange = at["hallucination", "samples"]
    out = [
        findings.of_copies(len(found.exact), len(found.called), found.surely, n, found.share[1], limits.alarms),
        findings.of_nearness(*found.nearer),
        findings.of_repeats(found.repeats),
        findings.of_diversity(
            at["recall", "samples"].value,
            at["recall", "reference"].value,
            at["vendi", "samples"].value,
            at["vendi", "reference"].value,
            guidance,
        ),
        findings.of_regions(sum(hole.missing for hole in holes), len(holes), missing_share(holes, counted)[0]),
        findings.of_support(strange.value, strange.low or 0.0, strange.high or 1.0, limits.null),
    ]
    if balance is not None:
        ratio = np.divide(balance.made, np.maximum(balance.real, 1e-9))
        least = int(ratio.argmin())
        out.insert(5, findings.of_classes(balance.distance, balance.names[least], float(ratio[least]), balance.how))
    return tuple(out)
