"""Cold runs that die while they replace known-good: it is the old one or the new one, whole, at every instant."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.crash import frozen_when, kill_hard, mostly_chaos
from tests.support.recipe import KNOWN_GOOD, OLDER, LabRecipe
from tests.support.truth import digest_of

if TYPE_CHECKING:
    from tests.support.host import LabHost
    from tests.support.recipe import Tree

# Said by the run, or seen in the canonical's folder on the host (with the released version for {0}). What is seen
# for a moment only is seen in what comes after it, too, since a busy host may look too late.
SWAPPED = "grep -qsF '{0}' snapshot/manifest.json"
SAID = {"brought-up": "bringing canonical ", "gated": "waiting until warm-", "undeployed": "undeploying warm-"}
SEEN = {
    "announced": "[ -e journal.json ]",
    "archived": f"[ -s snapshot.new/content.tar.zst ] || {SWAPPED}",
    "described": f"[ -e snapshot.new/manifest.json ] || {SWAPPED}",
    "swapped": SWAPPED,
    "recorded": "grep -qsF '{0}' canonical.json",
    "proven": "grep -qsF '{0}' canonical.json && [ ! -e proven.new ]",
    "put-away": "grep -qsF '{0}' canonical.json && [ ! -e proven.new ] && [ ! -e snapshot.ccci-old ]",
    "typed": "grep -qsF '{0}' /root/.abra/servers/default/warm-{1}.*.env",
}
FROM_THE_RECORD_ON = ("recorded", "proven", "put-away", "typed")
POINTS = [*SAID, *SEEN]


def enrolled(lab: LabHost) -> LabRecipe:
    """Return a new recipe whose cold runs are short: they install, and promote."""
    recipe = LabRecipe(lab, f"z{uuid.uuid4().hex[:3]}")
    recipe.enrol()
    meta = recipe.enrolments / recipe.name / "recipe_meta.toml"
    lines = [line for line in meta.read_text("utf-8").splitlines() if not line.startswith("stages = ")]
    meta.write_text("\n".join(['stages = ["install"]', *lines, ""]), "utf-8")
    return recipe


@pytest.fixture(scope="module")
def moving(lab: LabHost) -> LabRecipe:
    """A recipe with known-good, which the tests move."""
    recipe = enrolled(lab)
    cold(recipe)
    assert recipe.record()["version"] == KNOWN_GOOD
    return recipe


def cold(recipe: LabRecipe) -> str:
    """Run the cold lane to its green end and return its summary."""
    done = recipe.ccci("play", "cold", "--recipe", recipe.name)
    assert done.code == 0, done.all
    return done.summary


def kill_at(recipe: LabRecipe, point: str, version: str) -> None:
    """Kill a cold run at a point of its promotion."""
    words = ("play", "cold", "--recipe", recipe.name)
    if point in SAID:
        run = recipe.start(*words)
        run.wait_for(SAID[point], 120)
        kill_hard(run)
        return
    with frozen_when(recipe, SEEN[point].format(version, recipe.name)) as wait:
        run = recipe.start(*words)
        wait()
        kill_hard(run)


def assert_whole(recipe: LabRecipe, *versions: str) -> None:
    """Check that known-good is one of these versions, that all parts say so, and that the data are its."""
    verified = recipe.ccci("canonical", "verify", recipe.name)
    assert verified.code == 0, verified.all
    record, manifest = recipe.record(), recipe.manifest()
    assert record["status"] == "idle"
    assert record["version"] in versions
    for part in (record, manifest):
        commit = recipe.host.sh(f"git -C /srv/git/{recipe.name}.git rev-parse '{record['version']}^{{commit}}'")
        assert (part["version"], part["commit"]) == (record["version"], commit)
    for volume in manifest["volumes"].values():
        assert digest_of(recipe, volume["volume"]) == volume["digest"]
    left = recipe.host.sh(f"ls {recipe.home} | grep -E 'snapshot.|journal' || true")
    assert not left, left
    assert type_of(recipe) == f"{recipe.name}:{record['version']}"
    assert_before(recipe)


def type_of(recipe: LabRecipe) -> str:
    """Return what the canonical's env file says that it is."""
    return recipe.host.sh(f"sed -n 's/^TYPE=//p' /root/.abra/servers/default/{recipe.domain}.env")


def assert_before(recipe: LabRecipe) -> None:
    """Check that the known-good before this one is kept, if there was one: archives that give the digests it names."""
    before = recipe.record()["previous"]
    if before is None:
        return
    manifest = json.loads(recipe.host.sh(f"cat {recipe.home}/previous/manifest.json"))
    assert (manifest["version"], manifest["commit"]) == (before["version"], before["commit"])
    for key, volume in manifest["volumes"].items():
        text = f"zstd -qdc {recipe.home}/previous/{key}.tar.zst | sha256sum | cut -c1-64"
        assert recipe.host.sh(text) == volume["digest"]


def assert_usable(recipe: LabRecipe) -> None:
    """Check that a quick run against known-good is green."""
    done = recipe.quick(OLDER)
    assert done.code == 0, done.all


def release(recipe: LabRecipe, number: int) -> str:
    """Release a new version at the recipe's origin and return it."""
    version = f"1.{number}.0+1.26.3"

    def edit(tree: Tree) -> None:
        tree["compose.yml"] = tree["compose.yml"].replace(KNOWN_GOOD, version)

    commit = recipe.stage(edit)
    name = "-c user.name=lab -c user.email=lab@lab.test"
    recipe.host.sh(f"git -C /srv/git/{recipe.name}.git {name} tag -a -m released '{version}' {commit}")
    return version


@pytest.mark.parametrize("point", mostly_chaos(POINTS, ["swapped", "proven"]))
def test_killed_promotion(moving: LabRecipe, point: str) -> None:
    """A run killed at this point of a promotion leaves old or new known-good whole, and the next one ends the job."""
    old = moving.record()["version"]
    new = release(moving, 20 + POINTS.index(point))
    kill_at(moving, point, new)
    assert_whole(moving, *([new] if point in FROM_THE_RECORD_ON else [old, new]))
    assert_usable(moving)
    summary = cold(moving)
    assert f"known-good is now {new}" in summary or f"known-good UNCHANGED ({new})" in summary, summary
    assert_whole(moving, new)
    assert moving.record()["previous"]["version"] == old


@pytest.mark.parametrize("point", mostly_chaos(["brought-up", "described", "swapped", "recorded"], ["swapped"]))
def test_killed_seed(lab: LabHost, point: str) -> None:
    """A run killed at this point of the first promotion leaves no known-good or all of it; the next one seeds it."""
    recipe = enrolled(lab)
    kill_at(recipe, point, KNOWN_GOOD)
    if point == "recorded":
        assert_whole(recipe, KNOWN_GOOD)
    summary = cold(recipe)
    assert "was interrupted" in summary or "died before" in summary or point == "recorded", summary
    assert_whole(recipe, KNOWN_GOOD)
    assert_usable(recipe)
