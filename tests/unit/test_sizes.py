"""Small enough to read: files, functions, arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "ccci").rglob("*.py"), *(ROOT / "playbooks").glob("*.py")])
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 40, 6
Function = ast.FunctionDef | ast.AsyncFunctionDef

# Functions with more parameters, each with its reason.
MANY = {
    "ccci/engine/request.py:make_request": "one argument a flag",
    "ccci/cli/play.py:play": "click hands over one argument a flag",
    "ccci/cli/canonical.py:seed": "click hands over one argument a flag",
}


def functions(path: Path) -> list[Function]:
    """Return all functions of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def label(path: Path) -> str:
    """Return a file's name as people say it."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=label)
def test_files_and_functions_are_small(path: Path) -> None:
    """A file has at most 300 lines, a function at most 40, and 6 parameters besides self."""
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= FILE_LINES, f"{label(path)} has {lines} lines"
    for node in functions(path):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        assert length <= FUNCTION_LINES, f"{label(path)}: {node.name} has {length} lines"
        names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([argument for argument in names if argument.arg not in {"self", "cls"}])
        if f"{label(path)}:{node.name}" not in MANY:
            assert count <= PARAMETERS, f"{label(path)}: {node.name} has {count} parameters"
