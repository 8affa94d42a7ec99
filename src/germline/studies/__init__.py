"""One results page a file: a function that yields (arm name, recipe), controls included."""

from collections.abc import Callable, Iterator

from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.studies.demo import demo
from germline.studies.entropy_drives import entropy_drives
from germline.studies.loop import loop_scratch, loop_scratch_guided, loop_unconditional, loop_warm, loop_warm_guided, planted
from germline.studies.solver_steps import solver_steps

Study = Callable[[], Iterator[tuple[str, Recipe[ClassModel]]]]
CELLS: tuple[Study, ...] = (loop_unconditional, loop_scratch, loop_scratch_guided, loop_warm, loop_warm_guided, planted)
ALL: tuple[Study, ...] = (demo, *CELLS, entropy_drives, solver_steps)

__all__ = ["ALL", "CELLS", "Study", "demo", "entropy_drives", "solver_steps"]
