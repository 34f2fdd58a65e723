"""What the repository as a whole promises, whatever its files are about."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import attrs
import pytest

import ccci

ROOT = Path(__file__).parents[2]
_GIT = "/usr/bin/git"
# Written in pieces, so that this file does not hold what it looks for.
_PIECES = [
    ("py", "pi.org"), ("python", "hosted"), ("deb.", "debian"), ("repo.", "maven"), ("repo1.", "maven"),
    ("proxy.", "golang"), ("registry.", "npmjs"), ("arti", "factory"),
]  # fmt: skip
_REGISTRIES = re.compile("|".join(re.escape("".join(pair)) for pair in _PIECES))
_MACHINE = re.compile(r"(?<![\w.])/" r"(?:work|home/\w+)/(?:main|shared|bench)\b|/tmp/" r"(?:v|brief)\b")
_UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")


def tracked() -> list[Path]:
    """Return the files that git keeps here and that are text; without git, the files that are in the folders."""
    done = subprocess.run([_GIT, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        paths = [ROOT / name for name in done.stdout.split("\0") if name]
    else:
        folders = ("ccci", "playbooks", "recipes", "tests", "docs")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


FILES = sorted(tracked())


@pytest.mark.parametrize("pattern", [_REGISTRIES, _MACHINE, _UNFINISHED], ids=["registries", "machine", "unfinished"])
def test_no_file_names_what_is_none_of_its_readers_business(pattern: re.Pattern[str]) -> None:
    """No host name of a package registry, no path of the machine it was written on, nothing left undone."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in FILES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "CHANGELOG.md", "Makefile", "docs/design.md"])
def test_what_a_newcomer_looks_for_is_there(name: str) -> None:
    """The files that people expect exist and say something."""
    assert len((ROOT / name).read_text("utf-8")) > 100


@pytest.mark.parametrize("name", ccci.__all__)
def test_public_names_exist_and_explain_themselves(name: str) -> None:
    """Everything that ccci offers to playbooks and programs can be imported and has a docstring of its own."""
    value = getattr(importlib.import_module("ccci"), name)
    doc = value.__doc__
    assert doc
    assert len(doc) > 15
    assert not (attrs.has(value) and doc.startswith("Method generated"))


def test_names_that_are_not_public_are_none() -> None:
    """A name that ccci does not offer is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ccci.nothing


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.py")), ids=lambda path: str(path.stem))
def test_every_playbook_says_what_it_does_in_one_line(path: Path) -> None:
    """Each playbook's file holds a function of its name, whose docstring's first line is a sentence for users."""
    tree = ast.parse(path.read_text("utf-8"))
    made = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]
    assert [node.name for node in made] == [path.stem]
    lines = (ast.get_docstring(made[0]) or "").splitlines()
    assert lines
    assert lines[0].endswith((".", ")."))
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".py"], ids=lambda path: str(path.name))
def test_every_test_says_what_it_proves(path: Path) -> None:
    """Each test function has a docstring; each product module has one."""
    tree = ast.parse(path.read_text("utf-8"))
    if path.name.startswith("test_"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"
    elif path.is_relative_to(ROOT / "ccci"):
        assert ast.get_docstring(tree), f"{path} has no docstring"
