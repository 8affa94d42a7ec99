"""What a run does: one part of each kind."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Generic, Self, TypeVar

from germline.core.protocols import Mixer, Sampler, Scorer, Selector, Trainer, Weighter
from germline.core.splits import Splits

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
        """Return the recipe, if its parts, and theirs, have what they need: said before a training, not after it.

        Raises:
            GermlineError: one has not, and why.
        """
        for field in fields(self):
            for part in _within(getattr(self, field.name)):
                getattr(part, "ready", lambda: None)()
        return self

    def enough(self, generations: int, data: Splits) -> None:
        """Do nothing, if the sampler can draw generations 0 to ``generations``: said before the first, not before the last.

        Raises:
            BadInput: it cannot, and why.
        """
        getattr(self.sampler, "enough", lambda generations, data: None)(generations, data)


def _within(part: object) -> Iterator[object]:
    yield part
    if isinstance(part, tuple):
        for one in part:
            yield from _within(one)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from _within(getattr(part, field.name))
