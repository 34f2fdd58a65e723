"""Tests that lie in a recipe's own repository: which files they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from ccci.errors import UsageError
from ccci.model.names import shown

FOLDER = "tests"
MOST = 500  # files
_PART_MAX = 200  # characters


def find_tests(files: Mapping[str, bytes]) -> dict[PurePosixPath, bytes]:
    """Return the files below `tests/` of a commit, by their path in there; none if no test is among them.

    Args:
        files: the plain files of a commit; their names are a stranger's, and a crafted tree can hold any.

    Raises:
        UsageError: one has a name that leads elsewhere, or there are too many.
    """
    found = {PurePosixPath(name): content for name, content in files.items() if name.startswith(f"{FOLDER}/")}
    if not any(path.name.startswith("test_") and path.suffix == ".py" for path in found):
        return {}
    for name in files:
        if name.startswith(f"{FOLDER}/") and not _is_plain(name):
            raise UsageError(f"{shown(name)} in the recipe's repository is no name for a file of a test")
    if len(found) > MOST:
        raise UsageError(f"{FOLDER}/ in the recipe's repository has more than {MOST} files")
    return {path.relative_to(FOLDER): content for path, content in found.items()}


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return all(part not in {"", ".", ".."} and len(part) <= _PART_MAX and part.isprintable() for part in parts)
