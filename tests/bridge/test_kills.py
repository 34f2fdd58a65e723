"""The bridge killed with -9 between any two of its steps: every accepted trigger runs exactly once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from tests.support.bridge import Bridge
from tests.support.crash import until
from tests.support.fakeforge import BOT

PROBES = ("GET /api/v1/version", "GET /healthz")


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge that runs."""
    made = Bridge(tmp_path, extra="hourly = 1000")
    made.start()
    yield made
    made.close()


@attrs.define
class Killer:
    """Kills the bridge at the nth request that it makes: before anything is done, or before the answer.

    Attributes:
        bridge: whom to kill.
        phase: `arrived` or `done`.
        at: the number of the request, from 0.
        line: the request at which it was killed, or empty.
    """

    bridge: Bridge
    phase: str
    at: int
    line: str = ""
    count: int = 0

    def __call__(self, phase: str, line: str) -> bool:
        """Be the hook of both servers."""
        if phase != self.phase or line in PROBES or self.line:
            return False
        self.count += 1
        if self.count <= self.at:
            return False
        self.line = line
        self.bridge.kill()
        until(self.bridge.dead, "the end of the bridge", 10)
        return True

    def arm(self) -> None:
        """Become the hook of both servers."""
        self.bridge.forge.server.hook = self.bridge.drone.server.hook = self


def assert_each_once(bridge: Bridge) -> None:
    """Every trigger is done, with one build, one comment, and a verdict that is out."""
    rows = bridge.rows()
    assert {row["state"] for row in rows} == {"done"}
    assert {row["reason"] for row in rows} == {"passed"}
    builds = Counter(build.params["CCCI_TRIGGER"] for build in bridge.drone.builds)
    assert builds == Counter(row["token"] for row in rows)
    own = [comment for comment in bridge.forge.comments.values() if comment.author == BOT]
    assert len(own) == len(rows)
    for row in rows:
        (said,) = [comment for comment in own if row["token"] in comment.body]
        assert said.body.startswith("**ccci: passed**")
    assert bridge.forge.statuses[-1]["state"] == "success"


@pytest.mark.parametrize("phase", ["arrived", "done"])
def test_killed_at_every_request(bridge: Bridge, phase: str) -> None:
    """For each request that a trigger's life makes: killed there, started again, it still runs exactly once."""
    killed: list[str] = []
    for point in range(100):
        killer = Killer(bridge, phase, point)
        killer.arm()
        bridge.comment()
        until(lambda: bridge.dead() or set(bridge.states()) == {"done"}, "a kill or the end", 60)
        if not killer.line:
            break
        killed.append(killer.line)
        bridge.start()
        until(lambda: set(bridge.states()) == {"done"}, "the end of all", 60)
    assert_each_once(bridge)
    kinds = {" ".join(line.replace("/api/v1", "").split("/")[0:1] + line.split("/")[-2:]) for line in killed}
    assert len(killed) >= 10, killed
    assert len(kinds) >= 8, kinds


@pytest.mark.parametrize(
    "what", ["POST /api/v1/repos/coop/custom-html/issues/1/comments", "POST /api/repos/ci/ccci/builds"]
)
def test_killed_again_while_it_looks_for_what_it_made(bridge: Bridge, what: str) -> None:
    """Killed when comment or build is made and not yet known, and twice more while looking for it: exactly once."""
    lookup = (
        "GET /api/v1/repos/coop/custom-html/issues/comments" if "issues" in what else "GET /api/repos/ci/ccci/builds"
    )
    kills = [what, lookup, lookup]

    def hook(phase: str, line: str) -> bool:
        if phase != "done" or not kills or line != kills[0]:
            return False
        kills.pop(0)
        bridge.kill()
        until(bridge.dead, "the end of the bridge", 10)
        return True

    bridge.forge.server.hook = bridge.drone.server.hook = hook
    bridge.comment()
    for left in (2, 1, 0):
        until(lambda: bridge.dead() and len(kills) == left, "a kill", 30)  # noqa: B023  (waited for at once)
        bridge.spawn()
    bridge.wait_for("done", patience=60)
    assert_each_once(bridge)


def test_killed_at_random_under_fire(bridge: Bridge) -> None:
    """Killed at random moments while deliveries come in and are repeated: none lost, none doubled."""
    chance = random.Random(6)  # noqa: S311  (the same every time)
    comments = [bridge.forge.write(1, "anna", "!testme") for _ in range(24)]
    left = [bridge.forge.webhook(comment) for comment in comments]
    for _ in range(6):
        for _ in range(4):
            body = left[0]
            try:
                if bridge.deliver(body).status_code in {200, 202}:
                    left.pop(0)
            except requests.ConnectionError:
                break
        time.sleep(chance.uniform(0, 1.5))
        bridge.kill()
        until(bridge.dead, "the end of the bridge", 10)
        bridge.start()
    for body in left:
        assert bridge.deliver(body).status_code in {200, 202}
    until(lambda: set(bridge.states()) == {"done"}, "the end of all", 90)
    assert len(bridge.rows()) == len(comments)
    assert_each_once(bridge)
