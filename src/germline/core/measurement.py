"""One measured number, with what it takes to compare it honestly."""

from dataclasses import asdict, dataclass

from germline.core.digest import Json


@dataclass(frozen=True)
class Measurement:
    """``value`` of metric ``name``, measured on ``of`` ("samples", "training" or "reference").

    A ``reference`` is not the model's: what the same metric gives on real data, the level to compare with. ``low`` and ``high``
    bound metric noise, where known. ``curve`` holds several values under one name. Two values may be compared only at equal
    extractor, n, k and d (feature dimension). ``better`` is "low", "high", or None where neither way is better by itself.
    """

    name: str
    value: float
    of: str = "samples"
    n: int | None = None
    extractor: str | None = None
    k: int | None = None
    d: int | None = None
    low: float | None = None
    high: float | None = None
    curve: tuple[float, ...] | None = None
    better: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the fields that are set."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items() if v is not None}
