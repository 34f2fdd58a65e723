"""Runs that die or are stopped at any moment: known-good is whole, the next run says so and goes on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.support import heads
from tests.support.crash import Hold, alive, holding, kill_hard, mostly_chaos, until
from tests.support.recipe import KNOWN_GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recipe import LabRecipe
    from tests.support.running import Running
    from tests.support.truth import KnownGood

HELD = "(held in its tests)"  # a moment that no line of output tells
POINTS = {
    "forking": "marking ",
    "deploying": "deploying canonical ",
    "updating": "upgrading ",
    "testing": HELD,
    "undeploying": "running the custom tests ",
    "putting-back": "undeploying ",
    "proving": "removing the run's worktrees ",
}


@pytest.fixture(scope="module")
def hold(recipe: LabRecipe) -> Iterator[Hold]:
    """The way to hold the worker's recipe in its tests."""
    with holding(recipe) as made:
        yield made


@pytest.fixture(scope="module")
def spoiler(seeded: KnownGood) -> str:
    """A head that passes and rewrites all data of its volume."""
    return seeded.recipe.stage(heads.spoils_content)


@attrs.frozen
class Killer:
    """Starts quick runs of a head and lets them live until a point."""

    recipe: LabRecipe
    hold: Hold
    commit: str

    def run_until(self, point: str, fork: str = "auto") -> tuple[Running, list[int]]:
        """Return a run that has come to a point, and the processes of its held tests if that is there."""
        if POINTS.get(point) == HELD:
            self.hold.close()
        words = ("play", "quick", "--recipe", self.recipe.name, "--ref", self.commit)
        run = self.recipe.start(*words, env={"CCCI_FORK": fork})
        if POINTS.get(point) == HELD:
            return run, self.hold.wait(run)
        run.wait_for(POINTS.get(point, point), 120)
        return run, []


@pytest.fixture
def killer(hold: Hold, spoiler: str, seeded: KnownGood) -> Iterator[Killer]:
    """Runs to kill or to stop."""
    yield Killer(seeded.recipe, hold, spoiler)
    hold.open()


def assert_recovers(kept: KnownGood, commit: str) -> None:
    """Check that the next quick run says what it found, goes on and passes."""
    done = kept.recipe.quick(commit)
    assert done.code == 0, done.all
    [said] = [line.text for line in done.lines if line.text.startswith("note") and "was interrupted" in line.text]
    assert "(quick)" in said, said
    assert f"is back at known-good {KNOWN_GOOD}" in said, said
    assert said.removeprefix("note").strip() in done.summary, done.summary


@pytest.mark.parametrize("point", mostly_chaos(POINTS, ["forking", "updating", "undeploying"]))
def test_next_run_recovers_a_killed_one(kept: KnownGood, killer: Killer, point: str) -> None:
    """A quick run killed at this point is named by `status`; the next run recovers it, says so and passes."""
    run, children = killer.run_until(point)
    kill_hard(run)
    assert not any(alive(pid) for pid in children)
    killer.hold.open()
    until(lambda: kept.recipe.host.sh(f"flock -n {kept.recipe.home}/lock echo free || true"), "the lock to be free", 10)
    status = kept.recipe.ccci("status")
    assert status.code == 0, status.all
    [trouble] = [line.text for line in status.lines if line.text.startswith(f"! {kept.recipe.name} ")]
    assert "is dirty and no run holds it" in trouble
    assert f"(run {kept.recipe.record()['run']} died)" in trouble
    assert_recovers(kept, killer.commit)


@pytest.mark.parametrize("fork", mostly_chaos(["auto", "off"], ["auto"]))
def test_killed_at_its_last_write(kept: KnownGood, killer: Killer, fork: str) -> None:
    """A run killed while it marks the canonical idle, done or not: the next run passes and nothing is left."""
    run, _ = killer.run_until("proving that ", fork)
    kill_hard(run)
    done = kept.recipe.quick(killer.commit)
    assert done.code == 0, done.all


