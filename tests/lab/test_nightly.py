"""Nights: two hosts share them, what is red is said, what is missing is noticed; and the host's disk is kept in order.

Two labs of these tests' own. The tests follow each other: the first night seeds what those after it stand on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import heads
from tests.support.crash import engine, kill_hard, until
from tests.support.host import LabHost
from tests.support.night import ALERTS, NIGHTS, Pair, alerts, make_pair, nights, rows
from tests.support.truth import census, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BAD = "1.14.0+1.26.3"
QUICK = {"CCCI_DEAD_AFTER": "2", "CCCI_KEEPALIVE": "1"}  # a holder that is gone counts as dead after four seconds


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, lab: LabHost) -> Iterator[Pair]:
    """The two labs."""
    folder = tmp_path_factory.mktemp("n")
    left, right = (LabHost(f"{side}-{lab.name}", lab.home, folder) for side in ("n", "o"))
    yield make_pair(left, right)
    for host in (left, right):
        host.close()


@pytest.fixture
def kept(pair: Pair) -> Iterator[Pair]:
    """The pair; afterwards nothing of a night is under way, and known-good is what the snapshots say."""
    for host in (pair.left, pair.right):
        alerts(host)
    yield pair
    for recipe in (pair.good, pair.other):
        assert recipe.record()["status"] == "idle"
        for volume in recipe.manifest()["volumes"].values():
            assert digest_of(recipe, volume["volume"]) == volume["digest"]
        assert recipe.host.sh(f"flock -n {NIGHTS}/lock echo free") == "free"
        assert recipe.host.sh("docker volume ls -q | grep -c ccci- || true") == "0"
        assert recipe.host.sh("ls /var/lib/ci-warm/cold /var/lib/ci-warm/scratch | grep -c html || true") == "0"


def test_two_hosts_share_a_night(kept: Pair) -> None:
    """Each host tests its own recipes, both at once; a red one stops no other; a second night is refused."""
    pair = kept
    commit = pair.bad.stage(heads.crash_loop)
    with pair.bad.released(commit, BAD):
        first = pair.start("play", "nightly")
        first.wait_for("begins")
        until(lambda: pair.left.sh(f"cat {NIGHTS}/holder 2>/dev/null || true"), "the night to begin", 60)
        second = pair.ccci("play", "nightly", host=pair.left)
        assert (second.code, "is locked by run" in second.all) == (4, True), second.all
        done = first.finish(400)
    assert (done.code, done.result["verdict"]) == (1, "failed"), done.all
    night = pair.night_of(done)
    left, right = pair.left.name, pair.right.name
    assert rows(night) == {
        ("cold", pair.good.name): (left, "passed"),
        ("cold", pair.bad.name): (left, "failed"),
        ("drill", pair.good.name): (left, "passed"),
        ("cold", pair.other.name): (right, "passed"),
        ("drill", pair.other.name): (right, "passed"),
    }
    red = next(row for row in night["rows"] if row["verdict"] == "failed")
    assert (red["version"], "service app" in red["reason"]) == (BAD, True)
    assert "1 of 5 are red" in done.summary
    assert (alerts(pair.left), alerts(pair.right)) == ([(pair.bad.name, "night-red")], [])
    [mine], [theirs] = nights(pair.left), nights(pair.right)
    assert max(mine["started"], theirs["started"]) < min(mine["finished"], theirs["finished"]), "side by side"
    result = pair.left.sh(f"cat /var/lib/ci-warm/runs/{red['run_id']}/result.json | jq -r .disk.before")
    assert int(result) > 0

    again = pair.ccci("play", "nightly", host=pair.left)
    assert again.code == 0, again.all
    assert rows(pair.night_of(again)) == {
        ("cold", pair.good.name): (left, "skipped"),
        ("cold", pair.bad.name): (left, "passed"),
        ("drill", pair.good.name): (left, "passed"),
        ("drill", pair.bad.name): (left, "passed"),
    }


def test_a_host_that_is_down_keeps_its_recipes(kept: Pair) -> None:
    """With one host down its recipes are reported as not tested and an alert says so; the other's share is done."""
    pair, container = kept, f"ccci-lab-{kept.right.name}"
    engine(pair.right.home, pair.right.name, "pause", container)
    try:
        done = pair.ccci("play", "nightly", env={"CCCI_CONNECT_TIMEOUT": "3"})
    finally:
        engine(pair.right.home, pair.right.name, "unpause", container)
    assert done.code == 3, done.all
    night = rows(pair.night_of(done))
    assert night["cold", pair.other.name] == (pair.right.name, "errored")
    assert night["drill", pair.good.name] == (pair.left.name, "passed")
    assert alerts(pair.left) == [(f"host-{pair.right.name}", "host-down")]
    assert f"host {pair.right.name}" in done.out
    assert "cannot be reached" in done.out


