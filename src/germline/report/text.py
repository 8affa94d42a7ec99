"""Numbers as people read them."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Return three digits that matter: 15,713, 39.7, 6.14, 0.031, with a real minus sign."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if 0 < size < 0.0005:
        return f"{value:.1e}".replace("-", "\N{MINUS SIGN}")
    digits = 0 if size >= 1000 or value == 0 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: int) -> str:
    """Return a count with thousands apart."""
    return f"{value:,}"


def ratio(first: float, last: float) -> str | None:
    """Return how last compares with first, 6.5x or, where it fell, /13, or None where that says nothing (a sign, a zero)."""
    if not (math.isfinite(first) and math.isfinite(last)) or first <= 0 or last <= 0:
        return None
    times = max(last / first, first / last)
    digits = "1,000" if times >= 1000 else f"{times:.0f}" if times >= 9.95 else f"{times:.1f}"
    change = f"{digits}\N{MULTIPLICATION SIGN}" if last >= first else f"\N{DIVISION SIGN}{digits}"
    return f"{change} or more" if times >= 1000 else change


def plural(n: int, what: str) -> str:
    """Return "1 run", "4 runs"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
