"""The user's own command line as a step of the loop: filled in, run, watched, its output kept in a log."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from germline.core.errors import BadInput, GermlineError, RunConflict
from germline.core.exchange import fresh
from germline.core.progress import Advance, Progress

PLACE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
TAIL, PATIENCE = 15, 10.0  # lines of a log in an error; seconds to wait for a process to end


@dataclass(frozen=True)
class Command:
    """A line with ``{places}`` to be filled; ``{{`` is a brace.

    It is taken apart into words before it is filled, so a path with blanks stays one word and nothing of it is read by a shell. With
    ``shell`` the line is one for ``sh``, and what is filled in is quoted. ``timeout`` is in seconds.
    """

    line: str
    timeout: float | None = None
    shell: bool = False

    def places(self) -> set[str]:
        """Return the names of the places in the line."""
        return {match[1] for match in PLACE.finditer(self.line) if match[1]}

    def check(self, who: str, known: Collection[str], needed: Collection[tuple[str, ...]]) -> None:
        """Raise unless every place is known, and of each group of ``needed`` one is there.

        Raises:
            BadInput: the line is empty, cannot be taken apart, or has other places.
        """
        if strange := self.places() - set(known):
            raise BadInput(f"{who}: {{{sorted(strange)[0]}}} is no place in its command; there are {_listed(known)}. A brace is {{{{.")
        for group in needed:
            if not self.places() & set(group):
                raise BadInput(f"{who}: its command must hold {' or '.join(f'{{{name}}}' for name in group)}, but is {self.line!r}.")
        try:
            if not shlex.split(self.line):
                raise BadInput(f"{who}: its command is empty; give the line that starts your program.")
        except ValueError as error:
            raise BadInput(f"{who}: its command cannot be taken apart ({error}): {self.line!r}.") from error
        if self.timeout is not None and not self.timeout > 0:
            raise BadInput(f"{who}: timeout must be a number of seconds above 0, but is {self.timeout}.")

    def filled(self, values: Mapping[str, str]) -> list[str]:
        """Return the words to start."""
        if self.shell:
            return ["/bin/sh", "-c", _fill(self.line, {name: shlex.quote(value) for name, value in values.items()})]
        return [_fill(word, values) for word in shlex.split(self.line)]

    def run(self, what: str, values: Mapping[str, str], work: Path, log: Path, progress: Progress, clean: Path | None = None) -> None:
        """Run the line to its end; what it prints is appended to ``log``, and the folder ``clean`` is emptied first.

        A process that a killed run left behind in ``work`` is ended first, so that two never write to one place.

        Raises:
            GermlineError: it cannot be started, fails, or takes longer than ``timeout``; the message ends with the log's last lines.
            RunConflict: a process of a killed run does not end.
        """
        words = self.filled(values)
        with _alone(work) as lock, log.open("ab") as out:
            if clean:
                fresh(clean)
            out.write(f"$ {shlex.join(words)}\n".encode())
            out.flush()
            start = out.tell()
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, pass_fds=(lock,)
                )
            except OSError as error:
                raise GermlineError(f"{what}: cannot start {words[0]!r}: {error.strerror}. Check the command.") from error
            os.pwrite(lock, f"{process.pid:20d}".encode(), 0)
            try:
                with progress(f"{what}: {_short(words)}", 1) as advance:
                    code = _waited(process, self.timeout, advance)
            finally:
                _end(process)
                os.ftruncate(lock, 0)  # the number may soon be another's
        if code != 0:
            how = f"did not end within {self.timeout:g} s and was stopped" if code is None else _exit_text(code)
            raise GermlineError(f"{what}: {shlex.join(words)}\n{how}. {_last(log, start)}")


def _waited(process: subprocess.Popen[bytes], timeout: float | None, advance: Advance) -> int | None:
    """Return the exit code, or None after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout if timeout else float("inf")
    while True:
        try:
            code = process.wait(min(1.0, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return None
            advance(0)
        else:
            advance(1)
            return code


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, and its children: first it is asked to."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)


@contextmanager
def _alone(work: Path) -> Iterator[int]:
    """Hold the folder; the lock is inherited by the process that is started, so it is held for as long as that one lives.

    A holder that a killed run left is ended by the number that it wrote: while the lock is held, its process group is alive.
    """
    lock = os.open(work / ".command", os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                left = os.pread(lock, 20, 0).decode().strip()
                if time.monotonic() > deadline:
                    raise RunConflict(
                        f"A command that a killed run started in {work} (process {left or 'unknown'}) is still at work; end it first."
                    ) from None
                if left.isdigit():
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(int(left), signal.SIGKILL)
                time.sleep(0.05)
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


def _fill(text: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda match: values[match[1]] if match[1] else match[0][0], text)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _short(words: list[str]) -> str:
    """Return the words without their folders: what a progress bar has room for."""
    return " ".join(word if "/" not in word else Path(word).name for word in words)[:60]


def _exit_text(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"


def _last(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()[-TAIL:]
    said = "".join(f"\n  {line}" for line in lines)
    return f"Its last words:{said}\nAll of it: {log}" if lines else f"It said nothing; its log is {log}."
