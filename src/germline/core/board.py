"""The progress of several processes: one line each, and one for the whole with the time that is left."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from rich.progress import Progress as RichProgress
from rich.progress import TaskID

from germline.core.progress import display

EVERY = 10.0  # seconds between two lines of the whole, in a pipe


class Whole:
    """How far everything is, counted in steps of unequal weight."""

    def __init__(self, steps: int, weight: float, now: float) -> None:
        self._steps, self._weight, self._start = steps, weight, now
        self.done = 0
        self._made = self._found = 0.0

    def step(self, weight: float, found: bool) -> None:
        """Count a step; what was ``found`` finished says nothing of how fast the others go."""
        self.done += 1
        if found:
            self._found += weight
        else:
            self._made += weight

    def leave(self, steps: int, weight: float) -> None:
        """Take out what will never be done."""
        self._steps -= steps
        self._weight -= weight

    def seconds(self, now: float) -> float | None:
        """Return the seconds left, None while nothing was made to tell it from."""
        return (now - self._start) * (self._weight - self._found - self._made) / self._made if self._made else None

    def text(self, now: float) -> str:
        """Return the state in words."""
        left = self.seconds(now)
        share = (self._found + self._made) / self._weight if self._weight else 1.0
        return f"whole: {self.done}/{self._steps} generations, {share:.0%}" + (f", eta {duration(left)}" if left is not None else "")


def duration(seconds: float) -> str:
    """Return a time in the unit that people would use: 40 s, 12 min, 3.4 h."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Board:
    """Shows bars in a terminal, lines now and then in a pipe."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._stack = ExitStack()
        self._bar: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._doing: dict[str, str] = {}
        self._shown = time.monotonic()

    def __enter__(self) -> Board:
        if sys.stderr.isatty():
            self._bar = self._stack.enter_context(display())
            self._tasks[""] = self._bar.add_task(self._whole.text(time.monotonic()), total=None)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def task(self, who: str, what: str, more: int, total: int) -> None:
        """Show that a process began a task (``more`` is 0), or came so much further in it."""
        if self._bar is None:
            if not more and what.startswith("generation") and self._doing.get(who) != what:
                self._doing[who] = what
                self.say(f"{who}: {what}")
            return
        if who not in self._tasks:
            self._tasks[who] = self._bar.add_task(who, total=total)
        if not more:
            self._doing[who] = what
            self._bar.reset(self._tasks[who], description=f"{who}: {what}", total=total)
        elif self._doing.get(who) == what:
            self._bar.advance(self._tasks[who], more)

    def step(self, weight: float, found: bool) -> None:
        """Count a finished generation."""
        self._whole.step(weight, found)
        self._refresh()

    def leave(self, steps: int, weight: float) -> None:
        """Take out what a failed arm leaves undone."""
        self._whole.leave(steps, weight)
        self._refresh()

    def gone(self, who: str) -> None:
        """Take the line of an ended process away."""
        if self._bar is not None and who in self._tasks:
            self._bar.remove_task(self._tasks.pop(who))

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._tasks[""], description=self._whole.text(now))
        elif now - self._shown >= EVERY:
            self._shown = now
            self.say(self._whole.text(now))
