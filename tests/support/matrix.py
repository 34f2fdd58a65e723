"""The crash matrix: every playbook, broken after every step of its own, must end at the invariants."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import attrs
from gevent.pool import Pool
from gevent.queue import Queue

from tests.support import heads
from tests.support.lane import Lane
from tests.support.recipe import ENROLMENT, MARKER, OLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PATIENT = {"CCCI_DEAD_AFTER": "30"}  # where nothing is lost, a slow machine must not look like a lost one
IMPATIENT = {"CCCI_KEEPALIVE": "3", "CCCI_DEAD_AFTER": "6"}  # seconds: who lost the host gives up soon
RECOVER = ("play", "recover")
# A run that is cut off may come back, so others leave its cold app and realm alone for a while: nobody waits here.
LATER = "find /var/lib/ci-warm -name released -exec touch -d '1 hour ago' {} +"


@attrs.frozen
class Case:
    """One row of the matrix.

    Attributes:
        words: the run that is broken.
        start: the disk that it starts from.
        ends: the disks whose truth is right afterwards: known-good moves whole or not at all.
        env: more of its environment.
        then: what puts things right after it.
    """

    words: tuple[str, ...]
    start: str
    ends: tuple[str, ...]
    env: Mapping[str, str] = attrs.field(factory=dict)
    then: tuple[str, ...] = RECOVER

    def with_commit(self, commit: str) -> Case:
        """Return the case with a commit for `{commit}` in its words."""
        return attrs.evolve(self, words=tuple(word.format(commit=commit) for word in self.words))

    @property
    def playbook(self) -> str:
        """The playbook's name."""
        return self.words[1]


@attrs.frozen
class Outcome:
    """One point: after how many steps, and what was wrong afterwards; nothing if all was right."""

    point: int
    wrong: str


class Matrix:
    """Hosts side by side that all have the same remembered disks."""

    def __init__(self, folder: Path, lanes: int) -> None:
        """Prepare one host, and make the others like it."""
        first = Lane(folder / "lane-0")
        self.commit = prepare(first)
        self.lanes = [first, *(Lane(folder / f"lane-{n}", twin=first) for n in range(1, lanes))]
        self._truths: dict[str, str] = {}
        self._free: Any = Queue()
        for lane in self.lanes:
            self._free.put(lane)

    def truth(self, state: str) -> str:
        """Return what holds on a remembered disk."""
        if state not in self._truths:
            lane = self.lanes[0]
            lane.restore(state)
            self._truths[state] = lane.truth()
        return self._truths[state]

    def count(self, case: Case, unit: str = "steps") -> int:
        """Return how many steps, or commands, the run of a case has when nothing breaks it."""
        lane = self.lanes[0]
        lane.restore(case.start)
        done = lane.play(case.words, env={**PATIENT, **case.env}, unit=unit)
        assert done.code == 0, done.out
        return done.count

    def breaks(self, case: Case, kind: str, points: Iterable[int], unit: str = "steps") -> list[Outcome]:
        """Break the run of a case in one way at each of these points, side by side, each from its start."""
        for state in case.ends:
            self.truth(state)
        return list(Pool(len(self.lanes)).imap_unordered(lambda point: self._one(case, kind, point, unit), points))

    def _one(self, case: Case, kind: str, point: int, unit: str) -> Outcome:
        lane: Lane = self._free.get()
        try:
            return Outcome(point, self._broken(lane, case, (kind, point, unit)))
        except AssertionError as error:
            return Outcome(point, str(error))
        finally:
            self._free.put(lane)

    def _broken(self, lane: Lane, case: Case, how: tuple[str, int, str]) -> str:
        kind, point, unit = how
        lane.restore(case.start)
        env = {**(IMPATIENT if kind in ("cut", "host") else PATIENT), **case.env}
        broken = lane.play(case.words, env=env, kind=kind, at=point, unit=unit)
        if not broken.reached:
            return f"it ended with {broken.code} before that point\n{broken.out}"
        lane.host.lab.sh(LATER)
        after = lane.play(case.then, env=PATIENT)
        if after.code != 0:
            return f"{' '.join(case.then)} ended with {after.code}\n{broken.out}\n{after.out}"
        truth = lane.truth()
        if truth in [self.truth(state) for state in case.ends]:
            return ""
        return f"{_difference(self.truth(case.ends[0]), truth)}\n{broken.out}\n{after.out}"

    def close(self) -> None:
        """End all of them."""
        for lane in self.lanes:
            lane.close()


def _difference(want: str, have: str) -> str:
    old, new = want.splitlines(), have.splitlines()
    return "\n".join(
        [
            *(f"missing: {line}" for line in old if line not in new),
            *(f"more: {line}" for line in new if line not in old),
        ]
    )


def prepare(lane: Lane) -> str:
    """Make the disks that cases start from and end at; return the commit of a head that rewrites all data.

    `seeded`: a canonical with data at the older release, no newer one, the proxy at its older release. `released`: the
    same, and the newer release is there. `promoted`: a cold run of that has passed. `interrupted`: a quick run on
    `seeded` has died in its upgrade. `reconciled`: the proxy is at its newer release.
    """
    recipe, host = lane.recipe, lane.host.lab
    lane.host.furnish("custom-html", proxy=0)
    recipe.enrol()
    shutil.copytree(ENROLMENT.parent / "traefik", recipe.enrolments / "traefik")
    meta = recipe.enrolments / recipe.name / "recipe_meta.toml"
    meta.write_text('[health]\npath = "/"\nstatus = [200]\ntimeout = 30\nsettle = 0.0\n', "utf-8")
    origin = f"/srv/git/{recipe.name}.git"
    host.sh(f"cd {origin} && git tag | grep -v -e 1.9 -e 1.10 | xargs git tag -d")
    commit = recipe.stage(heads.spoils_content, base=OLDER)
    green(lane, "play", "cold", "--recipe", recipe.name)
    green(lane, "canonical", "deploy", recipe.name)
    host.ssh(f"cat >$(docker volume inspect -f '{{{{.Mountpoint}}}}' {recipe.volume})/{MARKER}", b"kept\n")
    green(lane, "canonical", "undeploy", recipe.name)
    green(lane, "canonical", "seed", recipe.name, "--yes")
    host.sh("rm -rf /var/lib/ci-warm/runs")
    lane.save("seeded")
    broken = lane.play(("play", "quick", "--recipe", recipe.name, "--ref", commit), env=PATIENT, kind="kill", at=6)
    assert broken.reached, broken.out
    lane.save("interrupted")
    lane.restore("seeded")
    host.sh(f"git -C {origin} fetch -q /srv/git/custom-html.git '+refs/tags/*:refs/tags/*'")
    lane.save("released")
    green(lane, "play", "cold", "--recipe", recipe.name)
    lane.save("promoted")
    lane.restore("seeded")
    green(lane, "play", "reconcile_traefik")
    lane.save("reconciled")
    return commit


def green(lane: Lane, *words: str) -> None:
    """Run ccci to a good end."""
    done = lane.play(words, env=PATIENT)
    assert done.code == 0, done.out
