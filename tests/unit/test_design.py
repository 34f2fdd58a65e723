"""The design's promises are tried: each names tests that try to break it, and those are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADING = "## What holds, whatever happens"
_NAMED = re.compile(r"`((?:lab|unit|fake)/(?:\w+/)*test_\w+\.py)::(test_\w+)`")


def promises() -> dict[int, str]:
    """Return the numbered promises of docs/design.md with all that is said of each."""
    text = (ROOT / "docs" / "design.md").read_text("utf-8")
    section = text.partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    parts = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
    return {int(number): body for number, body in zip(parts[::2], parts[1::2], strict=True)}


def functions_of(path: Path) -> set[str]:
    """Return the names of the test functions of a file."""
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def test_the_promises_are_found() -> None:
    """The list is numbered from 1 without a gap, so that no promise slips through the tests below."""
    found = promises()
    assert list(found) == list(range(1, len(found) + 1))
    assert len(found) >= 9


@pytest.mark.parametrize("number", sorted(promises()))
def test_each_promise_names_tests_that_try_to_break_it(number: int) -> None:
    """A promise says `Tried by` and then at least two tests, each of which exists under that name."""
    _, tried, tests = promises()[number].partition("*Tried by*")
    assert tried, f"promise {number} names no test"
    named = _NAMED.findall(tests)
    assert len(named) == tests.count("::") >= 2, f"promise {number}: write tests as `unit/test_x.py::test_y`"
    missing = [f"{file}::{test}" for file, test in named if not _has(ROOT / "tests" / file, test)]
    assert not missing, f"promise {number} names tests that are not there"


def _has(path: Path, test: str) -> bool:
    return path.is_file() and test in functions_of(path)
