"""The recipes of the lab: a folder of plain files each, made into a git repository with a history.

`recipes/<name>/history.toml` says which commits and tags to make; `recipes/<name>/tree/` holds the files,
with `@@NAME@@` where commits differ; a commit is `without` the files that came later. Authors and dates are
fixed, so commit ids are the same in every lab.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli
from attrs import frozen

from ccci.errors import UsageError
from ccci.lab import process

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES = Path(__file__).parent / "recipes"
MARK = "ccci-lab-source"  # in a bare repository: the digest of the sources that it was made of
AUTHOR = {"NAME": "ccci lab", "EMAIL": "lab@ci.lab.test"}


@frozen
class Recipe:
    """A recipe of the lab.

    Attributes:
        name: its name, and that of its folder.
        images: the images that its versions need.
        commits: the commits of `history.toml`, oldest first.
    """

    name: str
    images: tuple[str, ...]
    commits: tuple[Mapping[str, Any], ...]

    @property
    def releases(self) -> list[str]:
        """The annotated tags, oldest first."""
        return [str(commit["tag"]) for commit in self.commits if "tag" in commit]


def known() -> list[str]:
    """The names of all recipes of the lab."""
    return sorted(path.parent.name for path in SOURCES.glob("*/history.toml"))


def load(name: str) -> Recipe:
    """Read a recipe's description.

    Raises:
        UsageError: the lab has no such recipe.
    """
    if name not in known():
        raise UsageError(f"the lab has no recipe {name!r}", hint=f"it has {', '.join(known())}")
    history = tomli.loads((SOURCES / name / "history.toml").read_text())
    return Recipe(name, tuple(history["images"]), tuple(history["commit"]))


def digest(name: str) -> str:
    """The hash of a recipe's sources here: whether a repository made of them is still what we would make."""
    found = hashlib.sha256()
    for path in sorted((SOURCES / name).rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(SOURCES)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def build(recipe: Recipe, folder: Path) -> Path:
    """Make the bare repository `<folder>/<name>.git` with the recipe's history.

    Args:
        recipe: the recipe.
        folder: an existing folder of ours.

    Returns:
        The bare repository.
    """
    work = folder / f"{recipe.name}.work"
    bare = folder / f"{recipe.name}.git"
    _git(folder, "init", "--quiet", "--initial-branch=main", str(work))
    for commit in recipe.commits:
        _write_tree(recipe.name, commit, work)
        env = _identity(f"{commit['date']}")
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "--no-gpg-sign", "--message", commit["message"], env=env)
        if "tag" in commit:
            _git(work, "tag", "--annotate", "--message", commit["tag"], commit["tag"], env=env)
        if "light_tag" in commit:
            _git(work, "tag", commit["light_tag"])
    _git(folder, "clone", "--quiet", "--bare", "--no-hardlinks", str(work), str(bare))
    _git(bare, "remote", "remove", "origin")
    (bare / MARK).write_text(digest(recipe.name))
    return bare


def _write_tree(name: str, commit: Mapping[str, Any], work: Path) -> None:
    source = SOURCES / name / "tree"
    without = commit.get("without", [])
    for path in sorted(source.rglob("*")):
        if path.is_file() and str(path.relative_to(source)) not in without:
            text = path.read_text()
            for key, value in commit.get("set", {}).items():
                text = text.replace(f"@@{key}@@", value)
            target = work / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(0o644)


def _identity(date: str) -> dict[str, str]:
    roles = ("AUTHOR", "COMMITTER")
    values = {f"GIT_{role}_{key}": value for role in roles for key, value in AUTHOR.items()}
    return values | {f"GIT_{role}_DATE": date for role in roles}


def _git(folder: Path, *args: str, env: Mapping[str, str] | None = None) -> str:
    # Nothing of the user's own git settings may change the commits, nor an outer git command's environment.
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "0"}
    argv = ["env", "-u", "GIT_DIR", "-u", "GIT_INDEX_FILE", "-u", "GIT_WORK_TREE"]
    argv += ["git", "-c", "core.autocrlf=false", "-C", str(folder), *args]
    return process.run(argv, what="making a recipe's repository", env={**alone, **(env or {})})
