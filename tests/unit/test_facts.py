"""Facts about files, read by a real shell."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from ccci.errors import StateUnreadable
from ccci.facts.warm import File

READS = 150


def read(path: Path) -> str | None:
    """Read a file as the host does."""
    fact = File()
    text = str(fact.command(PurePosixPath(path)).get_raw_value())
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False)
    return fact.process(done.stdout.splitlines())


def test_a_file_is_its_text_or_none(tmp_path: Path) -> None:
    """A file gives its text whatever its name, no file gives None, and what is no file is unreadable, never None."""
    (named := tmp_path / "it's $(id) <one>").write_text("absent\nthere\n", "utf-8")
    assert read(named) == "absent\nthere"
    assert read(tmp_path / "none") is None
    with pytest.raises(StateUnreadable):
        read(tmp_path)


def test_a_file_that_comes_and_goes_is_never_unreadable(tmp_path: Path) -> None:
    """A file that others write and remove all the time is its text or absent whenever it is read."""
    path = tmp_path / "journal.json"
    words = ["/bin/sh", "-c", 'while [ -d "$1" ]; do echo said >"$1/new"; mv "$1/new" "$2"; rm "$2"; done', "sh"]
    with subprocess.Popen([*words, str(tmp_path), str(path)]) as other:
        try:
            found = {read(path) for _ in range(READS)}
        finally:
            other.kill()
    assert found <= {None, "said"}
    assert found
