"""What an operator's verbs take for a canonical."""

from __future__ import annotations

from pathlib import PurePosixPath

from ccci import paths
from ccci.steps.operator import NO_RECIPES


def test_ccci_takes_none_of_its_own_files_for_a_canonical() -> None:
    """Whatever lies beside the folders of the canonicals is known as such: lists, sweeps and drills pass it over."""
    own = [path.name for path in vars(paths).values() if isinstance(path, PurePosixPath) and path.parent == paths.WARM]
    assert "audit.log" in own
    assert set(own) <= set(NO_RECIPES)
