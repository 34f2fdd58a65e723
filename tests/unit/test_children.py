"""Runs as processes of their own: how each ends is known, whatever it is; also when no host can be reached."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ccci.engine.children import Child, side_by_side

HOSTS = """
host = "left"
[hosts.left]
address = "127.0.0.1"
base_domain = "left.test"
port = {port}
group = "pair"
[hosts.right]
address = "127.0.0.1"
base_domain = "right.test"
port = {port}
group = "pair"
"""


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two hosts of one group at a port where nobody listens, three enrolled recipes, and no other settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        (tmp_path / "ccci.toml").write_text(HOSTS.format(port=free.getsockname()[1]))
    for name in ("one", "two", "three"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
        (tmp_path / "recipes" / name / "recipe_meta.toml").touch()
    for name in [name for name in os.environ if name.startswith("CCCI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CCCI_HOME", str(tmp_path))
    monkeypatch.setenv("CCCI_SETTINGS", str(tmp_path / "ccci.toml"))
    return tmp_path


def test_children_that_are_refused_say_why(nowhere: Path) -> None:
    """Each child's exit code and first words are known, in the children's order; none has a result."""
    told: list[int] = []
    children = [Child(["no-such"], limit=60), Child(["quick", "--recipe", "one"], limit=60)]
    first, second = side_by_side(children, told=lambda place, _: told.append(place))
    assert (first.code, first.result, first.late) == (2, None, False)
    assert "no playbook 'no-such'" in first.said
    assert (second.code, "cannot be reached" in second.said) == (3, True)
    assert sorted(told) == [0, 1]
    assert nowhere.is_dir()


def test_a_child_that_takes_too_long_is_stopped(nowhere: Path) -> None:
    """A child whose time is over is told to stop, and that is remembered."""
    ended = Child(["quick", "--recipe", "one"], limit=0.01).end()
    assert ended.late
    assert ended.code != 0
    assert nowhere.is_dir()


def test_a_group_of_which_every_host_is_down(nowhere: Path) -> None:
    """Every recipe is a red row of its own host, in one table and in nightly.json; exit code 3."""
    words = [sys.executable, "-m", "ccci", "play", "nightly", "--result", str(nowhere / "result.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 3, done.stdout + done.stderr
    result = json.loads((nowhere / "result.json").read_text())
    night = json.loads((nowhere / "runs" / result["run_id"] / "nightly.json").read_text())
    assert sorted(row["recipe"] for row in night["rows"]) == ["one", "three", "two"]
    assert {row["verdict"] for row in night["rows"]} == {"errored"}
    for row in night["rows"]:
        assert f"host {row['host']} (127.0.0.1" in row["reason"]
        assert row["recipe"] in done.stdout
    assert (night["verdict"], night["hosts"], result["verdict"]) == ("errored", ["left", "right"], "errored")
