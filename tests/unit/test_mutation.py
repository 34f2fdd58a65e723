"""The table of guards that `make mutate` breaks fits the code, so that no row of it has gone stale."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.run import ROOT, Guard, guards

GUARDS = guards()


def test_enough_guards_are_broken() -> None:
    """At least twenty guards have a row, each under a name of its own."""
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= 20


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_row_fits_the_code(guard: Guard) -> None:
    """A guard's text is in its file once, what takes its place is Python, and its tests are of the fast tiers."""
    text = (ROOT / guard.file).read_text("utf-8")
    assert text.count(guard.old) == 1
    ast.parse(text.replace(guard.old, guard.new))
    for test in guard.tests:
        path, _, name = test.partition("::")
        assert Path(path).parts[:2] in {("tests", "unit"), ("tests", "fake")}
        assert f"def {name.partition('[')[0]}" in (ROOT / path).read_text("utf-8")
