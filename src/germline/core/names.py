"""Names: what a part is called in results, what of the known a user means, what a thing's docstring says first."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import TypeVar

from germline.core.errors import BadInput

T = TypeVar("T")


def name_of(part: object) -> str:
    """Return the part's ``name``, or its class in lower case: "pixels", "pca64-pixels"."""
    return str(getattr(part, "name", type(part).__name__.lower()))


def find(name: str, known: Mapping[str, T], what: str) -> T:
    """Return the thing of this name.

    Raises:
        BadInput: there is none; the message offers the nearest.
    """
    if name not in known:
        raise BadInput(f"There is no {what} {name!r}. {did_you_mean(name, known)}")
    return known[name]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest names, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(sorted(known))}."


def first_line(thing: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]
