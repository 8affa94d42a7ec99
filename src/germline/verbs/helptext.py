"""The help of a verb, made of its docstring: examples first, and no line broken where the source broke it."""

import inspect
import re
from collections.abc import Callable
from functools import update_wrapper
from types import FunctionType


def help_of(verb: Callable[..., None]) -> str:
    """Return what stands above the flags in a verb's help, examples first."""
    about, _, rest = (inspect.getdoc(verb) or "").partition("Examples:\n")
    return f"Examples:\n{rest.split('Args:')[0].rstrip()}\n\n{about.split('Args:')[0].rstrip()}"


def flowing(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a copy of the verb whose docstring has each argument on one line: the parser prints a function's line breaks as they are."""
    assert isinstance(verb, FunctionType)
    same = FunctionType(verb.__code__, verb.__globals__, verb.__name__, verb.__defaults__, verb.__closure__)
    update_wrapper(same, verb)
    about, head, arguments = (inspect.getdoc(verb) or "").partition("Args:\n")
    same.__doc__ = about + head + re.sub(r"\n {8,}", " ", arguments)
    return same
