"""How much of the collapse is the solver's: replace with 10 and with 20 steps from one generation 0 (docs/results/loop.md)."""

from collections.abc import Iterator

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.replace import replace
from germline.recipes.setup import Setup


def solver_steps() -> Iterator[tuple[str, Recipe[ClassModel]]]:
    """Replace at w = 2 with 10 and with 20 solver steps: is the collapse fed by solver error?"""
    yield "replace-10-steps", replace()
    yield "replace-20-steps", replace(setup=Setup(steps=20))
