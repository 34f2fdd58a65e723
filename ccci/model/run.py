"""A run and its result: pure values, and the form of result.json."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import attrs

from ccci.model.version import Version


class Mode(str, Enum):
    """What kind of playbook it is: a lane, a provider's upkeep, or work on the host as a whole."""

    COLD = "cold"
    QUICK = "quick"
    RECONCILE = "reconcile"
    HOST = "host"

    @property
    def is_lane(self) -> bool:
        """Whether it tests a head."""
        return self in (Mode.COLD, Mode.QUICK)


class Verdict(str, Enum):
    """What a run found out."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    HELD = "held"
    SKIPPED = "skipped"


class StageStatus(str, Enum):
    """How one stage ended."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    INFO = "info"


@attrs.frozen
class Release:
    """One state of a recipe that can be deployed.

    Attributes:
        commit: full commit id.
        version: what the compose file's label says, or the tag's version.
        released: whether an annotated tag of that version points at the commit.
    """

    commit: str
    version: str
    released: bool

    @property
    def short(self) -> str:
        """The first characters of the commit, as people write it."""
        return self.commit[:7]

    @property
    def parsed(self) -> Version:
        """The version, ordered."""
        return Version.parse(self.version)


@attrs.frozen
class TestCase:
    """One test of a stage."""

    __test__ = False  # pytest would collect the name
    name: str
    status: StageStatus
    seconds: float
    message: str = ""


@attrs.frozen
class StageResult:
    """One stage: name, status, seconds, its tests, and the reason if it was not a pass."""

    name: str
    status: StageStatus
    seconds: float
    tests: list[TestCase] = attrs.field(factory=list)
    note: str = ""


@attrs.frozen
class StepResult:
    """One step: name, operation, status (ok, unchanged, failed, stopped), seconds, attempts."""

    name: str
    operation: str
    status: str
    seconds: float
    attempts: int


@attrs.frozen
class DeployCount:
    """How often an app was brought up from nothing, and how often the lane should do that."""

    actual: int
    expected: int


@attrs.frozen
class KnownGoodChange:
    """Known-good before and after the run: versions, and digests of its data."""

    before: str = ""
    after: str = ""
    digest_before: str = ""
    digest_after: str = ""
    proof: str = ""


@attrs.frozen
class DiskUse:
    """Bytes that were free where the host keeps its images and volumes: before the run, at the least, after it.

    All 0 if nobody looked; `lowest` is 0, too, if the look was cut off.
    """

    before: int = 0
    lowest: int = 0
    after: int = 0

    @property
    def peak(self) -> int:
        """How many bytes the run used at the most, over what was used before it."""
        return max(0, self.before - self.lowest) if self.lowest else 0


@attrs.frozen
class RunResult:
    """What result.json holds; docs/playbooks.md describes each field."""

    SCHEMA: ClassVar[str] = "ccci.result/1"
    schema: str
    run_id: str
    playbook: str
    mode: Mode
    recipe: str
    host: str
    ref: str
    commit: str
    version_before: str
    version_after: str
    verdict: Verdict
    exit_code: int
    reason: str
    hint: str
    detail: str
    stages: list[StageResult]
    steps: list[StepResult]
    deploy_count: DeployCount
    known_good: KnownGoodChange
    alerts: list[str]
    notes: list[str]
    started: str
    finished: str
    seconds: float
    outcome: str = ""
    disk: DiskUse = DiskUse()
    pull_request: int = 0

    @property
    def passed(self) -> bool:
        """Whether the verdict is `passed`."""
        return self.verdict is Verdict.PASSED