@pytest.mark.parametrize(
    "point",
    mostly_chaos(["updating", "testing", "undeploying", "putting-back", "proving"], ["updating", "putting-back"]),
)
def test_unforked_volumes_come_back(kept: KnownGood, killer: Killer, point: str) -> None:
    """A run killed while it works on the canonical's own volumes: the next run restores them from the snapshot."""
    run, _ = killer.run_until(point, fork="off")
    kill_hard(run)
    killer.hold.open()
    assert_recovers(kept, killer.commit)


@pytest.mark.parametrize("fork", mostly_chaos(["auto", "off"], ["off"]))
def test_operators_verbs_recover(kept: KnownGood, killer: Killer, fork: str) -> None:
    """After a kill, `canonical verify` never calls changed data known-good, and the next verb puts all back."""
    run, _ = killer.run_until("updating", fork)
    kill_hard(run)
    first = kept.recipe.ccci("canonical", "verify", kept.recipe.name)
    assert first.code in {0, 2, 3}, first.all
    assert first.code or "was interrupted" in first.all, first.all
    second = kept.recipe.ccci("canonical", "undeploy", kept.recipe.name)
    assert second.code == 0, second.all
    assert "was interrupted" in first.all + second.all
    third = kept.recipe.ccci("canonical", "verify", kept.recipe.name)
    assert third.code == 0, third.all


def test_command_of_a_dead_run_is_waited_for(kept: KnownGood, killer: Killer) -> None:
    """A deploy that a killed run left under way on the host ends before the next run looks at what is there."""
    host, stack = kept.recipe.host, kept.recipe.stack
    catch = (
        f"for i in $(seq 6000); do p=$(pgrep -f '^docker stack deploy .*{stack}' | head -1);"
        ' [ -z "$p" ] || { kill -STOP $p; echo $p; exit; }; sleep 0.005; done; exit 1'
    )
    run, _ = killer.run_until("forking", fork="off")
    pid = host.sh(catch)
    try:
        kill_hard(run)
        second = kept.recipe.start("play", "quick", "--recipe", kept.recipe.name, "--ref", killer.commit)
        second_owns = f"[ $(cat {kept.recipe.home}/owner) != {kept.recipe.record()['run']} ] && echo yes || true"
        until(lambda: host.sh(second_owns) or second.process.poll() is not None, "the second run's lock", 30)
    finally:
        host.sh(f"sleep 1; kill -CONT {pid} || true")
    done = second.finish()
    assert done.code == 0, done.all
    assert "was interrupted" in done.summary


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("point", mostly_chaos(["waiting  ", "testing", "undeploying"], ["waiting  ", "testing"]))
def test_stopped_run_cleans_up(kept: KnownGood, killer: Killer, point: str, name: str) -> None:
    """A run that is asked to stop puts everything back itself, leaves no process, and ends with the signal's code."""
    number = signal.Signals[name]
    run, children = killer.run_until(point)
    processes = [run.process.pid, *children]
    run.process.send_signal(number)
    done = run.finish()
    assert done.code == 128 + number, done.all
    for step in (
        "undeploying ",
        "dropping the run's forks ",
        "removing the run's worktrees ",
        "proving that ",
        "marking ",
    ):
        assert any(line.text.startswith("done") and step in line.text for line in done.lines), (step, done.all)
    assert f"stopped by {name}" in done.summary
    assert done.result["exit_code"] == 128 + number
    assert not [pid for pid in processes if alive(pid)]


def test_stopped_while_it_stops(kept: KnownGood, killer: Killer) -> None:
    """A second SIGINT does not break the clean-up of the first."""
    run, _ = killer.run_until("upgrading ", fork="off")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("STOPPED")
    run.process.send_signal(signal.SIGINT)
    done = run.finish()
    assert done.code == 130, done.all
    assert "already stopping" in done.out


def test_stopped_cold_run_leaves_nothing(kept: KnownGood, hold: Hold) -> None:
    """A cold run that is asked to stop in its tests tears its app down and leaves no process."""
    hold.close()
    run = kept.recipe.start("play", "cold", "--recipe", kept.recipe.name)
    children = hold.wait(run)
    run.process.send_signal(signal.SIGTERM)
    done = run.finish()
    hold.open()
    assert done.code == 143, done.all
    assert not [pid for pid in children if alive(pid)]