def test_a_snapshot_that_cannot_be_restored_is_red(kept: Pair) -> None:
    """The drill finds an archive that is damaged, and touches neither it nor the volume that it is of."""
    pair = kept
    archive = f"{pair.good.home}/snapshot/content.tar.zst"
    pair.left.sh(f"cp -p {archive} /root/kept.zst && truncate -s -20 {archive}")
    try:
        done = pair.ccci("play", "nightly", host=pair.left)
    finally:
        pair.left.sh(f"mv /root/kept.zst {archive}")
    assert done.code == 3, done.all
    found = rows(pair.night_of(done))
    assert found["drill", pair.good.name] == (pair.left.name, "errored")
    assert found["drill", pair.bad.name] == (pair.left.name, "passed")
    assert alerts(pair.left) == [(pair.good.name, "night-red")]


def test_a_night_that_died_or_never_came_is_noticed(kept: Pair) -> None:
    """The next timer finds a night that was killed and one that is overdue, and says each once."""
    pair = kept
    run = pair.start("play", "nightly", "--all", host=pair.right)
    run.wait_for("cold", 120)
    kill_hard(run)
    after = {**QUICK, "CCCI_NIGHT_MAX_AGE": "0.001"}

    def noticed() -> bool:
        assert pair.ccci("play", "relay_alerts", env=after, host=pair.right).code == 0
        return "night-died" in pair.right.sh(f"ls {ALERTS}")

    until(noticed, "the dead night to be noticed", 60)
    assert pair.ccci("play", "recover", env=after, host=pair.right).code == 0
    assert sorted(alerts(pair.right)) == [("host", "night-died"), ("host", "night-missed")]


def test_too_little_disk_starts_no_run(kept: Pair) -> None:
    """Below the floor a run ends with exit code 3 before it changes anything; the alert is raised once."""
    pair = kept
    before = census(pair.other)
    for _ in range(2):
        words = ("play", "cold", "--recipe", pair.other.name)
        done = pair.ccci(*words, env={"CCCI_DISK_FLOOR": "900000"}, host=pair.right)
        assert (done.code, "no run starts" in done.all) == (3, True), done.all
    assert alerts(pair.right) == [("host", "disk-low")]
    assert census(pair.other) == before


def test_prune_removes_what_nobody_needs_and_nothing_else(kept: Pair) -> None:
    """What goes is said beforehand with its size, and only that goes: nothing of a recipe with an enrolment."""
    pair, old = kept, "20200101t000000-0a1b2c"
    folder = pair.bad.enrolments / pair.bad.name
    folder.rename(folder.parent.parent / "unenrolled")
    first = pair.ccci("play", "prune", host=pair.left)
    assert (first.code, pair.bad.record()["status"]) == (0, "idle"), "its grace has begun"
    for text in (
        "tar -c -f - -T /dev/null | docker import - stray:1",
        f"mkdir -p /var/lib/ci-warm/runs/{old} /var/lib/ci-warm/scratch/{old}/{pair.good.name}",
        f"head -c 70000 /dev/zero >/var/lib/ci-warm/runs/{old}/log",
        f"docker volume create ccci-{old}-content",
    ):
        pair.left.sh(text)
    good, images = census(pair.good), sorted(pair.left.sh("docker images -q nginx").split())
    env = {"CCCI_PRUNE_GRACE": "0"}
    plan = pair.ccci("play", "prune", "--dry-run", env=env, host=pair.left)
    wanted = {"image stray:1", f"run {old}", f"scratch {old}", f"volume ccci-{old}-content"}
    listed = {line.partition("would go: ")[2].partition(" (")[0] for line in plan.summary.splitlines()} - {""}
    assert (plan.code, listed) == (0, wanted | {f"canonical {pair.bad.name}"}), plan.all
    assert pair.left.sh(f"docker volume ls -q -f name=ccci-{old}") == f"ccci-{old}-content", "nothing went"
    done = pair.ccci("play", "prune", env=env, host=pair.left)
    assert done.code == 0, done.all
    assert pair.left.sh(f"docker images -q stray; ls /var/lib/ci-warm/runs | grep {old} || true") == ""
    assert sorted(pair.left.sh("docker images -q nginx").split()) == images
    assert not [line for line in census(pair.bad) if line.startswith(("volumes", "warm", "env"))]
    assert census(pair.good) == good
    nothing = {"CCCI_RECIPES": str(folder.parent.parent / "none")}
    assert pair.ccci("play", "prune", env=nothing, host=pair.left).code == 2
