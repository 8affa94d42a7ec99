"""Arms from flags: any flag of a recipe swept over values, several flags as their product."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Annotated, get_type_hints

import tyro

from germline import registry
from germline.core.errors import BadInput
from germline.core.names import find


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a recipe: the argument it is, or the field of the dataclass argument ``inside`` that it is."""

    name: str
    hint: object
    inside: str | None = None


def flags_of(recipe: str) -> dict[str, Flag]:
    """Return every flag of a recipe by the name that the command line uses: guidance-scale, n."""
    found: dict[str, Flag] = {}
    for name, hint in get_type_hints(registry.function_of(recipe)).items():
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and name != "return":
            fields = get_type_hints(hint)
            found |= {_dashed(f.name): Flag(f.name, fields[f.name], name) for f in dataclasses.fields(hint)}
        elif name != "return":
            found[_dashed(name)] = Flag(name, hint)
    return found


def arms_of(recipe: str, sweeps: Sequence[str], preset: str = "embedded") -> dict[str, dict[str, object]]:
    """Return {arm name: keyword arguments} of a recipe for every combination of the swept values.

    An arm is named by the flags that vary, ``guidance-scale-1.5`` or ``steps-10-guidance-scale-1.5``; a flag with one value is set in
    all arms. Without a flag that varies, the one arm has the recipe's name.

    Args:
        recipe: its name.
        sweeps: texts like ``guidance-scale=1,1.5,2``; the parts of one value are set apart by blanks: ``channels=16 32,32 64``.
        preset: the scale that decides every other flag.

    Raises:
        BadInput: there is no such recipe, preset or flag, or a value is not of the flag's type; the message names flag and value.
    """
    known, chosen = flags_of(recipe), dict(map(_parted, sweeps))
    if len(chosen) < len(sweeps):
        raise BadInput("A flag is swept twice; give all its values at once: --sweep guidance-scale=1,1.5,2.")
    values = {name: _values(recipe, known, name, texts) for name, texts in chosen.items()}
    arms: dict[str, dict[str, object]] = {}
    for combination in itertools.product(*chosen.values()):
        kwargs = registry.defaults(recipe, preset)
        for name, text in zip(chosen, combination, strict=True):
            kwargs = _with(kwargs, known[name], values[name][text])
        varied = [f"{name}-{_plain(text)}" for name, text in zip(chosen, combination, strict=True) if len(chosen[name]) > 1]
        arms["-".join(varied) or recipe] = kwargs
    return arms


def _parted(sweep: str) -> tuple[str, list[str]]:
    name, equals, texts = sweep.partition("=")
    values = [text.strip() for text in texts.split(",")]
    if not equals or not all(values):
        raise BadInput(f"--sweep takes a flag and its values, guidance-scale=1,1.5,2, but got {sweep!r}.")
    if len(set(values)) < len(values):
        raise BadInput(f"--sweep {sweep} names a value twice; each value is one arm.")
    return _dashed(name.strip().removeprefix("--")), values


def _values(recipe: str, known: Mapping[str, Flag], name: str, texts: Sequence[str]) -> dict[str, object]:
    flag = find(name, known, f"flag of {recipe} to sweep")
    values = {text: _read(flag, name, text) for text in texts}
    if len(set(map(repr, values.values()))) < len(values):
        raise BadInput(f"--sweep {name}={','.join(texts)} names a value twice; each value is one arm.")
    return values


def _read(flag: Flag, name: str, text: str) -> object:
    """Return a value as its type hint reads it."""
    said = StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            hint = Annotated[flag.hint, tyro.conf.FlagConversionOff, tyro.conf.arg(name="value")]
            holder = dataclasses.make_dataclass("Holder", [("value", hint)])
            read: object = tyro.cli(holder, args=["--value", *(text.title() if flag.hint is bool else text).split()]).value
    except SystemExit:
        raise BadInput(f"--sweep {name}: {text!r} is no value of this flag; it takes {_type_text(flag.hint)}.") from None
    return read


def _with(kwargs: dict[str, object], flag: Flag, value: object) -> dict[str, object]:
    if flag.inside is None:
        return {**kwargs, flag.name: value}
    holder = kwargs[flag.inside]
    return {**kwargs, flag.inside: dataclasses.replace(holder, **{flag.name: value})}  # type: ignore[type-var]


def _type_text(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _plain(text: str) -> str:
    """Return a value as a part of a folder's name."""
    return "".join(letter if letter.isalnum() or letter in ".-+" else "-" for letter in text)


def _dashed(name: str) -> str:
    return name.replace("_", "-")
