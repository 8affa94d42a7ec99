"""Whether the entropy of the training set drives the novelty of the next model (docs/results/loop.md)."""

from collections.abc import Iterator
from dataclasses import replace as changed

from germline.core.protocols import Selector
from germline.core.recipe import Recipe
from germline.diffusion.model import ClassModel
from germline.features import Classifier
from germline.recipes.replace import replace
from germline.selectors import Densest, Farthest, PerClass, Uniform
from germline.studies.loop import SCRATCH


def entropy_drives() -> Iterator[tuple[str, Recipe[ClassModel]]]:
    """Equal numbers, no real row, equal label counts: train on dense, random and sparse subsets of 1,160 samples (one generation).

    Ours, to test the claim of arXiv 2509.16499 that collapse is driven by entropy. ``quarter`` is the positive control: it trains
    on a quarter of the rows, so its generalisation score must fall.
    """
    space, a_class = Classifier(), 29
    subsets: dict[str, Selector] = {
        "low": Densest(a_class, space),
        "middle": Uniform(a_class),
        "high": Farthest(a_class, space),
        "quarter": Uniform(a_class // 4),
    }
    base = replace(40 * a_class, SCRATCH)
    for name, selector in subsets.items():
        yield name, changed(base, selector=PerClass(selector), source="experiment")
