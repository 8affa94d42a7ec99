"""One results page a file: a function that yields (arm name, recipe), controls included."""

from collections.abc import Callable, Iterator

from germline.core.recipe import Recipe
from germline.studies.demo import demo
from germline.trainers import Network

Study = Callable[[], Iterator[tuple[str, Recipe[Network]]]]
ALL: tuple[Study, ...] = (demo,)

__all__ = ["ALL", "Study", "demo"]
