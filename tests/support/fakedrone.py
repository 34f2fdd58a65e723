"""A Drone for tests of the bridge: the API of builds as Drone 2 documents it, checked to the letter.

A build goes from pending to running to its end by being looked at, so no test waits for a clock.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from ccci.model import codec
from ccci.model.progress import RunProgress
from ccci.model.run import (
    DeployCount,
    KnownGoodChange,
    Mode,
    RunResult,
    StageResult,
    StageStatus,
    TestCase,
    Verdict,
)
from tests.support.strict import Asked, Route, StrictServer, Wrong

TOKEN = "drone-0123456789abcdef0123456789abcdef"  # noqa: S105  (of a fake)
REPO = "ci/ccci"
_PATH = r"/api/repos/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)/builds"
_PARAMS = {"RECIPE", "REF", "PR", "CCCI_TRIGGER", "CCCI_QUICK"}


def result_of(params: dict[str, str], **changes: Any) -> RunResult:
    """Return what a run with such parameters leaves if all is well."""
    quick = params.get("CCCI_QUICK") == "1"
    tests = [TestCase("test_serves", StageStatus.PASS, 0.1)]
    made = RunResult(
        schema=RunResult.SCHEMA,
        run_id="20261124t120000-abcdef",
        playbook="quick" if quick else "cold",
        mode=Mode.QUICK if quick else Mode.COLD,
        recipe=params["RECIPE"],
        host="ci",
        ref=params["REF"],
        commit=params["REF"],
        version_before="1.10.0+1.22.1",
        version_after="1.11.0+1.26.3",
        verdict=Verdict.PASSED,
        exit_code=0,
        reason="",
        hint="",
        detail="",
        stages=[StageResult("upgrade", StageStatus.PASS, 9.1, tests, "1.10.0+1.22.1 -> 1.11.0+1.26.3")],
        steps=[],
        deploy_count=DeployCount(1, 1),
        known_good=KnownGoodChange(),
        alerts=[],
        notes=["canonical undeployed, volume retained, known-good UNCHANGED (1.10.0+1.22.1)"],
        started="2026-11-24T12:00:00Z",
        finished="2026-11-24T12:00:20Z",
        seconds=20.0,
    )
    return attrs.evolve(made, **changes)


@attrs.define
class Made:
    """A build."""

    number: int
    params: dict[str, str]
    status: str = "pending"


@attrs.define
class FakeDrone:
    """Drone's state, and its server.

    Attributes:
        results: the results folder, into which its runner writes.
        builds: all builds, oldest first.
        held: while true, builds stay as they are.
        status, changes: what a build's status and result become. silent: it leaves no result.
        runner: does the work of a build in a thread and returns its exit code; else builds only seem to work.
    """

    results: Path
    builds: list[Made] = attrs.field(factory=list)
    cancelled: list[int] = attrs.field(factory=list)
    held: bool = False
    status: str = "success"
    changes: dict[str, Any] = attrs.field(factory=dict)
    silent: bool = False
    runner: Callable[[Made], int] | None = None
    server: StrictServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the server."""
        one = re.compile(_PATH + r"/(?P<number>\d+)")
        self.server = StrictServer(
            f"Bearer {TOKEN}",
            [
                Route("GET", re.compile("/healthz"), lambda _: (200, None), open=True),
                Route("POST", re.compile(_PATH), self._create, free_query=True),
                Route("GET", re.compile(_PATH), self._list, frozenset({"page", "per_page"})),
                Route("GET", one, self._look),
                Route("DELETE", one, self._cancel),
            ],
        )

    def _check(self, asked: Asked) -> None:
        if f"{asked.path['owner']}/{asked.path['name']}" != REPO:
            raise Wrong("another repository")

    def _create(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        params = dict(asked.query)
        if params.pop("branch", None) != "main":
            raise Wrong("no branch")
        if params.keys() - _PARAMS or not _PARAMS - {"CCCI_QUICK"} <= params.keys():
            raise Wrong(f"parameters {params}")
        self.builds.append(Made(len(self.builds) + 1, params))
        if self.runner:
            threading.Thread(target=self._work, args=(self.builds[-1], self.runner), daemon=True).start()
        return 200, self._shown(self.builds[-1])

    def _work(self, build: Made, runner: Callable[[Made], int]) -> None:
        build.status = "running"
        build.status = "failure" if runner(build) else "success"

    def _list(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        page, size = int(asked.query["page"]), int(asked.query["per_page"])
        return 200, [self._shown(b) for b in self.builds[::-1][(page - 1) * size : page * size]]

    def _look(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        number = int(asked.path["number"])
        if not 0 < number <= len(self.builds):
            return 404, {"message": "no such build"}
        build = self.builds[number - 1]
        if not self.held and not self.runner:
            self._go_on(build)
        return 200, self._shown(build)

    def _go_on(self, build: Made) -> None:
        folder = self.results / "triggers" / build.params["CCCI_TRIGGER"]
        folder.mkdir(parents=True, exist_ok=True)
        if build.status == "pending":
            build.status = "running"
            stages = [StageResult("install", StageStatus.PASS, 3.0)]
            (folder / "progress.json").write_text(codec.dump(RunProgress(stages=stages, doing="health gate")), "utf-8")
        elif build.status == "running":
            build.status = self.status
            if not self.silent:
                (folder / "result.json").write_text(codec.dump(result_of(build.params, **self.changes)), "utf-8")

    def _cancel(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        build = self.builds[int(asked.path["number"]) - 1]
        build.status = "killed"
        self.cancelled.append(build.number)
        return 200, None

    def _shown(self, build: Made) -> dict[str, Any]:
        shown = {"id": build.number + 1000, "number": build.number, "status": build.status, "event": "custom"}
        return json.loads(json.dumps({**shown, "params": build.params, "target": "main"}))  # type: ignore[no-any-return]
