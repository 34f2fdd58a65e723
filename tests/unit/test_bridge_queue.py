"""The queue of triggers: nothing twice, nothing lost, nothing half."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ccci.bridge.queue import OPEN, Queue, State
from ccci.errors import StateUnreadable

WRITER = """
import sys
from pathlib import Path
from ccci.bridge.queue import Queue
queue = Queue(Path(sys.argv[1]))
for comment in range(10**6):
    assert queue.add("o/r", comment, 1, "anna", quick=False)
    print(comment, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the queue is."""
    return tmp_path / "queue.sqlite"


def test_a_comment_is_taken_once(path: Path) -> None:
    """The same comment comes in once, also after a restart; another repository's of the same number is another."""
    queue = Queue(path)
    first = queue.add("o/r", 7, 1, "anna", quick=True)
    assert first
    assert (first.state, first.quick, len(first.token)) == (State.RECEIVED, True, 32)
    assert queue.add("o/r", 7, 1, "anna", quick=True) is None
    queue.move(first, State.DONE)
    queue.close()
    again = Queue(path)
    assert again.add("o/r", 7, 1, "anna", quick=False) is None
    other = again.add("o/s", 7, 1, "anna", quick=False)
    assert other
    assert other.token != first.token


def test_threads_that_bring_the_same_comments_add_each_once(path: Path) -> None:
    """Four threads that deliver the same comments at once: each is added exactly once."""
    queue = Queue(path)
    added: list[int] = []

    def deliver() -> None:
        added.extend(c for c in range(50) if queue.add("o/r", c, 1, "anna", quick=False))

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == list(range(50))


def test_what_was_answered_survives_a_kill(path: Path) -> None:
    """A process that is killed with -9 while it adds has lost nothing that it had confirmed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(30):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = 30 + len(process.stdout.read().splitlines())
    queue = Queue(path)
    there = queue.due([State.RECEIVED], time.time())
    assert len(there) - said in {0, 1}  # the last one may have been written and not said
    assert [trigger.comment for trigger in there] == list(range(len(there)))


def test_a_trigger_moves_with_what_was_found_out(path: Path) -> None:
    """Moving forgets tries and the beginning of the state before, keeps the rest, and is there after a restart."""
    queue = Queue(path)
    trigger = queue.add("o/r", 7, 1, "anna", quick=False)
    assert trigger
    began = queue.keep(queue.begin(trigger), tries=3, due=time.time() + 60)
    assert began.began > 0
    assert queue.due(OPEN, time.time()) == []
    moved = queue.move(began, State.ACCEPTED, sha="a" * 40)
    assert (moved.began, moved.tries, moved.due, moved.sha, moved.token) == (0, 0, 0, "a" * 40, trigger.token)
    queue.close()
    assert Queue(path).due([State.ACCEPTED], time.time()) == [moved]


def test_who_asks_too_often_is_counted(path: Path) -> None:
    """Accepted triggers of an author since a time are counted, those refused or not looked at are not."""
    queue = Queue(path)
    states = [State.RECEIVED, State.ACCEPTED, State.DONE, State.REFUSED]
    for comment, state in enumerate(states):
        made = queue.add("o/r", comment, 1, "anna", quick=False)
        assert made
        queue.move(made, state)
    assert queue.accepted_of("anna", time.time() - 10) == 2
    assert queue.accepted_of("anna", time.time() + 10) == 0
    assert queue.accepted_of("bert", 0) == 0
    assert queue.counts()[State.REFUSED] == 1


def test_a_waiting_worker_wakes_up_at_once(path: Path) -> None:
    """A write between looking and waiting is not missed, and one while waiting ends the wait."""
    queue = Queue(path)
    seen = queue.writes
    queue.set_mark("polled", 1.0)
    begin = time.monotonic()
    queue.wait(seen, 5)
    threading.Timer(0.1, queue.set_mark, ("polled", 2.0)).start()
    queue.wait(queue.writes, 5)
    assert time.monotonic() - begin < 3
    assert queue.mark("polled") == 2.0
    assert queue.mark("other") is None


def test_old_triggers_go_only_when_they_have_ended(path: Path) -> None:
    """Dropping old triggers never takes one that is still open."""
    queue = Queue(path)
    for comment, state in enumerate(State):
        made = queue.add("o/r", comment, 1, "anna", quick=False)
        assert made
        queue.move(made, state)
    assert queue.drop_before(time.time() + 1) == 2
    assert {trigger.state for trigger in queue.newest(10)} == set(OPEN)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 20, b"SQLite"])
def test_a_file_that_is_no_queue_is_refused(path: Path, content: bytes) -> None:
    """What is no queue is a clear error, and is left as it was."""
    path.write_bytes(content)
    with pytest.raises(StateUnreadable, match=r"queue\.sqlite cannot be used"):
        Queue(path)
    assert path.read_bytes() == content


def test_a_queue_of_a_newer_ccci_is_refused(path: Path) -> None:
    """A schema that this version does not know is refused instead of guessed at."""
    Queue(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StateUnreadable, match="schema is 99"):
        Queue(path)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    """Nobody else may read the queue: its tokens tell our comments and builds."""
    Queue(path).close()
    assert path.stat().st_mode & 0o077 == 0
