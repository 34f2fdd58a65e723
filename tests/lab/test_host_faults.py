"""The host falls silent, dies and comes back: on a lab of these tests' own, since it would harm all others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.lab.test_connection import CUT_WHEN, start
from tests.support import heads
from tests.support.crash import bring_up, engine, kill_hard, mostly_chaos, until
from tests.support.host import LabHost
from tests.support.recipe import OLDER, LabRecipe
from tests.support.seeding import seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.truth import KnownGood

KEEPALIVE, DEAD_AFTER = 1.0, 4.0  # seconds, of the runs whose host falls silent
GRACE = 6.0  # seconds for the rest of such a run's end


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


@pytest.mark.parametrize("point", mostly_chaos(COLD_POINTS, ["upgrading"]))
def test_killed_cold_run_is_torn_down(own_kept: KnownGood, point: str) -> None:
    """The next run, of whatever lane, tears down what a killed cold run left, and says so."""
    recipe = own_kept.recipe
    run = recipe.start("play", "cold", "--recipe", recipe.name, "--ref", OLDER)
    run.wait_for(COLD_POINTS[point], 120)
    kill_hard(run)
    until(lambda: "is left over from run" in recipe.ccci("status").out, "status to name it", 20)
    done = start(recipe).finish()
    assert done.code == 0, done.all
    assert "was left over and is torn down" in done.summary, done.all
