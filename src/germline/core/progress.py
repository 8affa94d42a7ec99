"""Progress with an ETA: bars in a terminal, a plain line now and then in a pipe, nothing in a library call."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.queues import Queue
from typing import ClassVar, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
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


def _bar() -> RichProgress:
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
        with _bar() as cls._open:
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
        if now - self._shown >= 10 and self._done:
            self._shown = now
            eta = (now - self._start) / self._done * (self._total - self._done)
            print(f"{self._what}: {self._done}/{self._total}, eta {eta:.0f} s", file=sys.stderr, flush=True)


Message = tuple[str, str, int, int]


class Board:
    """The progress of several processes at once, one line each; they report through a queue."""

    _queue: ClassVar[Queue[Message | None] | None] = None

    def __init__(self) -> None:
        self._messages: Queue[Message | None] = multiprocessing.get_context("spawn").Queue()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> Board:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._messages.put(None)
        self._thread.join()

    @property
    def join(self) -> Callable[[], None]:
        """What a worker process runs first, so that its tasks are shown here."""
        return _Join(self._messages)

    @classmethod
    def reporter(cls, who: str) -> Progress:
        """Return, in a worker, the progress that reports to the board under this name."""

        @contextmanager
        def report(what: str, total: int) -> Iterator[Advance]:
            if cls._queue is not None:
                queue = cls._queue
                queue.put((who, what, 0, total))
                yield lambda more: queue.put((who, what, more, total))
            else:
                yield lambda more: None

        return report

    def _show(self) -> None:
        if sys.stderr.isatty():
            with _bar() as bar:
                tasks: dict[str, TaskID] = {}
                doing: dict[str, str] = {}
                while (message := self._messages.get()) is not None:
                    who, what, more, total = message
                    if who not in tasks:
                        tasks[who] = bar.add_task(who, total=total)
                    if not more:
                        doing[who] = what
                    if more and doing[who] == what:
                        bar.advance(tasks[who], more)
                    elif not more:
                        bar.reset(tasks[who], description=f"{who}: {what}", total=total)
        else:
            shown: dict[str, str] = {}
            while (message := self._messages.get()) is not None:
                who, what, *_ = message
                if what.startswith("generation") and shown.get(who) != what:
                    shown[who] = what
                    print(f"{who}: {what}", file=sys.stderr, flush=True)


class _Join:
    """Hands the queue to a worker process."""

    def __init__(self, messages: Queue[Message | None]) -> None:
        self._messages = messages

    def __call__(self) -> None:
        Board._queue = self._messages
