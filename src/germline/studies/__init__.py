"""One results page a file: a function that yields (arm name, recipe), controls included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.core.shelf import summary

if TYPE_CHECKING:
    from germline.diffusion.model import ClassModel


@dataclass(frozen=True)
class Study:
    """What yields the arms: a function in a file of this folder, which is imported when the arms, or what is measured, are asked for.

    Attributes:
        name: of the function, with dashes: what the command line calls it.
        file: where it stands; the function's own name when not given.
        data: the data set that it is made for, unless the user names another.
        measures: what that file calls the metrics that are measured beside the standard ones.
    """

    name: str
    file: str = ""
    data: str = "fashion-mnist"
    measures: str = ""

    def __call__(self) -> Iterator[tuple[str, Recipe[ClassModel]]]:
        """Yield (arm name, recipe)."""
        arms: Iterator[tuple[str, Recipe[ClassModel]]] = getattr(import_module(self._module), self._function)()
        return arms

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured beside the standard metrics."""
        found: tuple[Metric, ...] = getattr(import_module(self._module), self.measures) if self.measures else ()
        return found

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        return summary(self._module, self._function)

    @property
    def _function(self) -> str:
        return self.name.replace("-", "_")

    @property
    def _module(self) -> str:
        return f"germline.studies.{self.file or self._function}"


LOOPS = ("loop-unconditional", "loop-scratch", "loop-scratch-guided", "loop-warm", "loop-warm-guided")
CONTROLS = ("planted-unconditional", "planted-scratch", "planted-scratch-guided", "planted-warm", "planted")
ALL = (
    Study("demo"),
    Study("demo-t2i", data="emoji"),
    *(Study(name, "loop", "digits") for name in (*LOOPS, *CONTROLS)),
    Study("entropy-drives", data="digits"),
    Study("solver-steps"),
    Study("rivals"),
    Study("rivals-digits", "rivals", "digits"),
    Study("lsf", measures="METRICS"),
    Study("lsf-digits", "lsf", "digits", "METRICS_DIGITS"),
    Study("lsf-digits-guided", "lsf", "digits", "METRICS_DIGITS"),
    Study("redifine"),
    Study("redifine-default", "redifine", "toy-digits", "METRICS_TOY"),
    Study("redifine-emoji", "redifine", "emoji"),
    Study("redifine-toy", "redifine", "toy-digits", "METRICS_TOY"),
    Study("rsidiff-ablations", "rsidiff", "emoji"),
    Study("rsidiff-kept", "rsidiff", "emoji"),
    Study("rsidiff-weights", "rsidiff", "emoji"),
    Study("self-improvement"),
    Study("self-improvement-digits", "self_improvement", "digits"),
    Study("self-improvement-digits-guided", "self_improvement", "digits"),
)

__all__ = ["ALL", "Study"]
