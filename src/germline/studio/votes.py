"""Votes in SQLite: a study, its pictures and items, and every answer ever given; rows are added, and none is changed or taken away."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from germline.core.atomic import replacing
from germline.core.digest import Json
from germline.core.errors import BadInput, GermlineError
from germline.studio.ballot import ANSWERS, Ballot, Kind, Showing

MARK, FORM = 0x6765726D, 1  # "germ" in the file's header, and the version of the tables
TABLES = ("study", "pictures", "items", "votes")
SCHEMA = """
CREATE TABLE study (only INTEGER PRIMARY KEY CHECK (only = 1), about TEXT NOT NULL);
CREATE TABLE pictures (number INTEGER PRIMARY KEY, arm TEXT NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL);
CREATE TABLE items (number INTEGER PRIMARY KEY, prompt TEXT NOT NULL, first INTEGER NOT NULL REFERENCES pictures,
  second INTEGER REFERENCES pictures);
CREATE TABLE votes (number INTEGER PRIMARY KEY AUTOINCREMENT, rater TEXT NOT NULL, item INTEGER NOT NULL REFERENCES items,
  again INTEGER NOT NULL CHECK (again IN (0, 1)), mirrored INTEGER NOT NULL CHECK (mirrored IN (0, 1)), question TEXT NOT NULL,
  answer TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX votes_of ON votes (rater, item, again, question);
"""
LAST = "number IN (SELECT max(number) FROM votes GROUP BY rater, item, again, question)"


@dataclass(frozen=True)
class Entry:
    """A picture of a study: its arm, its name there, and the sha256 of its pixels."""

    number: int
    arm: str
    name: str
    image: str


@dataclass(frozen=True)
class Put:
    """An item of a study: the prompt, and the numbers of one picture or two."""

    number: int
    prompt: str
    pictures: tuple[int, ...]


@dataclass(frozen=True)
class Vote:
    """What a rater last answered to a question about an item; ``mirrored`` where its second picture stood on the left."""

    rater: str
    item: int
    again: bool
    mirrored: bool
    question: str
    answer: str
    at: str


class Votes:
    """A database of one study. Threads and processes may share it: a vote is on disk before ``add`` returns.

    Raises:
        BadInput: the file is not there, or is no database of votes.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise BadInput(f"There is no {path}; germline vote keep and germline vote pairs make one.")
        self.path, self._lock = path, threading.Lock()
        try:
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            marks = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        except sqlite3.DatabaseError as error:
            raise BadInput(f"{path} is no database of votes ({error}); give another --out.") from error
        if marks != [MARK, FORM]:
            self._db.close()
            raise BadInput(f"{path} is no database of votes of this version of germline; give another --out.")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._told():
            self.about: dict[str, Json] = json.loads(self._db.execute("SELECT about FROM study").fetchone()[0])

    @property
    def ballot(self) -> Ballot:
        """How the study is put."""
        about = cast(dict[str, Json], self.about["ballot"])
        a_rater, questions = about["a_rater"], cast(list[str], about["questions"])
        return Ballot(
            cast(Kind, about["kind"]),
            tuple(questions),
            int(str(about["seed"])),
            float(str(about["repeat"])),
            None if a_rater is None else int(str(a_rater)),
        )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def pictures(self) -> list[Entry]:
        """Return the pictures, by number."""
        return [Entry(*row) for row in self._rows("SELECT number, arm, name, image FROM pictures ORDER BY number")]

    def items(self) -> list[Put]:
        """Return the items, by number."""
        found = self._rows("SELECT number, prompt, first, second FROM items ORDER BY number")
        return [Put(number, prompt, (first,) if second is None else (first, second)) for number, prompt, first, second in found]

    def add(self, rater: str, showing: Showing, question: str, answer: str) -> int:
        """Add an answer and return its number. An earlier answer to the same question stays, and counts no more.

        Raises:
            BadInput: there is no such question, or no such answer to it.
            GermlineError: the file cannot be written.
        """
        ballot = self.ballot
        if question not in ballot.questions or answer not in ANSWERS[ballot.kind]:
            raise BadInput(f"The questions are {', '.join(ballot.questions)} and the answers {', '.join(ANSWERS[ballot.kind])}.")
        row = (rater, showing.item, showing.again, showing.mirrored, question, answer, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._told():
            done = self._db.execute(
                "INSERT INTO votes (rater, item, again, mirrored, question, answer, at) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
        assert done.lastrowid is not None
        return done.lastrowid

    def current(self, rater: str | None = None) -> list[Vote]:
        """Return the last answer to every question that was answered, in the order in which they were given; of one rater, or of all."""
        only, values = ("", ()) if rater is None else (" AND rater = ?", (rater,))
        text = f"SELECT rater, item, again, mirrored, question, answer, at FROM votes WHERE {LAST}{only} ORDER BY number"
        return [Vote(r, i, bool(again), bool(m), q, a, at) for r, i, again, m, q, a, at in self._rows(text, values)]

    def raters(self) -> dict[str, int]:
        """Return how many questions each rater has answered."""
        return dict(self._rows(f"SELECT rater, count(*) FROM votes WHERE {LAST} GROUP BY rater ORDER BY min(number)"))

    def ever(self) -> int:
        """Return how many answers were given, those that were changed later too."""
        return int(self._rows("SELECT count(*) FROM votes")[0][0])

    def _rows(self, text: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._told():
            return self._db.execute(text, values).fetchall()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.Error as error:
            raise GermlineError(f"{self.path}: {error}. Free the disk or fix its permissions, or take the file from a copy.") from error


def create(path: Path, about: dict[str, Json], pictures: Sequence[Entry], items: Sequence[Put]) -> None:
    """Write the database of a new study, whole or not at all.

    Raises:
        GermlineError: the disk is full or the folder is read-only.
    """
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        db = sqlite3.connect(temporary, isolation_level=None)
        try:
            db.executescript(f"PRAGMA application_id = {MARK}; PRAGMA user_version = {FORM}; {SCHEMA}")
            db.execute("BEGIN")
            db.execute("INSERT INTO study VALUES (1, ?)", (json.dumps(about, ensure_ascii=False),))
            db.executemany("INSERT INTO pictures VALUES (?, ?, ?, ?)", [(one.number, one.arm, one.name, one.image) for one in pictures])
            rows = [
                (item.number, item.prompt, item.pictures[0], *item.pictures[1:2], *(None,) * (2 - len(item.pictures))) for item in items
            ]
            db.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", rows)
            for table in TABLES:
                for act in ("UPDATE", "DELETE"):
                    db.execute(
                        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
                        " BEGIN SELECT RAISE(ABORT, 'rows are only ever added'); END"
                    )
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise GermlineError(f"Cannot write {path}: {error}. Free the disk or fix its permissions.") from error
        finally:
            db.close()
