"""The audit log: a line for each change, written with it, once, and never in its way."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.commands.audit import SIZE_MAX, add
from ccci.commands.lock import FENCED_EXIT, Fence, fenced
from ccci.engine.audit import Audit
from ccci.model.audit import Entry, chosen, read_entries

BLANK = Entry(
    "2026-01-01T00:00:00Z", "20260101t000000-aaaaaa", 0, "me@here (process 1)", "quick", "a.example.org", "", "x"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def change(folder: Path, fence: Fence, words: str = "echo done") -> subprocess.CompletedProcess[str]:
    """Run a fenced change; the run `r` owns the app."""
    (folder / "owner").write_text("r")
    text = fenced(["sh", "-c", words], fence)
    return subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False, timeout=20)


def fence_of(folder: Path, note: str, run: str = "r") -> Fence:
    """Return a fence whose log is in the folder."""
    return Fence(PurePosixPath(folder), run, "a.example.org", note, PurePosixPath(folder / "audit.log"))


@pytest.mark.parametrize("note", ["one", "two\nlines", "it's $(reboot) `x` *?[a] \\n %s \"", "-n", "*", '{"a": "b"}'])
def test_a_change_writes_its_lines_once_as_they_are(tmp_path: Path, note: str) -> None:
    """The lines come to the end of the log to the letter; a second command of the same change adds none."""
    log = tmp_path / "audit.log"
    log.write_text("before\n")
    assert change(tmp_path, fence_of(tmp_path, note)).stdout == "done\n"
    assert change(tmp_path, fence_of(tmp_path, note)).stdout == "done\n"
    assert log.read_text() == f"before\n{note}\n"
    assert change(tmp_path, fence_of(tmp_path, "other")).stdout == "done\n"
    assert log.read_text() == f"before\n{note}\nother\n"


def test_a_line_is_there_before_its_change(tmp_path: Path) -> None:
    """Who is killed in the middle of a change has left its line."""
    assert change(tmp_path, fence_of(tmp_path, "line"), f"cat {tmp_path}/audit.log; exit 3").stdout == "line\n"


def test_what_the_fence_refuses_is_not_in_the_log(tmp_path: Path) -> None:
    """A run that lost its app changes nothing and claims nothing."""
    assert change(tmp_path, fence_of(tmp_path, "line", run="another")).returncode == FENCED_EXIT
    assert not (tmp_path / "audit.log").exists()


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The change is made and says no word of it."""
    (tmp_path / "audit.log").mkdir()
    done = change(tmp_path, fence_of(tmp_path, "line"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_the_log_does_not_grow_without_bound(tmp_path: Path) -> None:
    """A large log is put aside whole, in place of the one before; a small one is not."""
    log = tmp_path / "audit.log"
    for text in ("first\n", "x" * SIZE_MAX + "\n"):
        log.write_text(text)
        subprocess.run(["/bin/sh", "-c", add("new", PurePosixPath(log))], check=True, timeout=20)
    assert not log.exists()
    assert (tmp_path / "audit.log.1").read_text() == "x" * SIZE_MAX + "\nnew\n"


@given(TEXTS, TEXTS, TEXTS)
def test_an_entry_is_one_line_and_comes_back(who: str, step: str, app: str) -> None:
    """Whatever a step's name holds, its entry is one line of ASCII that is read back as it was."""
    entry = Entry("2026-01-01T00:00:00Z", "r", 1, who, "quick", app, step, "deploy")
    line = entry.line()
    assert line.isascii()
    assert line.splitlines() == [line]
    assert read_entries(f"{line}\n{line}\n") == ([entry], 0)


def test_damaged_lines_are_counted() -> None:
    """A line that cannot be read is neither shown nor passed over in silence."""
    good = BLANK.line()
    assert read_entries(f"{good[:40]}\n{good}\nnull\n\n") == ([BLANK], 2)


def test_entries_are_chosen_by_run_and_app() -> None:
    """A run is named by how its id begins, an app by its domain or first label; the last come last."""
    audit = Audit()
    lines = [audit.line(BLANK) for _ in range(3)]
    other = Entry("2026-01-01T00:00:00Z", "20260102t000000-bbbbbb", 1, "me", "cold", "b.example.org", "s", "x")
    entries, _ = read_entries("\n".join([*lines, other.line()]))
    assert [e.n for e in entries] == [1, 2, 3, 1]
    assert chosen(entries, run="20260102") == [other] == chosen(entries, app="b") == chosen(entries, last=1)
    assert chosen(entries, app="a.example.org", last=2) == entries[1:3]
    assert chosen(entries, app="b.example") == []


def test_lines_without_a_fence_wait_for_the_next_with_one() -> None:
    """What belongs to no app is on the host no later than the run's next change of one; what changed nothing never."""
    audit, fence = Audit(step="fetching"), Fence(PurePosixPath("/x"), "r")
    first, second, third = (audit.line(BLANK) for _ in range(3))
    audit.ended(first, changed=True, fenced=False)
    audit.ended(second, changed=False, fenced=False)
    assert audit.noted(fence, third).note == f"{first}\n{third}"
    audit.ended(third, changed=False, fenced=True)
    assert audit.waiting == [first]
    audit.ended(third, changed=True, fenced=True)
    assert audit.waiting == []
    assert '"step": "fetching"' in first
