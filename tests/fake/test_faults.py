"""Faults of a host by wrappers in its PATH, one each: every one ends in a clear error, and then at the invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from tests.support.lane import Lane
from tests.support.matrix import LATER, PATIENT, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

UPGRADE = ("play", "quick", "--recipe", "lane-html", "--ref", "{commit}")
COLD = ("play", "cold", "--recipe", "lane-html")
UNFORKED = {"CCCI_FORK": "off"}


@attrs.frozen
class Lost:
    """A lane with its prepared disks, and the commit of the head that runs test."""

    lane: Lane
    commit: str


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    """A host to break."""
    lane = Lane(tmp_path_factory.mktemp("faults") / "lane")
    yield Lost(lane, prepare(lane))
    lane.close()


@attrs.frozen
class Fault:
    """A fault and what must come of it.

    Attributes:
        words: the run that meets it.
        code: its exit code.
        says: what it must say.
        wraps: the program on the host that is wrapped, and by what; `$REAL` is the program.
        after: a step by a part of its title, and shell text that the host runs after it.
        env: more of the run's environment.
        mend: shell text that takes the fault away again, before the recovery.
        start: the disk it starts from, and that it must end at.
    """

    words: tuple[str, ...]
    code: int
    says: str
    wraps: tuple[str, str] = ("", "")
    after: tuple[str, str] = ("", "")
    env: dict[str, str] = attrs.field(factory=dict)
    mend: str = "true"
    start: str = "seeded"


TRUNCATE = 'case "$*" in *" -o "*) $REAL "$@"; truncate -s -20 "${@: -1}";; *) exec $REAL "$@";; esac'
NOT_UTF8 = '[ "$1 $2" != "stack deploy" ] || { printf "\\377\\376 no\\n" >&2; exit 1; }; exec $REAL "$@"'
IN_USE = '[ "$1 $2" != "volume rm" ] || { echo "volume is in use" >&2; exit 1; }; exec $REAL "$@"'
IN_USE_NOW = 'if [ "$1 $2" = "volume rm" ] && [ $(($(date +%s) % 3)) != 0 ]; then exit 1; fi; exec $REAL "$@"'
HALF_ANSWER = 'case "$*" in */volumes*) echo "{"; exit 0;; *) exec $REAL "$@";; esac'
ARCHIVE, KEPT = "/var/lib/ci-warm/lane-html/snapshot/content.tar.zst", "/var/lib/ci-warm/runs/kept.zst"
FLIP = (
    f"mkdir -p /var/lib/ci-warm/runs; cp -a {ARCHIVE} {KEPT}; "
    f"printf '\\377' | dd of={ARCHIVE} bs=1 seek=40 conv=notrunc status=none"
)
FUTURE = "touch -d '+1 hour' /var/lib/ci-warm/lane-html/proven"
IMAGE = "nginx:1.22.1"
DEPLOYED = "deploying canonical"  # a part of the title of the step after which something happens

FAULTS = {
    "truncated-archive": Fault(COLD, 3, "snapshot_volumes failed", wraps=("zstd", TRUNCATE), start="released"),
    "flipped-byte": Fault(
        UPGRADE, 3, "Data corruption detected", env=UNFORKED, after=(DEPLOYED, FLIP), mend=f"mv {KEPT} {ARCHIVE}"
    ),
    "slow-docker": Fault(UPGRADE, 0, "VERDICT passed", wraps=("docker", 'sleep 0.4; exec $REAL "$@"')),
    "hanging-mount": Fault(UPGRADE, 3, "did not end in its time", wraps=("mount", "exec sleep 600")),
    "output-not-utf8": Fault(UPGRADE, 1, "docker refused the stack", wraps=("docker", NOT_UTF8)),
    "image-vanishes": Fault(
        UPGRADE, 1, "does not exist", after=(DEPLOYED, f"docker image rm {IMAGE}"), mend=f"docker image add {IMAGE}"
    ),
    "volume-in-use-for-a-while": Fault(UPGRADE, 0, "VERDICT passed", wraps=("docker", IN_USE_NOW)),
    "volume-in-use": Fault(UPGRADE, 3, "volume is in use", wraps=("docker", IN_USE)),
    "clock-set-back": Fault(UPGRADE, 0, "VERDICT passed", after=("dropping", FUTURE)),
    "half-an-answer": Fault(UPGRADE, 3, "not in the expected form", wraps=("curl", HALF_ANSWER)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_ends_in_a_clear_error(prepared: Lost, name: str) -> None:
    """The run says what was wrong, without a traceback; after a recovery known-good is whole, and nothing is left."""
    fault, lane = FAULTS[name], prepared.lane
    lane.restore(fault.start)
    before = lane.truth()
    words = [word.format(commit=prepared.commit) for word in fault.words]
    step, text = fault.after
    with lane.host.broken(*fault.wraps) if fault.wraps[0] else lane.host.whole():
        done = lane.play(words, env={**PATIENT, **fault.env}, kind=text, at=step or 0)
    assert done.code == fault.code, done.out
    assert fault.says in done.out, done.out
    assert "Traceback" not in done.out, done.out
    assert "a fault in ccci itself" not in done.out, done.out
    lane.host.lab.sh(f"{fault.mend}; {LATER}")
    after = lane.play(("play", "recover"), env=PATIENT)
    assert after.code == 0, after.out
    assert lane.truth() == before, f"{done.out}\n{after.out}"
