"""The connection dies, the host falls silent or restarts: the run goes on, or says why not and writes no more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import heads
from tests.support.crash import bring_up, cut, engine, holding, kill_hard, mostly_chaos, until
from tests.support.host import LabHost
from tests.support.recipe import KNOWN_GOOD, OLDER, LabRecipe
from tests.support.seeding import seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.running import Done, Running
    from tests.support.truth import KnownGood

BACK = "the SSH connection was lost; it is back, and so is the lock"
KEEPALIVE, DEAD_AFTER = 1.0, 4.0  # seconds, of the runs whose host falls silent
GRACE = 6.0  # seconds for the rest of such a run's end
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


@pytest.fixture(scope="session")
def own_lab(tmp_path_factory: pytest.TempPathFactory, lab: LabHost) -> Iterator[LabHost]:
    """A lab beside that of the session, for what its host must suffer."""
    host = LabHost(f"b-{lab.name}", lab.home, tmp_path_factory.mktemp("b"))
    bring_up(host)
    yield host
    host.close()


@pytest.fixture(scope="session")
def own_seeded(own_lab: LabHost) -> KnownGood:
    """Known-good of a recipe on the lab of these tests' own."""
    recipe = LabRecipe(own_lab, "yown")
    recipe.enrol()
    return seed(recipe)


@pytest.fixture
def own_kept(own_seeded: KnownGood) -> Iterator[KnownGood]:
    """The same, which must be as it was when the test ends."""
    yield own_seeded
    own_seeded.assert_kept()


@pytest.mark.xdist_group("own-lab")
@pytest.mark.parametrize("moment", mostly_chaos(["health", "undeploying"], ["health"]))
def test_silent_host_ends_the_run(own_kept: KnownGood, moment: str) -> None:
    """A host that falls silent ends the run in the time that the settings give it; the next run recovers."""
    recipe = own_kept.recipe
    run = start(recipe, env={"CCCI_KEEPALIVE": f"{KEEPALIVE:g}", "CCCI_DEAD_AFTER": f"{DEAD_AFTER:g}"})
    run.wait_for(CUT_WHEN[moment], 120)
    container = f"ccci-lab-{recipe.host.name}"
    engine(recipe.host.home, recipe.host.name, "pause", container)
    silent = time.monotonic()
    try:
        done = run.finish(60)
        took = time.monotonic() - silent
    finally:
        run.kill()
        engine(recipe.host.home, recipe.host.name, "unpause", container)
    assert done.code == 3, done.all
    assert "does not answer" in done.summary, done.all
    assert took < DEAD_AFTER * 1.5 + GRACE, f"{took:.1f} s\n{done.all}"
    assert_next_run_recovers(recipe)


def assert_next_run_recovers(recipe: LabRecipe) -> None:
    """Check that the next run says that it found an interrupted one, and passes."""
    done = start(recipe).finish()
    assert done.code == 0, done.all
    assert "was interrupted" in done.summary, done.all


@pytest.mark.xdist_group("own-lab")
@pytest.mark.parametrize("fork", mostly_chaos(["auto", "off"], ["auto"]))
def test_host_that_restarts(own_kept: KnownGood, fork: str) -> None:
    """A host that dies in the middle of a run and comes back has its known-good put back by the next run."""
    recipe, host = own_kept.recipe, own_kept.recipe.host
    run = start(recipe, ref=recipe.stage(heads.spoils_content), env={"CCCI_FORK": fork, "CCCI_DEAD_AFTER": "16"})
    run.wait_for("upgrading ", 120)
    engine(host.home, host.name, "kill", f"ccci-lab-{host.name}")
    done = run.finish()
    assert done.code == 3, done.all
    bring_up(host)
    assert_next_run_recovers(recipe)


COLD_POINTS = {"deployed": "deploying ", "upgrading": "upgrading ", "tearing-down": "running the custom tests "}


@pytest.mark.xdist_group("own-lab")
@pytest.mark.parametrize("point", mostly_chaos(COLD_POINTS, ["upgrading"]))
def test_killed_cold_run_is_torn_down(own_kept: KnownGood, point: str) -> None:
    """The next run, of whatever lane, tears down what a killed cold run left, and says so."""
    recipe = own_kept.recipe
    run = recipe.start("play", "cold", "--recipe", recipe.name)
    run.wait_for(COLD_POINTS[point], 120)
    kill_hard(run)
    until(lambda: "is left over from run" in recipe.ccci("status").out, "status to name it", 20)
    done = start(recipe).finish()
    assert done.code == 0, done.all
    assert "was left over and is torn down" in done.summary, done.all
