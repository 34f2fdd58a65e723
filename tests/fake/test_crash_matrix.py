"""The quick lane, broken after every one of its steps, on fake hosts: known-good is whole, and nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.lane import KINDS
from tests.support.matrix import Case, Matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LANES = 3
QUICK = ("play", "quick", "--recipe", "lane-html", "--ref", "{commit}")
CASES = {
    "quick": Case(QUICK, "seeded", ("seeded",)),
}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """The hosts on which runs are broken."""
    made = Matrix(tmp_path_factory.mktemp("matrix"), LANES)
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_broken_after_every_step(matrix: Matrix, name: str, kind: str, told: Callable[[str], None]) -> None:
    """Whatever dies, wherever: recovery ends with known-good whole, proven, idle, and with nothing left over."""
    case = CASES[name].with_commit(matrix.commit)
    outcomes = matrix.breaks(case, kind, range(1, matrix.count(case) + 1))
    wrong = sorted((o for o in outcomes if o.wrong), key=lambda o: o.point)
    told(f"{name:20} {kind:6} {len(outcomes):3} points broken, {len(outcomes) - len(wrong):3} ended at the invariants")
    assert outcomes
    assert not wrong, "\n\n".join(f"after step {o.point}: {o.wrong}" for o in wrong)
