"""One writer an app: the lock and the fence, run for real by processes of this machine."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from ccci.commands.lock import BUSY, FENCED_EXIT, LOCKED, Fence, fenced, hold, live_owners, look
from ccci.commands.shell import quote

Process = subprocess.Popen[str]


@pytest.fixture
def take(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a holder for a run id, as sshd does: its standard input is the channel."""
    started: list[Process] = []

    def start(run_id: str, *, wait: float = 0.0) -> Process:
        words = hold(Fence(PurePosixPath(tmp_path / "a b"), run_id), f"it's {run_id}", wait=wait)
        process = subprocess.Popen(
            ["/bin/sh", "-c", quote(words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.communicate()


def line(process: Process) -> str:
    """Return the next line that a holder prints."""
    assert process.stdout
    return process.stdout.readline().strip()


def end(process: Process) -> None:
    """Close a holder's channel, as sshd does when its client is gone."""
    assert process.stdin
    process.stdin.close()
    process.wait(timeout=5)


def write(home: Path, run_id: str) -> subprocess.CompletedProcess[str]:
    """Run a fenced command of a run."""
    text = fenced(["sh", "-c", "echo done"], Fence(PurePosixPath(home), run_id))
    return subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False, timeout=10)


def test_the_second_run_is_told_who_holds_it(take: Callable[..., Process]) -> None:
    """While one run holds the app, another is BUSY at once and prints the holder's text."""
    first = take("run-1")
    assert line(first) == LOCKED
    second = take("run-2")
    assert line(second) == BUSY
    assert line(second) == "it's run-1"
    assert second.wait(timeout=5) == 0
    assert first.poll() is None


def test_the_end_of_the_channel_frees_it(take: Callable[..., Process], tmp_path: Path) -> None:
    """When the first run's channel closes the next run gets the lock and owns the app."""
    first = take("run-1")
    assert line(first) == LOCKED
    end(first)
    assert line(take("run-2")) == LOCKED
    assert (tmp_path / "a b" / "owner").read_text() == "run-2"


def test_killing_the_holder_frees_it_at_once(take: Callable[..., Process], tmp_path: Path) -> None:
    """A holder killed outright leaves no lock behind, though its channel is still open."""
    first = take("run-1")
    assert line(first) == LOCKED
    os.kill(int((tmp_path / "a b" / "holder.pid").read_text()), signal.SIGKILL)
    first.wait(timeout=5)
    assert line(take("run-2")) == LOCKED


def test_a_run_takes_over_its_own_stale_holder(take: Callable[..., Process]) -> None:
    """After a broken connection the same run gets its lock back, though the old channel seems to live."""
    first = take("run-1")
    assert line(first) == LOCKED
    assert line(take("run-1", wait=2)) == LOCKED


def test_another_run_does_not_end_a_holder(take: Callable[..., Process]) -> None:
    """A foreign run id that waits and gives up leaves the holder and its ownership as they were."""
    first = take("run-1")
    assert line(first) == LOCKED
    assert line(take("run-2", wait=0.3)) == BUSY
    assert first.poll() is None


def test_waiting_gets_the_lock_when_it_is_freed(take: Callable[..., Process]) -> None:
    """A run that may wait gets the lock as soon as the holder is gone."""
    first = take("run-1")
    assert line(first) == LOCKED
    second = take("run-2", wait=10)
    end(first)
    assert line(second) == LOCKED


def test_the_fence_lets_only_the_owner_write(take: Callable[..., Process], tmp_path: Path) -> None:
    """Once another run took over, the first run's changes are refused with an exit code of their own."""
    home = tmp_path / "a b"
    first = take("run-1")
    assert line(first) == LOCKED
    assert write(home, "run-1").stdout == "done\n"
    end(first)
    assert line(take("run-2")) == LOCKED
    late = write(home, "run-1")
    assert (late.returncode, late.stdout) == (FENCED_EXIT, "")
    assert "run run-2 owns this app now" in late.stderr
    assert write(home, "run-2").stdout == "done\n"


def test_the_fence_is_shut_without_an_owner(tmp_path: Path) -> None:
    """Where nobody took the lock nobody may write."""
    assert write(tmp_path, "run-1").returncode == FENCED_EXIT
    (tmp_path / "owner").write_text("")
    assert write(tmp_path, "run-1").returncode == FENCED_EXIT


def test_the_fence_keeps_the_commands_exit_code(tmp_path: Path) -> None:
    """A command that fails behind the fence fails with its own code."""
    (tmp_path / "owner").write_text("r")
    text = fenced(["sh", "-c", "exit 3"], Fence(PurePosixPath(tmp_path), "r"))
    assert subprocess.run(["/bin/sh", "-c", text], check=False).returncode == 3


def test_fenced_commands_come_one_after_the_other(tmp_path: Path) -> None:
    """Two changes of one app never overlap: the second one begins when the first has ended."""
    (tmp_path / "owner").write_text("r")
    fence = Fence(PurePosixPath(tmp_path), "r")
    log = tmp_path / "log"
    body = f"echo begin >>{log}; sleep 0.2; echo end >>{log}"
    both = [subprocess.Popen(["/bin/sh", "-c", fenced(["sh", "-c", body], fence)]) for _ in range(2)]
    assert [process.wait(timeout=10) for process in both] == [0, 0]
    assert log.read_text().split() == ["begin", "end"] * 2


def test_a_run_that_was_cut_off_gets_its_app_back(take: Callable[..., Process], tmp_path: Path) -> None:
    """With a journal in the way another run waits a moment first, and a live claim of the owner goes before it."""
    first = take("run-1")
    assert line(first) == LOCKED
    (tmp_path / "a b" / "journal.json").write_text("{}")
    end(first)
    second = take("run-2")
    again = take("run-1", wait=10)
    assert line(second) == BUSY
    assert line(again) == LOCKED


def test_a_dead_runs_claim_locks_nobody_out(take: Callable[..., Process], tmp_path: Path) -> None:
    """A claim whose writer is gone is history: the next run gets the app, to recover it."""
    home = tmp_path / "a b"
    first = take("run-1")
    assert line(first) == LOCKED
    (home / "journal.json").write_text("{}")
    with (home / "lock").open() as other:  # as if something else still held it
        end(first)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert line(take("run-1", wait=0.2)) == BUSY
    assert line(take("run-2")) == LOCKED


def test_looking_does_not_take(take: Callable[..., Process], tmp_path: Path) -> None:
    """`look` tells free from held, by whom or since when, and leaves the lock alone."""
    home = tmp_path / "a b"

    def seen() -> list[str]:
        text = look(PurePosixPath(home))
        return subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False).stdout.split("\n")

    assert seen() == ["free 999999999", ""]
    first = take("run-1")
    assert line(first) == LOCKED
    assert seen() == ["held", "it's run-1"]
    end(first)
    deadline = time.monotonic() + 5
    while (now := seen())[0] == "held":
        assert time.monotonic() < deadline
    word, seconds = now[0].split()
    assert (word, int(seconds) <= 60) == ("free", True)
    assert line(take("run-2")) == LOCKED


def test_runs_that_hold_a_lock_are_known(take: Callable[..., Process], tmp_path: Path) -> None:
    """A run counts as live as long as it holds a lock anywhere, and no longer."""
    words = ["/bin/sh", "-c", quote(live_owners(PurePosixPath(tmp_path)))]

    def live() -> list[str]:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.split()

    assert live() == []
    holder = take("run-1")
    assert line(holder) == LOCKED
    assert live() == ["run-1"]
    end(holder)
    assert live() == []
