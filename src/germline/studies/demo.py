"""What ``make demo`` runs: one loop that collapses, two that hold it up, and the control."""

from collections.abc import Iterator

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.recipes.accumulate_subsample import accumulate_subsample
from germline.recipes.entropy import entropy
from germline.recipes.real_only import real_only
from germline.recipes.replace import replace


def demo() -> Iterator[tuple[str, Recipe[ClassModel]]]:
    """Replace, accumulate-subsample, greedy entropy selection on accumulated data, real-only: w = 2, 2,000 rows, 10 steps."""
    yield "replace", replace()
    yield "accumulate-subsample", accumulate_subsample()
    yield "entropy-greedy", entropy()
    yield "real-only", real_only()
