"""Progress with an ETA: bars in a terminal, a plain line now and then in a pipe, nothing in a library call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Advance = Callable[[int], None]


class Progress(Protocol):
    """Opens a task: ``with progress("sample", 2_000) as advance: advance(250)``."""

    def __call__(self, what: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context that yields ``advance(done_more)``."""
        ...


@contextmanager
def silent(what: str, total: int) -> Iterator[Advance]:
    """Show nothing."""
    yield lambda more: None


@contextmanager
def bars(what: str, total: int) -> Iterator[Advance]:
    """Show a bar with an ETA on a terminal that goes when done, and plain lines at most every ten seconds elsewhere."""
    if sys.stderr.isatty():
        with _Shared.bar() as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)
            bar.remove_task(task)
    else:
        yield _Lines(what, total)


def display() -> RichProgress:
    """Return the bars of a terminal: description, done, elapsed, what is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("eta"))
    return RichProgress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


class _Shared:
    """The one display of this process: a task that is opened inside another is a line below it."""

    _open: ClassVar[RichProgress | None] = None

    @classmethod
    @contextmanager
    def bar(cls) -> Iterator[RichProgress]:
        if cls._open is not None:
            yield cls._open
            return
        with display() as cls._open:
            try:
                yield cls._open
            finally:
                cls._open = None


class _Lines:
    """Plain progress lines: none in the first ten seconds, then one every ten."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._start = self._shown = time.monotonic()

    def __call__(self, more: int) -> None:
        self._done += more
        now = time.monotonic()
        if now - self._shown >= 10:
            self._shown, so_far = now, now - self._start
            left = f"eta {so_far / self._done * (self._total - self._done):.0f} s" if self._done else f"{so_far:.0f} s so far"
            print(f"{self._what}: {self._done}/{self._total}, {left}", file=sys.stderr, flush=True)
