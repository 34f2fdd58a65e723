"""Enrolment of recipes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccci.errors import RecipeMetaError, UsageError
from ccci.model.enrolment import enrolled, find_recipe, hooks_in, swept
from ccci.model.recipe import STAGES, Health, RecipeMeta, load_meta

if TYPE_CHECKING:
    from pathlib import Path

FULL = """
recipe = "gitea"
enrolled = false
stages = ["custom", "install"]
deps = ["keycloak"]
service = "web"
health = {path = "/api/healthz?x=1", status = [200, 302], timeout = 300, settle = 2.5}
[env]
GITEA_NAME = "x"
"""


def enrol(root: Path, name: str, text: str = "") -> Path:
    """Write the settings of a recipe."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "recipe_meta.toml").write_text(text, "utf-8")
    return folder


def test_empty_file_takes_defaults(tmp_path: Path) -> None:
    """To enrol a recipe an empty file is enough."""
    assert load_meta(enrol(tmp_path, "gitea")) == RecipeMeta(recipe="gitea")
    assert RecipeMeta(recipe="gitea").stages == STAGES == ("install", "upgrade", "backup", "restore", "custom")


def test_every_key(tmp_path: Path) -> None:
    """Every key reaches its attribute, and stages come in the order in which they run."""
    assert load_meta(enrol(tmp_path, "gitea", FULL)) == RecipeMeta(
        recipe="gitea",
        enrolled=False,
        health=Health("/api/healthz?x=1", (200, 302), 300.0, 2.5),
        stages=("install", "custom"),
        env={"GITEA_NAME": "x"},
        deps=("keycloak",),
        service="web",
    )


@pytest.mark.parametrize(
    "line",
    [
        'recipe = "other"',
        "enrolled = 1",
        'stages = ["restore"]',
        "stages = []",
        'stages = ["custom", "custom"]',
        'env = {"A B" = "x"}',
        "env = {A = 1}",
        'deps = ["../x"]',
        "deps = [1]",
        "deps = [[1]]",
        'service = "-x"',
        "health = 1",
        'health = {path = "x"}',
        'health = {path = "/\\n"}',
        "health = {status = []}",
        "health = {status = [99]}",
        "health = {status = [true]}",
        "health = {timeout = 0}",
        "health = {timeout = nan}",
        "health = {timeout = 3601}",
        "health = {settle = -1}",
        "health = {settle = true}",
        "health = {x = 1}",
        "x = 1",
    ],
)
def test_faults_are_refused(tmp_path: Path, line: str) -> None:
    """Unknown keys, wrong types and numbers out of range are refused, with the file and the key."""
    with pytest.raises(RecipeMetaError) as caught:
        load_meta(enrol(tmp_path, "gitea", line))
    assert "recipe_meta.toml" in caught.value.what
    assert line.split(" ", 1)[0] in caught.value.what


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Who wrote three mistakes reads of all three."""
    text = "enrolled = 3\nx = 1\n[health]\ntimeout = 0\n"
    with pytest.raises(RecipeMetaError) as caught:
        load_meta(enrol(tmp_path, "gitea", text))
    assert [word in caught.value.what for word in ("enrolled", "x is unknown", "health.timeout")] == [True] * 3


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing file, broken TOML and broken UTF-8 are clear errors."""
    (tmp_path / "none").mkdir()
    broken = enrol(tmp_path, "broken", "x = [")
    binary = enrol(tmp_path, "binary")
    (binary / "recipe_meta.toml").write_bytes(b"\xff")
    for folder in (tmp_path / "none", broken, binary):
        with pytest.raises(RecipeMetaError, match=r"recipe_meta\.toml"):
            load_meta(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_only_our_error(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, reading it raises RecipeMetaError or nothing."""
    folder = tmp_path / "gitea"
    folder.mkdir(exist_ok=True)
    (folder / "recipe_meta.toml").write_text(text, "utf-8")
    with contextlib.suppress(RecipeMetaError):
        load_meta(folder)


def test_find_recipe(tmp_path: Path) -> None:
    """A recipe is found with its tests, enrolled in sweeps or not."""
    folder = enrol(tmp_path, "gitea", "enrolled = false")
    (folder / "tests").mkdir()
    enrol(tmp_path, "n8n")
    assert enrolled(tmp_path) == ("n8n",)
    assert find_recipe("gitea", tmp_path).tests == folder / "tests"
    assert find_recipe("n8n", tmp_path).tests is None


def test_unknown_recipe(tmp_path: Path) -> None:
    """An unknown recipe is refused with the known ones and the way to enrol it, and a path is none."""
    enrol(tmp_path, "n8n")
    with pytest.raises(UsageError, match="known: n8n") as caught:
        find_recipe("gitea", tmp_path)
    assert "recipe_meta.toml" in (caught.value.hint or "")
    with pytest.raises(UsageError):
        find_recipe("../n8n", tmp_path / "x")
    with pytest.raises(UsageError, match="known: none"):
        find_recipe("gitea", tmp_path / "missing")


def test_sweep_does_not_pass_over_a_broken_recipe(tmp_path: Path) -> None:
    """A recipe whose settings cannot be read stops a sweep instead of being left out."""
    enrol(tmp_path, "n8n", "x = 1")
    with pytest.raises(RecipeMetaError):
        enrolled(tmp_path)


HOOKS = {
    "def pre_backup(app): pass\ndef helper(): pass\ndef pre_upgrade(): pass\n": ("upgrade", "backup"),
    "": (),
    "import nothing_that_exists\n": (),
}


@pytest.mark.parametrize("text", HOOKS)
def test_hooks_are_found_without_running_them(tmp_path: Path, text: str) -> None:
    """The hooks of a recipe are read from the text of hooks.py; a recipe without that file has none."""
    path = tmp_path / "hooks.py"
    assert hooks_in(path) == ()
    path.write_text(text)
    assert hooks_in(path) == HOOKS[text]


@pytest.mark.parametrize(
    ("text", "says"), [("def pre_restart(): pass\n", "pre_restart is a hook of no stage"), ("def (", "invalid syntax")]
)
def test_a_hook_of_no_stage_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A hook that would never run is a mistake, and so is a file that is no Python."""
    path = tmp_path / "hooks.py"
    path.write_text(text)
    with pytest.raises(RecipeMetaError, match=says):
        hooks_in(path)


def test_a_night_has_a_row_for_a_broken_recipe(tmp_path: Path) -> None:
    """A night goes on with the others: one whose settings are wrong is among its recipes, and its own run is red."""
    enrol(tmp_path, "gitea", "enrolled = 3")
    enrol(tmp_path, "n8n")
    enrol(tmp_path, "wiki", "enrolled = false")
    assert swept(tmp_path) == ("gitea", "n8n")
