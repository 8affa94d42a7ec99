"""Work in processes of its own: one that fails or is killed takes nobody along, and what it said before is not lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

from germline.core.digest import Json
from germline.core.errors import GermlineError

# Every process is forked from a server that has the libraries loaded and runs nothing: the seconds of importing are paid once, and no
# thread or lock of this process is copied.
FORKSERVER = multiprocessing.get_context("forkserver")
LONGEST = 10_000  # characters of an error; a pipe holds 64 KiB before the writer waits
Say = Callable[[dict[str, Json]], None]


@dataclass(frozen=True)
class Ended:
    """A process is over; ``error`` says why, and is None where it did its work."""

    error: str | None


@dataclass(frozen=True)
class _Worker:
    process: ForkServerProcess
    pipe: Connection


class Crew:
    """Processes by name. Each has a pipe of its own: a shared queue stays locked when the process that writes to it is killed."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        """Take the names of the modules that every process needs; they are loaded once."""
        FORKSERVER.set_forkserver_preload(list(preload))
        self._workers: dict[str, _Worker] = {}

    def __len__(self) -> int:
        return len(self._workers)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        for worker in self._workers.values():
            worker.process.join()

    def start(self, name: str, work: Callable[[Say], None]) -> None:
        """Start a process that calls ``work(say)``; ``say`` sends a JSON object to whoever listens."""
        pipe, there = FORKSERVER.Pipe(duplex=False)
        process = FORKSERVER.Process(target=_enter, args=(work, there, os.getcwd()), name=name, daemon=True)
        process.start()
        there.close()
        self._workers[name] = _Worker(process, pipe)

    def listen(self) -> Iterator[tuple[str, dict[str, Json] | Ended]]:
        """Wait until some process says something or ends, and yield (name, what was said) of all that did."""
        heard = wait([thing for worker in self._workers.values() for thing in (worker.pipe, worker.process.sentinel)])
        for name, worker in list(self._workers.items()):
            if worker.pipe not in heard and worker.process.sentinel not in heard:
                continue
            messages, open_ = _drain(worker.pipe)
            errors = [str(message["error"]) for message in messages if "error" in message]
            yield from ((name, message) for message in messages if "error" not in message)
            if errors or not open_ or worker.process.sentinel in heard:
                worker.process.join()
                worker.pipe.close()
                del self._workers[name]
                yield name, Ended(errors[0] if errors else _exit_text(worker.process.exitcode))


def _drain(pipe: Connection) -> tuple[list[dict[str, Json]], bool]:
    """Return the messages that lie in the pipe, and whether more may come."""
    messages = []
    try:
        while pipe.poll():
            messages.append(json.loads(pipe.recv_bytes()))
    except (EOFError, OSError):
        return messages, False
    return messages, True


def _exit_text(code: int | None) -> str | None:
    if code == 0:
        return None
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = " (the system does so when memory runs out; try fewer --processes)" if -code == signal.SIGKILL else ""
        return f"its process was killed by {name}{memory}"
    return f"its process ended with exit code {code}"


def _enter(work: Callable[[Say], None], pipe: Connection, folder: str) -> None:
    os.chdir(folder)  # the server may have been started in another

    def say(message: dict[str, Json]) -> None:
        with lock:
            pipe.send_bytes(json.dumps(message).encode())

    lock = threading.Lock()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.showwarning = lambda message, *_, **__: say({"note": str(message)})
    try:
        work(say)
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:
        say({"error": describe(error)[:LONGEST]})
        sys.exit(1)


def _end_with_parent() -> None:
    """Leave when the parent is gone: nobody would start what comes next, and the folders must not stay locked."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def describe(error: BaseException) -> str:
    """Return what to tell the user of a failure: the message, or the kind and the place of what nobody foresaw."""
    if isinstance(error, GermlineError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
