"""Raw replies of judges: an append-only file, so that nothing is asked twice and thresholds can move later."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from germline.core import digest, sealed
from germline.core.digest import Json
from germline.core.errors import Corrupt, RunConflict

Reply = Mapping[str, Json]


def prompt_hash(prompt: str) -> str:
    """Return the hash by which a prompt's reply is found."""
    return digest.of_bytes(prompt.encode("utf-8", "surrogatepass"))


class Replies:
    """The replies of one judge to one instruction: JSON lines of (prompt hash, instruction hash, model, raw reply), each sealed.

    A line is in the file before the next one is written, so a killed process loses what was under way and nothing else. A last line that
    was cut is dropped.
    """

    def __init__(self, folder: Path, instruction: str, model: str, file: BinaryIO | None = None) -> None:
        self._path, self._key, self._file = path_of(folder, instruction, model), (instruction, model), file
        self._found: dict[str, Reply] = {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, instruction: str, model: str) -> Iterator["Replies"]:
        """Open the file of a judge and an instruction for this process alone.

        Raises:
            RunConflict: another process is asking the same judge.
            Corrupt: a line in the middle was changed.
        """
        path = path_of(folder, instruction, model)
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunConflict(f"Another process is asking {model} and writes to {path}; wait until it is done.") from error
            file.seek(0)
            replies = cls(folder, instruction, model, file)
            file.truncate(replies._load(file.read()))
            yield replies

    @classmethod
    def peek(cls, folder: Path, instruction: str, model: str) -> "Replies":
        """Return what is known already, and write nothing."""
        replies = cls(folder, instruction, model)
        if replies._path.exists():
            replies._load(replies._path.read_bytes())
        return replies

    def get(self, prompt: str) -> Reply | None:
        """Return the raw reply to a prompt, or None."""
        return self._found.get(prompt_hash(prompt))

    def add(self, prompt: str, reply: Reply) -> None:
        """Append a reply and hand it to the system."""
        assert self._file is not None, "only an opened file can be added to"
        instruction, model = self._key
        key = prompt_hash(prompt)
        line = sealed.line({"prompt": key, "instruction": instruction, "model": model, "reply": dict(reply)})
        self._file.write(line.encode())
        self._file.flush()
        self._found[key] = reply

    def _load(self, data: bytes) -> int:
        """Read all whole lines and return their length in bytes."""
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].decode("utf-8", "replace").splitlines(keepends=True), 1):
            value = sealed.parse_line(line, f"{self._path}, line {number}")
            reply = value["reply"]
            if not isinstance(reply, dict) or not isinstance(value["prompt"], str):
                raise Corrupt(f"{self._path}, line {number}, holds no reply: delete the line.")
            self._found[value["prompt"]] = reply
        return whole


def path_of(folder: Path, instruction: str, model: str) -> Path:
    """Return the file of a judge and an instruction."""
    return folder / f"judged-{digest.of_json([instruction, model])[:16]}.jsonl"
