"""`ccci canonical promote`, `rollback` and `retire`: they move known-good whole, with proof, or leave it alone."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.test_crash_promotion import assert_whole, cold, enrolled, release, type_of
from tests.support.crash import frozen_when, kill_hard, until
from tests.support.recipe import KNOWN_GOOD, MARKER, LabRecipe
from tests.support.truth import census, folder_of, photograph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.host import LabHost
    from tests.support.running import Done


@attrs.frozen
class Moved:
    """A recipe whose known-good an operator has moved by hand, and the data that it had before.

    Attributes:
        recipe: the recipe.
        fresh: all that the host had of it before its first run.
        newer: the release that is known-good now.
        photograph: what was in the volume at the known-good before.
        said: what the promotion printed.
    """

    recipe: LabRecipe
    fresh: list[str]
    newer: str
    photograph: str
    said: str


def verb(recipe: LabRecipe, name: str, *words: str) -> Done:
    """Run a verb of `ccci canonical` without a question."""
    return recipe.ccci("canonical", name, recipe.name, *words, "--yes")


def refused(done: Done, *words: str, code: int = 2) -> None:
    """Check that a verb said no, and why."""
    assert done.code == code, done.all
    for word in words:
        assert word in done.stderr, done.all


@contextmanager
def lock_held(recipe: LabRecipe) -> Iterator[None]:
    """Hold the canonical's lock as a run does."""
    mark = f"/tmp/held-{recipe.tag}"  # noqa: S108  (on the lab's host)
    hold = f"touch {mark}; while [ -e {mark} ]; do sleep 0.05; done"
    recipe.host.sh(f"setsid flock {recipe.home}/lock sh -c '{hold}' >/dev/null 2>&1 </dev/null & true")
    until(lambda: recipe.host.sh(f"ls {mark} 2>/dev/null || true"), "the lock", 30)
    try:
        yield
    finally:
        recipe.host.sh(f"rm -f {mark}")


@pytest.fixture(scope="module")
def moved(lab: LabHost) -> Moved:
    """A recipe that was seeded, given a marker, and promoted by hand to a release that a run with a ref had proven."""
    recipe = enrolled(lab)
    recipe.host.sh(f"git clone -q /srv/git/{recipe.name}.git {recipe.clone}")
    fresh = census(recipe)
    cold(recipe)
    recipe.host.ssh(f"cat >{folder_of(recipe, recipe.volume)}/{MARKER}", f"{uuid.uuid4()}\n".encode())
    assert verb(recipe, "seed").code == 0
    data = photograph(recipe)
    newer = release(recipe, 40)
    refused(verb(recipe, "promote"), f"no result on this host proves {newer}", "play cold")
    done = recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", newer)
    assert done.code == 0, done.all
    with lock_held(recipe):
        run = recipe.start("canonical", "promote", recipe.name, "--yes")
        run.wait_for("is locked by", 60)
    said = run.finish()
    assert said.code == 0, said.all
    assert f"was proven by run {done.result['run_id']}" in said.out
    return Moved(recipe, fresh, newer, data, said.out)


def test_promotion_by_hand(moved: Moved) -> None:
    """A release that a stored green run proves becomes known-good on the canonical's own data, once a run lets it."""
    recipe = moved.recipe
    assert f"known-good is now {moved.newer} (was {KNOWN_GOOD})" in moved.said
    assert_whole(recipe, moved.newer)
    assert recipe.record()["previous"]["version"] == KNOWN_GOOD
    assert MARKER in photograph(recipe)


def test_what_promotion_refuses(moved: Moved) -> None:
    """A commit that no tag has, an older release and the one that it is are refused; known-good does not move."""
    recipe, before = moved.recipe, moved.recipe.record()
    commit = recipe.stage(lambda tree: tree.update({"README.md": "another\n"}))
    refused(verb(recipe, "promote", commit), "no release", "git tag -a")
    refused(verb(recipe, "promote", KNOWN_GOOD), f"{KNOWN_GOOD} is older", "canonical rollback")
    refused(verb(recipe, "promote", moved.newer), "it is this release already")
    assert recipe.record() == before
    assert_whole(recipe, moved.newer)


def test_rollback_and_forth(moved: Moved) -> None:
    """A rollback brings version and data back, to the byte, and another one undoes it; a kill does no harm."""
    recipe = moved.recipe
    after = photograph(recipe)
    with lock_held(recipe):
        refused(verb(recipe, "rollback"), "is locked by", code=4)
    with frozen_when(recipe, "[ -e snapshot.new ]") as wait:
        run = recipe.start("canonical", "rollback", recipe.name, "--yes")
        wait()
        kill_hard(run)
    assert_whole(recipe, moved.newer)
    assert photograph(recipe).splitlines()[-1] == after.splitlines()[-1]
    for version, data in ((KNOWN_GOOD, moved.photograph), (moved.newer, None)):
        done = verb(recipe, "rollback")
        assert done.code == 0, done.all
        assert f"is {version} again" in done.out
        assert_whole(recipe, version)
        assert type_of(recipe) == f"{recipe.name}:{version}"
        if data:
            assert photograph(recipe) == data


def test_rollback_of_data(moved: Moved) -> None:
    """A seed can be taken back, to the byte; a kept snapshot that is damaged is found before known-good moves."""
    recipe, data, before = moved.recipe, photograph(moved.recipe), moved.recipe.record()
    recipe.host.sh(f"echo worse >{folder_of(recipe, recipe.volume)}/{MARKER}")
    assert verb(recipe, "seed").code == 0
    worse = recipe.record()
    archive = f"{recipe.home}/previous/content.tar.zst"
    recipe.host.sh(f"cp {archive} {archive}.whole; echo other | zstd -q -f -o {archive}")
    done = verb(recipe, "rollback")
    recipe.host.sh(f"mv {archive}.whole {archive}")
    assert done.code == 3, done.all
    assert (recipe.record()["snapshot"], recipe.record()["status"]) == (worse["snapshot"], "idle")
    assert_whole(recipe, moved.newer)
    done = verb(recipe, "rollback")
    assert done.code == 0, done.all
    assert recipe.record()["snapshot"] == before["snapshot"]
    assert photograph(recipe) == data
    assert_whole(recipe, moved.newer)


def test_retire(moved: Moved) -> None:
    """A retired canonical is gone to the last trace; a run's is not touched, and a killed retirement is ended later."""
    recipe = moved.recipe
    with lock_held(recipe):
        refused(verb(recipe, "retire"), "is locked by", code=4)
    assert_whole(recipe, moved.newer)
    with frozen_when(recipe, "[ ! -e canonical.json ]") as wait:
        run = recipe.start("canonical", "retire", recipe.name, "--yes")
        wait()
        kill_hard(run)
    refused(recipe.ccci("canonical", "verify", recipe.name), "has no canonical yet")
    assert [line for line in census(recipe) if line not in moved.fresh] == ["warm "]
    refused(verb(recipe, "retire"), "has no canonical here")
    seeded = verb(recipe, "promote", KNOWN_GOOD)
    assert seeded.code == 0, seeded.all
    assert f"known-good is now {KNOWN_GOOD} (seeded)" in seeded.out
    done = verb(recipe, "retire")
    assert done.code == 0, done.all
    assert recipe.volume in done.out
    assert [line for line in census(recipe) if line not in moved.fresh] == ["warm "]
