"""The queue of triggers: one SQLite file that outlives restarts and power cuts.

A trigger is one comment that asked for a run; its comment id makes it unique for ever, so whatever delivers it twice
adds nothing. Before anything is made outside (a comment, a build) `begin` records that it may be there from now on;
after a crash that is the sign to look for it before making another.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from ccci.errors import StateUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = 1
_BUSY = 5.0  # seconds that a reader such as `sqlite3` by hand may hold us up
_TABLES = """
CREATE TABLE triggers (
    id INTEGER PRIMARY KEY,
    repo TEXT NOT NULL, comment INTEGER NOT NULL, number INTEGER NOT NULL, author TEXT NOT NULL,
    quick INTEGER NOT NULL, token TEXT NOT NULL UNIQUE, received REAL NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', sha TEXT NOT NULL DEFAULT '',
    feedback INTEGER NOT NULL DEFAULT 0, build INTEGER NOT NULL DEFAULT 0, shown TEXT NOT NULL DEFAULT '',
    began REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
    changed REAL NOT NULL, UNIQUE (repo, comment)
) STRICT;
CREATE INDEX by_state ON triggers (state, due);
CREATE INDEX by_author ON triggers (author, received);
CREATE TABLE marks (name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT;
"""


class State(str, Enum):
    """How far a trigger has come."""

    RECEIVED = "received"  # in the queue; the forge has not been asked about it yet
    ACCEPTED = "accepted"  # somebody who may asked for it; the commit is known
    ANNOUNCED = "announced"  # our comment is on the pull request
    RUNNING = "running"  # its build is known
    DONE = "done"  # the verdict is on the pull request
    REFUSED = "refused"  # nothing was started, and nothing will be


OPEN = (State.RECEIVED, State.ACCEPTED, State.ANNOUNCED, State.RUNNING)


@attrs.frozen
class Trigger:
    """One comment that asked for a run.

    Attributes:
        id: its number in the queue.
        repo: owner/name at the forge.
        comment: id of the comment, number: of the pull request, author: who wrote it.
        quick: whether the quick lane was asked for.
        token: 32 random hex digits by which our comment and our build are known again.
        received: when it came (seconds since the epoch), changed: when it last moved.
        state: how far it has come, reason: why it was refused, or how it ended.
        sha: the commit that was the pull request's head when it was accepted.
        feedback: id of our comment, build: number of the build; 0 if not known.
        shown: digest of what our comment says and of the commit status, as far as both are out.
        began: when making the next thing outside was tried last; 0 if it never was.
        tries: failed tries in this state, due: when to look at it next.
    """

    id: int
    repo: str
    comment: int
    number: int
    author: str
    quick: bool
    token: str
    received: float
    state: State
    reason: str
    sha: str
    feedback: int
    build: int
    shown: str
    began: float
    tries: int
    due: float
    changed: float


class Queue:
    """The queue in its file; safe to use from several threads of one process.

    Args:
        path: the file; made if it is not there, with mode 0600.

    Raises:
        StateUnreadable: it is there and is no queue of ours.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._writes = 0
        try:
            path.touch(0o600)
            self._db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            hint = "if it is damaged, move it away: comments of the last day are then found again by polling"
            raise StateUnreadable(f"the queue {path} cannot be used: {error}", hint=hint) from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")  # what was answered with 202 is on the disk
        with self._written() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version not in {0, SCHEMA}:
                raise sqlite3.DatabaseError(f"its schema is {version}, this ccci knows {SCHEMA}")
            if not version:
                for statement in _TABLES.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextmanager
    def _written(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on the disk when it ends, or nothing of it."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        with self._changed:
            self._writes += 1
            self._changed.notify_all()

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def add(self, repo: str, comment: int, number: int, author: str, *, quick: bool) -> Trigger | None:
        """Take a comment into the queue.

        Returns:
            The trigger, on the disk; None if that comment has been here before.
        """
        if self.knows(repo, comment):
            return None  # most duplicates cost no write
        now = time.time()
        with self._written() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO triggers (repo, comment, number, author, quick, token, received, state, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (repo, comment, number, author, int(quick), secrets.token_hex(16), now, State.RECEIVED.value, now),
            )
        return self.get(done.lastrowid or 0) if done.rowcount else None

    def knows(self, repo: str, comment: int) -> bool:
        """Return whether a comment has been taken into the queue, ever."""
        return bool(self._read("SELECT 1 FROM triggers WHERE repo = ? AND comment = ?", repo, comment))

    def get(self, number: int) -> Trigger:
        """Return a trigger by its number in the queue."""
        (row,) = self._read("SELECT * FROM triggers WHERE id = ?", number)
        return _trigger(row)

    def due(self, states: Iterable[State], now: float) -> list[Trigger]:
        """Return the triggers in some states whose time has come, oldest first."""
        names = [state.value for state in states]
        marks = ", ".join("?" * len(names))
        query = f"SELECT * FROM triggers WHERE state IN ({marks}) AND due <= ? ORDER BY id"  # noqa: S608  (marks only)
        return [_trigger(row) for row in self._read(query, *names, now)]

    def newest(self, count: int) -> list[Trigger]:
        """Return the last triggers, newest first."""
        return [_trigger(row) for row in self._read("SELECT * FROM triggers ORDER BY id DESC LIMIT ?", count)]

    def counts(self) -> dict[State, int]:
        """Return how many triggers are in each state."""
        found = {row[0]: row[1] for row in self._read("SELECT state, count(*) FROM triggers GROUP BY state")}
        return {state: found.get(state.value, 0) for state in State}

    def accepted_of(self, author: str, since: float) -> int:
        """Return how many triggers of somebody came since a time and were not refused."""
        query = "SELECT count(*) FROM triggers WHERE author = ? AND received >= ? AND state NOT IN (?, ?)"
        (row,) = self._read(query, author, since, State.REFUSED.value, State.RECEIVED.value)
        return int(row[0])

    def begin(self, trigger: Trigger) -> Trigger:
        """Record that from now on the next thing outside may be there."""
        return self._set(trigger, began=time.time())

    def move(self, trigger: Trigger, state: State, **changes: object) -> Trigger:
        """Record that a trigger has come to a state, with what was found out on the way."""
        return self._set(trigger, state=state.value, **{"began": 0.0, "tries": 0, "due": 0.0, **changes})

    def keep(self, trigger: Trigger, **changes: object) -> Trigger:
        """Record something about a trigger that stays in its state."""
        return self._set(trigger, **changes)

    def _set(self, trigger: Trigger, **changes: object) -> Trigger:
        known = {field.name for field in attrs.fields(Trigger)}
        assert changes.keys() <= known  # noqa: S101  (names become SQL)
        names = ", ".join(f"{name} = ?" for name in changes)
        with self._written() as db:
            query = f"UPDATE triggers SET {names}, changed = ? WHERE id = ?"  # noqa: S608  (names of fields)
            db.execute(query, (*changes.values(), time.time(), trigger.id))
        return self.get(trigger.id)

    def mark(self, name: str) -> float | None:
        """Return a point in time that was kept under a name, or None."""
        rows = self._read("SELECT value FROM marks WHERE name = ?", name)
        return float(rows[0][0]) if rows else None

    def set_mark(self, name: str, value: float) -> None:
        """Keep a point in time under a name."""
        with self._written() as db:
            db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def drop_before(self, when: float) -> int:
        """Drop triggers that ended before a time; returns how many."""
        with self._written() as db:
            ended = (State.DONE.value, State.REFUSED.value)
            return db.execute("DELETE FROM triggers WHERE state IN (?, ?) AND changed < ?", (*ended, when)).rowcount

    @property
    def writes(self) -> int:
        """How often something was written; `wait` takes it, so that nothing is missed in between."""
        return self._writes

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until there were more writes than `seen`, at most for some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._writes != seen, seconds)


def _trigger(row: sqlite3.Row) -> Trigger:
    values: dict[str, Any] = {key: row[key] for key in row.keys()}  # noqa: SIM118  (a Row iterates over values)
    return Trigger(**{**values, "quick": bool(row["quick"]), "state": State(row["state"])})
