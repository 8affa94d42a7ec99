"""How many rows of a pool are made: an interval, from a classifier that was shown several generators, though not the pool's own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.special import ndtr, ndtri, stdtrit
from threadpoolctl import threadpool_limits

from germline.audit.share import LEAST, TAILS, halves, unlike, upper, visible
from germline.core.errors import BadInput

GENERATORS = 3  # known ones below which the spread between generators is not estimated
SPREAD = 0.3  # the least standard deviation of the visibility of generators, in normal deviates
MOST = 1.5  # the most visibility that is reckoned with: known ones that all stand out say nothing of how well another may hide
PENALTY, ROUNDS, LARGEST, GRID = 1.0, 500, 6.0, 65  # of the regression; of a standardised feature; steps of a rate
DOUBT = 0.01  # the error of the tests for what no share explains

NONE = "no made row is known"
FEW = "the known made rows are of {of}; three or more would tell how generators differ"
SPREAD_OUT = "the known generators differ so much in how they can be told from real rows that another one may not be seen at all"
FEWER = "fewer rows are flagged than among the real ones: the real ones are of another source, or the generator is of another kind"
CONTRADICTED = (
    "what is flagged resembles no share of the known made rows: the real ones are of another source, or the generator is of another kind"
)
STRANGE = "more rows look unlike the real ones than look made: the real ones are of another source, or the generator is of another kind"
ALL = "the pool's made rows may be all of it"


@dataclass(frozen=True)
class Seen:
    """A known generator: its rows, and how visible it is to a classifier that was not shown it; None where it is the only one."""

    name: str
    rows: int
    visibility: float | None


@dataclass(frozen=True)
class MadeShare:
    """The made share lies in ``low`` to ``high`` (95 %), ``estimate`` is the best guess; where ``why`` is not "", that cannot be told.

    ``limit`` is the share below which made rows of the least visibility that is reckoned with would probably not be noticed, None where
    none would be. ``least`` is that visibility. ``real`` and ``pool`` are the rows that were tested.
    """

    low: float
    high: float
    estimate: float | None
    why: str
    limit: float | None
    least: float | None
    real: int
    pool: int
    seen: tuple[Seen, ...]


@dataclass(frozen=True, eq=False)
class Detector:
    """A classifier of made rows, calibrated on real rows and on known generators that it was not shown; it knows nothing of a pool.

    A logistic regression tells half of the real rows from the known made ones, each generator counting alike. It flags rows above
    thresholds that are shares of those real rows; the other half gives the rate F of real rows flagged, a pool P. With T the rate of
    made rows flagged, P = (1 - s) F + s T. The lower end takes T = 1: no generator can break it. The upper end takes the least T that is
    reckoned with: each known generator in turn is left out of the fit, and its visibility is v = the least of Phi^-1(T) - Phi^-1(F) over
    thresholds; that of a generator never seen is above m - t_{K-1} sqrt(1 + 1/K) max(spread, 0.3), the prediction bound for one more from
    a normal law (error 2.5 %), of which no more than 1.5 is trusted, and T >= Phi(v + Phi^-1(F)). P and F have Clopper and Pearson's
    intervals, Bonferroni's correction over thresholds (error 1.25 % an end); the interval holds at every threshold at once. The estimate
    is the median over thresholds of (P - F) / (T - F) with the mean visibility, within the interval.

    The share cannot be told, in this order, where there are fewer than 3 generators; their spread reaches visibility 0; the thresholds
    contradict each other, or fewer rows are flagged than among real ones; the pool, or its rows below the real median, hold more that is
    unlike real rows (``unlike``, 99 % together) than the interval allows, so real rows of another source or a generator that the known
    ones do not resemble; the upper end is 1. The lower end holds in each case but that of another source.

    Source: the adjusted count (Gart and Buck 1966; Forman 2005), intervals Clopper and Pearson 1934; the bound over generators is ours.
    """

    flagging: Flagging | None
    real: Float[np.ndarray, "n d"]
    seen: tuple[Seen, ...]
    confidence: float = 0.95

    @classmethod
    def of(cls, real: Float[np.ndarray, "n d"], made: Mapping[str, Float[np.ndarray, "_ d"]], confidence: float = 0.95) -> Detector:
        """Return the classifier of these real rows and known generators; one of under 40 rows is left out.

        Raises:
            BadInput: there are too few real rows, or the features differ in number.
        """
        if len(real) < LEAST:
            raise BadInput(f"A made share needs at least {LEAST} real rows, but has {len(real)}; give more.")
        for name, rows in made.items():
            _alike(real, rows, name)
        groups = {name: rows for name, rows in made.items() if len(rows) >= LEAST}
        fit, test = halves(real, 0)
        seen = []
        for name, rows in groups.items():
            others = [other for key, other in groups.items() if key != name]
            seen.append(Seen(name, len(rows), visibility(Flagging.fitted(fit, others), test, rows) if others else None))
        return cls(Flagging.fitted(fit, list(groups.values())) if groups else None, test, tuple(seen), confidence)

    @property
    def visibilities(self) -> tuple[float, float] | None:
        """The mean visibility of the known generators, and the least that one never shown is reckoned with; None of under 3."""
        values = np.array([one.visibility for one in self.seen if one.visibility is not None])
        if len(values) < GENERATORS:
            return None
        factor = float(stdtrit(len(values) - 1, (1 + self.confidence) / 2)) * np.sqrt(1 + 1 / len(values))
        return float(values.mean()), min(MOST, float(values.mean() - factor * max(float(values.std(ddof=1)), SPREAD)))

    def share(self, pool: Float[np.ndarray, "m d"]) -> MadeShare:
        """Return the interval of the made share of a pool, whose generator may be none of the known ones.

        Raises:
            BadInput: there are too few rows, or they have other features.
        """
        _alike(self.real, pool, "the pool")
        if len(pool) < LEAST:
            raise BadInput(f"A made share needs at least {LEAST} unmarked rows, but the pool has {len(pool)}; give more.")
        real, error, sizes = self.real, (1 - self.confidence) / 4, (len(self.real), len(pool))
        if self.flagging is None:
            return MadeShare(0, 1, None, NONE, None, None, *sizes, ())
        flagged, known = self.flagging.count(pool), self.flagging.count(real)
        lows, _ = bounds(flagged, len(pool), known, len(real), np.inf, error)
        low = max(0.0, float(np.max(lows)))
        if self.visibilities is None:
            of = f"{len(self.seen)} generator{'s' * (len(self.seen) != 1)}"
            return MadeShare(low, 1, None, FEW.format(of=of), None, None, *sizes, self.seen)
        mean, least = self.visibilities
        if least <= 0:
            return MadeShare(low, 1, None, SPREAD_OUT, None, least, *sizes, self.seen)
        _, highs = bounds(flagged, len(pool), known, len(real), least, error)
        high = float(highs.min())
        limit = visible(len(real), len(pool), error / (2 * len(TAILS)), caught(least, np.array(TAILS)))
        if high < low:
            why = FEWER if high < 0 else CONTRADICTED
        elif self._strange(pool, high, least, error):
            why = STRANGE
        else:
            why = ALL if high >= 1 else ""
        if why:
            return MadeShare(low, 1, None, why, limit, least, *sizes, self.seen)
        guess = float(np.median(adjusted(flagged / len(pool), known / len(real), mean)).clip(low, high))
        return MadeShare(low, high, guess, "", limit, least, *sizes, self.seen)

    def suspicion(self, rows: Float[np.ndarray, "m d"]) -> Float64[np.ndarray, " m"]:
        """Return how made each row looks: above 0 it is flagged where 5 % of real rows are. 0 where no made row is known."""
        if self.flagging is None:
            return np.zeros(len(rows))
        out: np.ndarray = self.flagging.score(rows) - self.flagging.levels[TAILS.index(0.05)]
        return out

    def _strange(self, pool: np.ndarray, high: float, least: float, error: float) -> bool:
        """Whether the pool, or what of it lies below the real median, certainly holds more that is unlike real rows than is allowed for."""
        assert self.flagging is not None
        if unlike(self.real, pool, 1 - DOUBT / 2).low > high:
            return True
        below = [rows[self.flagging.score(rows) <= self.flagging.levels[0]] for rows in (self.real, pool)]
        if min(map(len, below)) < LEAST:
            return False
        missed = 1 - float(caught(least, np.array([TAILS[0]]))[0])
        quiet = 1 - upper(len(pool) - len(below[1]), len(pool), error)
        return unlike(below[0], below[1], 1 - DOUBT / 2).low > high * missed / max(quiet, 1e-12)


@dataclass(frozen=True, eq=False)
class Flagging:
    """A linear score of standardised features, made rows upwards, and the thresholds that shares of the fitted real rows lie above."""

    middle: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    weights: Float64[np.ndarray, " d"]
    levels: Float64[np.ndarray, " tails"]

    @classmethod
    def fitted(cls, real: Float[np.ndarray, "n d"], made: list[Float[np.ndarray, "_ d"]]) -> Flagging:
        """Return the logistic regression of made rows, every generator weighing alike, against as heavy real ones."""
        # Slow to import, and few verbs need it.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        x = np.concatenate([real, *made]).astype(np.float64)
        middle, scale = x[: len(real)].mean(0), np.maximum(x[: len(real)].std(0), 1e-6)
        z = ((x - middle) / scale).clip(-LARGEST, LARGEST)
        sizes = [len(rows) for rows in made]
        weight = np.concatenate([np.full(len(real), 0.5 / len(real)), *(np.full(n, 0.5 / len(made) / n) for n in sizes)]) * len(x)
        label = np.arange(len(x)) >= len(real)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fit that stops early flags less, and its rates are measured
            weights = LogisticRegression(C=1 / PENALTY, max_iter=ROUNDS).fit(z, label, weight).coef_[0]
        levels = np.quantile(z[: len(real)] @ weights, [1 - tail for tail in TAILS])
        return cls(middle, scale, weights, levels)

    def score(self, rows: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
        """Return one number a row."""
        z = ((rows.astype(np.float64) - self.middle) / self.scale).clip(-LARGEST, LARGEST)
        out: np.ndarray = z @ self.weights
        return out

    def count(self, rows: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " tails"]:
        """Return how many rows lie above each threshold."""
        out: np.ndarray = (self.score(rows)[:, None] > self.levels).sum(0).astype(np.float64)
        return out


def visibility(flagging: Flagging, real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"]) -> float:
    """Return the least distance over thresholds between the rates of real and of made rows flagged, in normal deviates (d').

    A threshold above which all made rows lie says nothing of how far they lie, and is left out, but for the highest.
    """
    above = flagging.count(made)
    counted = above < len(made)
    counted[-1] = True
    rates = [(count + 0.5) / (n + 1) for count, n in ((flagging.count(real), len(real)), (above, len(made)))]
    return float((ndtri(rates[1]) - ndtri(rates[0]))[counted].min())


def caught(least: float, rate: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
    """Return the rate of made rows flagged where ``rate`` of the real ones are, at this visibility."""
    out: np.ndarray = ndtr(least + ndtri(rate))
    return out


def bounds(
    flagged: Float64[np.ndarray, " t"], pool: int, known: Float64[np.ndarray, " t"], real: int, least: float, error: float
) -> tuple[Float64[np.ndarray, " t"], Float64[np.ndarray, " t"]]:
    """Return both ends of the share at each threshold, of ``flagged`` pool and ``known`` real rows; each wrong with ``error`` over all.

    The upper end may lie below 0: then fewer rows are flagged than real ones would be. It is 1 where made rows of the least visibility
    are flagged no more than real ones.
    """
    part = error / (2 * len(flagged))
    lows, highs = [], []
    for above, of_real in zip(flagged.astype(int), known.astype(int), strict=True):
        p = (1 - upper(pool - int(above), pool, part), upper(int(above), pool, part))
        f = (1 - upper(real - int(of_real), real, part), upper(int(of_real), real, part))
        lows.append((p[0] - f[1]) / max(1 - f[1], 1e-12))
        rates = np.linspace(f[0], f[1], GRID).clip(1e-9, 1 - 1e-9)
        room = caught(least, rates) - rates
        shares = np.where(room > 0, (p[1] - rates) / np.maximum(room, 1e-12), 1.0)
        highs.append(min(1.0, float(shares.max())))
    return np.array(lows), np.array(highs)


def adjusted(flagged: Float64[np.ndarray, " t"], known: Float64[np.ndarray, " t"], typical: float) -> Float64[np.ndarray, " t"]:
    """Return the adjusted count at each threshold: (P - F) / (T - F), with the visibility ``typical``."""
    known = known.clip(1e-6, 1 - 1e-6)
    out: np.ndarray = (flagged - known) / np.maximum(caught(typical, known) - known, 1e-6)
    return out


def _alike(real: np.ndarray, rows: np.ndarray, name: str) -> None:
    if rows.shape[1] != real.shape[1]:
        raise BadInput(
            f"Real rows have {real.shape[1]} features and those of {name} {rows.shape[1]}; give all as images, or all as embeddings."
        )
