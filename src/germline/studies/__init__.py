"""One results page a file: a function that yields (arm name, recipe), controls included."""

from collections.abc import Callable, Iterator

from germline.core.recipe import Recipe
from germline.studies.demo import demo
from germline.diffusion.model import ClassModel

Study = Callable[[], Iterator[tuple[str, Recipe[ClassModel]]]]
ALL: tuple[Study, ...] = (demo,)

__all__ = ["ALL", "Study", "demo"]
