"""The recipes of the lab and the repositories that are made of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from ccci.errors import UsageError
from ccci.lab import building, recipes
from ccci.model.version import Version

if TYPE_CHECKING:
    from pathlib import Path


def git(repository: Path, *args: str) -> str:
    """What a git command says."""
    argv = ["git", "-C", str(repository), *args]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def custom_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the recipe custom-html."""
    return recipes.build(recipes.load("custom-html"), tmp_path_factory.mktemp("git"))


def test_commit_ids_never_change(custom_html: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second build, with other git settings of the user, has the very same commits and tags."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\nname = Other\nemail = other@example.org\n[core]\nautocrlf = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00+00:00")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    again = recipes.build(recipes.load("custom-html"), tmp_path)
    monkeypatch.undo()
    assert git(again, "show-ref") == git(custom_html, "show-ref")


def test_history_holds_the_mistakes_that_ccci_must_see(custom_html: Path) -> None:
    """The order by `sort -V` differs from semver's, one tag is light, and main is ahead of every tag."""
    listed = git(custom_html, "for-each-ref", "--format=%(refname:short) %(objecttype)", "refs/tags")
    kinds = dict(line.split() for line in listed.splitlines())
    assert kinds.pop("1.12.0+1.26.3") == "commit"
    assert set(kinds.values()) == {"tag"}
    by_semver = sorted(kinds, key=Version.parse)
    assert by_semver[-2:] == ["1.11.0-rc.1+1.26.3", "1.11.0+1.26.3"]
    sort = ["sort", "-V"]
    by_sort = subprocess.run(sort, input="\n".join(kinds), capture_output=True, text=True, check=True).stdout
    assert by_sort.split() != by_semver
    assert git(custom_html, "describe", "--tags", "main") != git(custom_html, "describe", "--abbrev=0", "main")


@pytest.mark.parametrize("name", recipes.known())
def test_every_release_says_its_version_and_uses_images_that_the_lab_builds(name: str, tmp_path: Path) -> None:
    """At each released tag the compose file has the tag as its version label and only images of the lab."""
    recipe = recipes.load(name)
    repository = recipes.build(recipe, tmp_path)
    for tag in recipe.releases:
        text = git(repository, "show", f"{tag}:compose.yml")
        app = yaml.safe_load(text)["services"]["app"]
        assert f"coop-cloud.${{STACK_NAME}}.version={tag}" in app["deploy"]["labels"]
        assert app["image"] in recipe.images
        assert "@@" not in text


@pytest.mark.parametrize("name", recipes.known())
def test_every_image_of_a_recipe_has_a_builder(name: str) -> None:
    """The lab can build each image that a recipe asks for."""
    assert [building.spec(image).reference for image in recipes.load(name).images]


def test_release_notes_come_with_their_release(custom_html: Path) -> None:
    """A note is not in the history before the version that it is about."""
    note = "release/1.11.0+1.26.3"
    assert note not in git(custom_html, "ls-tree", "-r", "--name-only", "1.10.0+1.22.1")
    assert note in git(custom_html, "ls-tree", "-r", "--name-only", "1.11.0+1.26.3")


def test_unknown_recipe_is_refused_with_the_known_ones() -> None:
    """A recipe that the lab does not have is a usage error that names those it has."""
    with pytest.raises(UsageError, match="no-such") as caught:
        recipes.load("no-such")
    assert "custom-html" in str(caught.value.hint)
