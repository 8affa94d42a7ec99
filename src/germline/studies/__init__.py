"""One results page a file: a function that yields (arm name, recipe), controls included."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from germline.core.protocols import Metric
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.studies.demo import demo
from germline.studies.demo_t2i import demo_t2i
from germline.studies.entropy_drives import entropy_drives
from germline.studies.loop import (
    loop_scratch,
    loop_scratch_guided,
    loop_unconditional,
    loop_warm,
    loop_warm_guided,
    planted,
    planted_scratch,
    planted_scratch_guided,
    planted_unconditional,
    planted_warm,
)
from germline.studies.lsf import METRICS as LATENT
from germline.studies.lsf import METRICS_DIGITS as LATENT_DIGITS
from germline.studies.lsf import lsf, lsf_digits, lsf_digits_guided
from germline.studies.redifine import METRICS_TOY, redifine, redifine_default, redifine_emoji, redifine_toy
from germline.studies.rivals import rivals, rivals_digits
from germline.studies.rsidiff import rsidiff_ablations
from germline.studies.self_improvement import self_improvement, self_improvement_digits, self_improvement_digits_guided
from germline.studies.solver_steps import solver_steps


@dataclass(frozen=True)
class Study:
    """What yields the arms; the data set that it is made for, unless the user names another; metrics beside the standard ones."""

    arms: Callable[[], Iterator[tuple[str, Recipe[ClassModel]]]]
    data: str = "fashion-mnist"
    metrics: tuple[Metric, ...] = ()

    @property
    def name(self) -> str:
        """What the command line calls it."""
        return self.arms.__name__.replace("_", "-")

    def __call__(self) -> Iterator[tuple[str, Recipe[ClassModel]]]:
        """Yield (arm name, recipe)."""
        return self.arms()


LOOPS = (loop_unconditional, loop_scratch, loop_scratch_guided, loop_warm, loop_warm_guided)
CONTROLS = (planted_unconditional, planted_scratch, planted_scratch_guided, planted_warm, planted)
CELLS = tuple(Study(arms, "digits") for arms in (*LOOPS, *CONTROLS))
ALL = (
    Study(demo),
    Study(demo_t2i, "emoji"),
    *CELLS,
    Study(entropy_drives, "digits"),
    Study(solver_steps),
    Study(rivals),
    Study(rivals_digits, "digits"),
    Study(lsf, metrics=LATENT),
    Study(lsf_digits, "digits", LATENT_DIGITS),
    Study(lsf_digits_guided, "digits", LATENT_DIGITS),
    Study(redifine),
    Study(redifine_default, "toy-digits", METRICS_TOY),
    Study(redifine_emoji, "emoji"),
    Study(redifine_toy, "toy-digits", METRICS_TOY),
    Study(rsidiff_ablations, "emoji"),
    Study(self_improvement),
    Study(self_improvement_digits, "digits"),
    Study(self_improvement_digits_guided, "digits"),
)

__all__ = [
    "ALL",
    "CELLS",
    "Study",
    "demo",
    "demo_t2i",
    "entropy_drives",
    "lsf",
    "lsf_digits",
    "lsf_digits_guided",
    "redifine",
    "redifine_default",
    "redifine_emoji",
    "redifine_toy",
    "rivals",
    "rivals_digits",
    "rsidiff_ablations",
    "self_improvement",
    "self_improvement_digits",
    "self_improvement_digits_guided",
    "solver_steps",
]
