"""Programs that the lab runs, its locks and its waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ccci.errors import CommandFailed, CommandTimeout
from ccci.lab import building, leftovers, outer, process, wait

if TYPE_CHECKING:
    from pathlib import Path


def test_failure_says_what_and_shows_the_output() -> None:
    """A program that fails becomes one error with what was tried, its code and its last words."""
    with pytest.raises(CommandFailed, match=r"making tea failed: .* ended with 3") as caught:
        process.run(["sh", "-c", "echo no leaves >&2; exit 3"], what="making tea")
    assert caught.value.detail == "no leaves"


def test_missing_program_is_named() -> None:
    """A program that is not installed is an error of ours, not a traceback."""
    with pytest.raises(CommandFailed, match="no-such-program"):
        process.run(["no-such-program"], what="trying")


def test_slow_program_is_ended() -> None:
    """A program that does not end in its time is killed and reported as late."""
    with pytest.raises(CommandTimeout, match="waiting"):
        process.run(["sleep", "30"], what="waiting", timeout=0.1)


def test_failed_build_names_its_log(tmp_path: Path) -> None:
    """A build that fails points to the file that holds all of its output."""
    log = tmp_path / "logs" / "build.log"
    with pytest.raises(CommandFailed) as caught:
        process.run_logged(["sh", "-c", "echo broken; exit 1"], log, what="building")
    assert str(log) in str(caught.value.hint)
    assert log.read_text() == "broken\n"


def test_lock_is_exclusive_and_shared_locks_keep_it_out(tmp_path: Path) -> None:
    """While somebody shares a lock nobody gets it alone; afterwards anybody does."""
    path = tmp_path / "lock"
    with process.locked(path, shared=True), process.locked_if_free(path) as free:
        assert not free
    with process.locked_if_free(path) as free:
        assert free


def test_waiting_ends_with_an_error() -> None:
    """Waiting for what never comes fails, with what the caller knows about it."""
    with pytest.raises(CommandTimeout, match="rain") as caught:
        wait.until(lambda: False, what="rain", timeout=0.1, detail=lambda: "clear sky")
    assert caught.value.detail == "clear sky"


def test_foreign_process_is_never_taken_for_our_engine(tmp_path: Path) -> None:
    """A pid file from before a reboot, whose number is another program's by now, is dropped."""
    path = tmp_path / "docker.pid"
    path.write_text("1")
    outer._drop_stale_pid(path, "dockerd")
    assert not path.exists()


def test_keys_of_images_change_with_their_inputs() -> None:
    """An image that is made differently gets another archive, so that the cache never serves an old one."""
    one = building.spec("nginx:1.22.1")
    two = building.ImageSpec("nginx:1.22.1", ("other",), one.build, one.config)
    three = building.ImageSpec("nginx:1.22.1", one.inputs, one.build, {"Cmd": ["sh"]})
    assert len({one.archive, two.archive, three.archive}) == 3


def test_firewall_keeps_what_is_not_dockers() -> None:
    """After our engine only Docker's chains and rules are gone, and forwarding is judged as before."""
    before = [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD DROP [5:300]",
        ":mine - [0:0]",
        ":DOCKER-USER - [0:0]",
    ]
    before += ["-A FORWARD -j DOCKER-USER", "-A FORWARD -i docker0 -j ACCEPT", "-A INPUT -j mine", "COMMIT"]
    after = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":mine - [0:0]", "-A INPUT -j mine"]
    assert leftovers.without_docker(before, "ACCEPT") == [*after, "COMMIT"]
