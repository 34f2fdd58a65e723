"""The connection dies, the host falls silent or restarts: the run goes on, or says why not and writes no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.crash import cut, holding, until
from tests.support.recipe import KNOWN_GOOD, OLDER, LabRecipe

if TYPE_CHECKING:
    from tests.support.running import Done, Running
    from tests.support.truth import KnownGood

BACK = "the SSH connection was lost; it is back, and so is the lock"
CUT_WHEN = {
    "health": "waiting  ",
    "updating": "upgrading ",
    "undeploying": "running the custom tests ",
    "putting-back": "undeploying ",
}


def start(recipe: LabRecipe, *, ref: str = OLDER, env: dict[str, str] | None = None) -> Running:
    """Start a quick run."""
    return recipe.start("play", "quick", "--recipe", recipe.name, "--ref", ref, env=env)


def assert_passed(done: Done) -> None:
    """Check that a run passed and says that its connection was lost on the way."""
    assert done.code == 0, done.all
    assert BACK in done.out, done.all
    assert f"known-good UNCHANGED ({KNOWN_GOOD})" in done.summary


@pytest.mark.parametrize(
    ("moment", "fork"),
    [
        ("health", "auto"),
        ("updating", "off"),
        *((m, f) for m in ("undeploying", "putting-back") for f in ("auto", "off")),
    ],
)
def test_run_outlives_its_connection(kept: KnownGood, moment: str, fork: str) -> None:
    """A run whose SSH session is killed at this moment connects again, says so and passes."""
    run = start(kept.recipe, env={"CCCI_FORK": fork})
    run.wait_for(CUT_WHEN[moment], 120)
    cut(kept.recipe)
    assert_passed(run.finish())


def test_tests_outlive_the_connection(kept: KnownGood) -> None:
    """A connection that dies while tests run is no fault of the recipe: the run passes, and its lock is held again."""
    with holding(kept.recipe) as hold:
        hold.close()
        run = start(kept.recipe)
        hold.wait(run)
        cut(kept.recipe)
        run.wait_for(BACK, 30)
        second = start(kept.recipe).finish()
        hold.open()
        assert second.code == 4, second.all
        assert "is locked by run" in second.all
        assert_passed(run.finish())


def test_run_that_was_taken_over_writes_no_more(kept: KnownGood) -> None:
    """A run whose app another one took over while it was cut off ends as fenced and touches nothing of the other's."""
    recipe = kept.recipe
    with holding(recipe) as hold:
        hold.close()
        run = start(recipe, env={"CCCI_FORK": "off"})
        hold.wait(run)
        take = "until flock -n lock sh -c 'printf other >owner'; do sleep 0.005; done"
        recipe.host.ssh(
            f"cat >{recipe.home}/take; cd {recipe.home}; setsid sh take >/dev/null 2>&1 & true", take.encode()
        )
        cut(recipe)
        until(lambda: recipe.host.sh(f"cat {recipe.home}/owner") == "other", "the other run")
        recipe.host.sh(f"rm {recipe.home}/take")
        hold.open()
        done = run.finish()
    assert done.code == 3, done.all
    assert f"took {recipe.domain} over" in done.summary, done.all
    assert "known-good UNCHANGED" not in done.summary
    record = recipe.record()
    assert record["status"] == "dirty", record
    assert recipe.host.sh(f"docker service ls -q -f name={recipe.stack}_app"), "the fenced run took the app down"
    after = start(recipe).finish()
    assert after.code == 0, after.all
    assert f"run {record['run']} " in after.summary
    assert "was interrupted" in after.summary
