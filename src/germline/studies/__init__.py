"""One results page a file: a function that yields (arm name, recipe), controls included."""

from collections.abc import Callable, Iterator

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.studies.demo import demo
from germline.studies.solver_steps import solver_steps

Study = Callable[[], Iterator[tuple[str, Recipe[ClassModel]]]]
ALL: tuple[Study, ...] = (demo, solver_steps)

__all__ = ["ALL", "Study", "demo", "solver_steps"]
