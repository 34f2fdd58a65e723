"""Backup and restore on the lab: what is saved comes back, and half of it is found out."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support import heads
from tests.support.recipe import LabRecipe

if TYPE_CHECKING:
    from tests.support.host import LabHost
    from tests.support.recipe import Tree
    from tests.support.running import Done

PAGE = f"{heads.CONTENT}/kept.html"
DUMP = f"{heads.CONTENT}/dump.sql"
TRAILER = "-- Dump completed on 2026-01-01"
SAVE = f"{{{{ echo '-- MariaDB dump 10'; cat {PAGE}; echo '{{}}'; }}}} >{DUMP}"
BRING_BACK = f"grep -v ^-- {DUMP} >{PAGE}; rm {DUMP}"
_HOOKS = f'''"""A page before the backup."""


def pre_backup(app, run):
    """Write it."""
    app.write_file("{PAGE}", f"kept of {{run.run_id}}\\n")
'''
_TEST = '''"""The page comes back."""


def test_page_is_back(app, run):
    """What was there before the backup is served after the restore."""
    answer = app.get("/kept.html")
    assert answer.text == f"kept of {run.run_id}\\n", f"/kept.html answers {answer.status_code}"
'''


@pytest.fixture(scope="module")
def saved(lab: LabHost) -> LabRecipe:
    """A recipe whose page is saved by a dump only, with a test that it is back after a restore."""
    made = LabRecipe(lab, f"b{uuid.uuid4().hex[:3]}")
    made.enrol()
    folder = made.enrolments / made.name
    (folder / "recipe_meta.toml").write_text("[health]\ntimeout = 60\n", "utf-8")
    (folder / "tests" / "hooks.py").write_text(_HOOKS, "utf-8")
    (folder / "tests" / "test_restore.py").write_text(_TEST, "utf-8")
    return made


def labelled(before: str, after: str, tree: Tree) -> None:
    """Save a dump of the page, written by one hook and brought back by another."""
    with heads.app(tree) as service:
        service["deploy"]["labels"] += [
            f"backupbot.backup.pre-hook={before}",
            "backupbot.backup.volumes.content.path=dump.sql",
            f"backupbot.backup.post-hook=rm {DUMP}",
            f"backupbot.restore.post-hook={after}",
        ]


def without_labels(tree: Tree) -> None:
    """Take the labels away."""
    with heads.app(tree) as service:
        labels = service["deploy"]["labels"]
        service["deploy"]["labels"] = [label for label in labels if not label.startswith("backupbot.")]


def run(recipe: LabRecipe, commit: str, stages: str) -> Done:
    """Run stages of the cold lane against a commit."""
    return recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", commit, "--stages", stages)


def status(done: Done) -> dict[str, str]:
    """Return how each stage ended."""
    return {stage["name"]: stage["status"] for stage in done.result["stages"]}


def test_what_was_saved_comes_back(saved: LabRecipe) -> None:
    """A page that is in a dump only comes back onto an app that has lost all its data."""
    commit = saved.stage(functools.partial(labelled, SAVE.format(TRAILER), BRING_BACK))
    done = run(saved, commit, "backup,restore")
    assert done.code == 0, done.all
    assert status(done) == {"backup": "pass", "restore": "pass"}
    assert "deploy-count = 2 (expect 2)" in done.summary


def test_half_a_dump_is_no_backup(saved: LabRecipe) -> None:
    """A hook that ends with 0 and leaves half a dump makes the stage backup red, with that as the cause."""
    commit = saved.stage(functools.partial(labelled, SAVE.format("and here it was cut"), BRING_BACK))
    done = run(saved, commit, "backup,restore")
    assert done.code == 1, done.all
    assert status(done) == {"backup": "fail"}
    assert "dump.sql is cut short" in done.result["reason"]


def test_a_restore_that_restores_nothing_is_found_out(saved: LabRecipe) -> None:
    """A restore hook that ends with 0 and does nothing makes the stage restore red, by the recipe's own test."""
    commit = saved.stage(functools.partial(labelled, SAVE.format(TRAILER), "true"))
    done = run(saved, commit, "backup,restore")
    assert done.code == 1, done.all
    assert status(done) == {"backup": "pass", "restore": "fail"}
    assert "test_page_is_back" in done.result["reason"]


def test_without_labels_both_are_skipped(saved: LabRecipe) -> None:
    """A recipe without backupbot labels is green, and says that it was not backed up."""
    done = run(saved, saved.stage(without_labels), "install,backup,restore")
    assert done.code == 0, done.all
    assert status(done) == {"install": "pass", "backup": "skip", "restore": "skip"}
    assert "backup: skip no service of the recipe has the label backupbot.backup=true" in done.summary
