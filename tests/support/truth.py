"""What must hold on the host before and after, found out without ccci."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from tests.support.recipe import KNOWN_GOOD, MARKER

if TYPE_CHECKING:
    from tests.support.recipe import LabRecipe
    from tests.support.running import Done

_FILES = """
git -C {clone} worktree list 2>/dev/null | sed 's/^/worktree /'
find /root/.abra/servers -name '*{tag}*' -printf 'env %f\\n'
find /var/lib/ci-warm/cold -name '*{tag}*' -printf 'cold %f\\n' 2>/dev/null
find {home} ! -name '*lock' ! -name 'holder*' ! -name owner ! -name released ! -name claim \\
  -printf 'warm %P\\n' 2>/dev/null
grep -rlsF -- {tag} /var/lib/ci-warm/scratch | cut -d/ -f1-6 | sort -u | sed 's/^/scratch /'
find /srv/git /root/.abra/recipes -maxdepth 1 -type d -name '*{tag}*' -printf 'repository %f\\n'
ps -eo args | grep '[c]cci-lock' | grep -F -- {tag} | sed 's/^/process /'
true
"""
# What docs/design.md says a volume's digest is of.
_TAR = (
    "tar --create --sort=name --format=posix --numeric-owner --acls --xattrs --xattrs-include='*' "
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C {folder} . | sha256sum | cut -c1-64"
)
_PHOTOGRAPH = (
    "cd {folder} && find . -printf '%P|%y|%m|%U|%G|%T@|%s|%l\\n' | sort && "
    "find . -type f -print0 | sort -z | xargs -0r sha256sum"
)


def census(recipe: LabRecipe) -> list[str]:
    """Return all that the host has of a recipe: what Docker knows, files, worktrees, processes."""
    there = [
        f"{kind} {_name(item)}"
        for kind, items in recipe.host.docker().items()
        for item in items
        if recipe.tag in json.dumps(item)
    ]
    text = _FILES.format(clone=recipe.clone, tag=recipe.tag, home=recipe.home)
    return sorted([*there, *recipe.host.sh(text).splitlines()])


def _name(item: dict[str, Any]) -> str:
    return str(item.get("Name") or item.get("Spec", {}).get("Name") or item.get("Names"))


def folder_of(recipe: LabRecipe, volume: str) -> str:
    """Return where a volume's data lie."""
    return recipe.host.sh(f"docker volume inspect -f '{{{{.Mountpoint}}}}' {volume}")


def digest_of(recipe: LabRecipe, volume: str) -> str:
    """Return the digest of a volume's data."""
    return recipe.host.sh(_TAR.format(folder=folder_of(recipe, volume)))


def photograph(recipe: LabRecipe) -> str:
    """Return name, type, mode, owner, time, size and content of every file of the canonical's volume."""
    return recipe.host.sh(_PHOTOGRAPH.format(folder=folder_of(recipe, recipe.volume)))


@attrs.frozen
class KnownGood:
    """A seeded canonical, as it must be after every test.

    Attributes:
        recipe: the recipe.
        first_run: the quick run that found no canonical and fell back to the cold lane.
        record: canonical.json.
        photograph: what is in the volume.
        census: all that the host has of the recipe.
        marker: the text of the marker file.
    """

    recipe: LabRecipe
    first_run: Done
    record: dict[str, Any]
    photograph: str
    census: list[str]
    marker: str

    def assert_kept(self) -> None:
        """Check that the canonical is idle at known-good, its data are untouched, and nothing else is there."""
        recipe = self.recipe
        record = recipe.record()
        assert (record["status"], record["version"], record["run"]) == ("idle", KNOWN_GOOD, "")
        assert (record["commit"], record["snapshot"]) == (self.record["commit"], self.record["snapshot"])
        folder = folder_of(recipe, recipe.volume)
        assert recipe.host.sh(f"cat {folder}/{MARKER}") == self.marker
        assert photograph(recipe) == self.photograph
        for volume in recipe.manifest()["volumes"].values():
            digest = digest_of(recipe, volume["volume"])
            assert digest == volume["digest"], f"{volume['volume']} is not what the manifest says"
        assert census(recipe) == self.census
        assert recipe.host.sh(f"flock -n {recipe.home}/lock echo free") == "free"
