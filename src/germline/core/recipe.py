"""What a run does: one part of each kind."""

from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from germline.core.protocols import Mixer, Sampler, Scorer, Selector, Trainer, Weighter

M = TypeVar("M")


@dataclass(frozen=True)
class Recipe(Generic[M]):
    """Mix, score, weigh, select, train, sample. ``founder`` trains generation 0 on the real data; ``source`` names the paper."""

    founder: Trainer[M]
    mixer: Mixer
    trainer: Trainer[M]
    sampler: Sampler[M]
    scorers: tuple[Scorer, ...] = ()
    weighters: tuple[Weighter, ...] = ()
    selector: Selector | None = None
    source: str = ""

    def ready(self) -> Self:
        """Return the recipe, if its scorers can score: said before a training, not after it.

        Raises:
            BadInput: one cannot, and why.
        """
        for scorer in self.scorers:
            getattr(scorer, "ready", lambda: None)()
        return self
