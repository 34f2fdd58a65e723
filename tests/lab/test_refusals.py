"""Requests that are wrong, and hosts that are: one clear message, the right exit code, nothing changed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from ccci.lab.keys import write_ssh_pair
from tests.support.truth import census

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.recipe import LabRecipe
    from tests.support.running import Done

QUICK = ("play", "quick", "--recipe")
HOSTILE = """
services:
  app:
    image: nginx:1.26.3
    privileged: true
    volumes: ["/:/host", "/var/run/docker.sock:/s", "theirs:/theirs"]
    deploy: {labels: ["traefik.http.routers.${STACK_NAME}.rule=PathPrefix(`/`)"]}
configs: {shadow: {file: ../../../../etc/shadow}}
volumes: {theirs: {external: true, name: traefik_ci_lab_test_data}}
"""
REFUSED = ("app.privileged", "mounts '/'", "Docker socket", "traefik_ci_lab_test_data", "PathPrefix", "etc/shadow")


def assert_refused(done: Done, *words: str, code: int = 2) -> None:
    """Check a refusal: exit code, the first line's words, and that it is short."""
    assert done.code == code, done.all
    text = done.out + "\n" + done.stderr
    [line] = [line for line in text.splitlines() if line.startswith("ccci: ")]
    for word in words:
        assert word in text, text
    assert len(line) < 400
    assert not done.result or done.result["exit_code"] == code


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-such-recipe", "is not enrolled"),
        ("../x", "cannot be used"),
        ("-x", "cannot be used"),
        ("a b", "cannot be used"),
        ("$(id)", "cannot be used"),
        ("", "which recipe"),
    ],
)
def test_recipe_names(recipe: LabRecipe, name: str, words: str) -> None:
    """A recipe that is unknown, or no name at all, is refused by its name before anything is touched."""
    before = census(recipe)
    done = recipe.ccci("play", "quick", f"--recipe={name}")
    assert_refused(done, words, name)
    assert census(recipe) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ref", "no-such-branch"], "has no ref 'no-such-branch'"),
        (["--ref", "0" * 40], "has no ref"),
        (["--ref=--upload-pack=id"], "cannot be used"),
        (["--ref", "$(id)"], "has no ref"),
        (["--stages", "install,bakcup"], "unknown stage 'bakcup'"),
    ],
)
@pytest.mark.parametrize("playbook", ["quick", "cold"])
def test_refs_and_stages(recipe: LabRecipe, playbook: str, arguments: list[str], words: str) -> None:
    """A ref that does not exist or looks like an option, and an unknown stage, are refused; nothing is deployed."""
    recipe.host.sh(f"test -e {recipe.clone} || git clone -q /srv/git/{recipe.name}.git {recipe.clone}")
    before = census(recipe)
    assert_refused(recipe.ccci("play", playbook, "--recipe", recipe.name, *arguments), words)
    assert census(recipe) == before


def test_unknown_playbook_and_lane(recipe: LabRecipe) -> None:
    """An unknown playbook is refused with the list of those there are, an unknown MODE with the two lanes."""
    assert_refused(recipe.ccci("play", "qiuck", "--recipe", recipe.name), "no playbook 'qiuck'", "quick")
    done = recipe.ccci("run", env={"MODE": "warm", "RECIPE": recipe.name})
    assert_refused(done, "MODE='warm' is no lane", "cold or quick")
    assert_refused(recipe.ccci("run"), "RECIPE is not set")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[health]\npth = '/'\ntimeout = 'long'\n", ("health.pth is unknown", "health.timeout must be")),
        ("[health\n", ("recipe_meta.toml",)),
        ("stages = []\n", ("stages must be",)),
    ],
)
def test_broken_enrolment(recipe: LabRecipe, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    """A broken recipe_meta.toml is refused, all its faults at once, before there is a connection."""
    folder = tmp_path / "recipes" / recipe.name
    folder.mkdir(parents=True)
    (folder / "recipe_meta.toml").write_text(text)
    done = recipe.ccci(*QUICK, recipe.name, env={"CCCI_RECIPES": str(folder.parent)})
    assert_refused(done, *words)


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("compose.yml", "services: [}\n", ("compose.yml",)),
        ("compose.yml", "services:\n  app: &a\n    <<: *a\n", ("compose.yml",)),
        (".env.sample", "COMPOSE_FILE=missing.yml\n", ("missing.yml",)),
        ("abra.sh", "export PATH=/tmp\n", ("PATH",)),
        ("compose.yml", HOSTILE, REFUSED),
    ],
    ids=["not-yaml", "recursive", "missing-file", "reserved-variable", "hostile"],
)
@pytest.mark.parametrize("playbook", ["quick", "cold"])
def test_broken_recipe(recipe: LabRecipe, playbook: str, path: str, text: str, words: tuple[str, ...]) -> None:
    """A head whose files cannot be read or ask too much is refused, with all faults; nothing is deployed or left."""
    recipe.host.sh(f"test -e {recipe.clone} || git clone -q /srv/git/{recipe.name}.git {recipe.clone}")
    commit = recipe.stage(lambda tree: tree.update({path: text}))
    before = census(recipe)
    assert_refused(recipe.ccci("play", playbook, "--recipe", recipe.name, "--ref", commit), *words)
    assert census(recipe) == before


def _settings(recipe: LabRecipe, tmp_path: Path, **changes: object) -> dict[str, str]:
    table = {**recipe.host.settings, **changes}
    lines = [f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in table.items()]
    file = tmp_path / "ccci.toml"
    file.write_text("[hosts.other]\n" + "\n".join(lines) + "\n")
    return {"CCCI_SETTINGS": str(file), "CCCI_HOST": "other", "CCCI_CONNECT_TIMEOUT": "3"}


def test_unreachable_host(recipe: LabRecipe, tmp_path: Path) -> None:
    """A host that does not answer is exit code 3, with the ssh command to try."""
    with socket.socket() as sock:  # bound and not listening: nobody else can have the port meanwhile
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        done = recipe.ccci(*QUICK, recipe.name, env=_settings(recipe, tmp_path, port=port))
    assert_refused(done, f"host other (127.0.0.1:{port}) cannot be reached", f"try: ssh -p {port} -i ", code=3)


def test_changed_host_key(recipe: LabRecipe, tmp_path: Path) -> None:
    """A host whose key is not the known one is exit code 3, and the message says just that."""
    write_ssh_pair(tmp_path / "other", "another key")
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    port = recipe.host.settings["port"]
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    done = recipe.ccci(*QUICK, recipe.name, env=_settings(recipe, tmp_path, known_hosts=str(known)))
    assert_refused(done, "the SSH key of other", "is not the one that is known", str(known), code=3)


def test_unknown_host(recipe: LabRecipe) -> None:
    """A host that no settings know is refused, with those that they know."""
    assert_refused(recipe.ccci(*QUICK, recipe.name, "--host", "nowhere"), "'nowhere'", recipe.host.name)
