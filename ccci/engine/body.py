"""The body of every run: prepare, play, judge, write the result. The whole program in one place."""

from __future__ import annotations

import secrets
import time
import traceback
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pyinfra.api import Host, State
from pyinfra.api.exceptions import ConnectError, PyinfraError

from ccci.engine.console import log_sink
from ccci.engine.disk import disk_watched
from ccci.engine.request import QUICK_STAGES, Context
from ccci.engine.results import Outcome, make_result, store
from ccci.engine.run import HostRun, Run
from ccci.engine.session import Session, utc_now
from ccci.errors import CcciError, InfrastructureError, RecipeFailed, UsageError
from ccci.events import RunEnded, Stream
from ccci.model.run import Mode, RunResult, Verdict

if TYPE_CHECKING:
    from ccci.engine.playbook import Playbook


def new_run_id() -> str:
    """Return a run id: UTC time to the second and 6 random hex digits; sorts by time."""
    return datetime.now(timezone.utc).strftime("%Y%m%dt%H%M%S") + "-" + secrets.token_hex(3)


def run_body(made: Playbook, state: State, host: Host, context: Context, stream: Stream) -> RunResult:
    """Run a playbook on a connected host and return its result; whatever happens, there is one.

    Side effects: the result, JUnit and log files here and on the host.
    """
    from ccci.engine import loader  # noqa: PLC0415  (it imports playbooks, which import this)

    state.check_for_changes = False  # else every operation's facts are read twice
    session = Session(state, host, context.settings, new_run_id(), stream)
    session.playbook = made.name
    stream.attach(log_sink(session.log))
    outcome = Outcome(started=utc_now(), start=time.monotonic())
    with session.active():
        try:
            with disk_watched(session) if made.mode.is_lane and not context.request.dry_run else nullcontext():
                outcome.run = loader.prepare(session, context, made)
                outcome.verdict = _play(made, outcome.run)
        except BaseException as error:  # noqa: BLE001  (becomes the verdict)
            outcome.error = translate(error)
            outcome.verdict = verdict_of(outcome.error)
        if outcome.run is not None:
            outcome.run.close()
        result = make_result(session, context, made, outcome)
        with session.shielded():
            store(session, context, result)
    stream.send(RunEnded(result))
    return result


def _play(made: Playbook, run: HostRun) -> Verdict:
    if not run.request.dry_run:
        verdict = made(run)
        _check_deploys(run)
        return verdict
    if made.heeds_dry_run:
        made(run)
    else:
        run.summary += plan_of(run)
    return Verdict.SKIPPED


def plan_of(run: HostRun) -> list[str]:
    """Return what a run would do, in words: for --dry-run.

    Raises:
        UsageError: the playbook has no plan before it has looked.
    """
    if not isinstance(run, Run) or not run.mode.is_lane:
        raise UsageError("only lanes, nightly and prune can say what they would do", hint="leave --dry-run out")
    known = run.canonical.known_good if run.canonical else "none yet"
    base = run.base.version if run.base else f"none: {run.no_base}"
    stages = [s for s in run.recipe.meta.stages if run.wants(s) and (run.mode is not Mode.QUICK or s in QUICK_STAGES)]
    return [
        f"would test {run.head.version or 'unreleased'} ({run.head.short}) in the {run.mode.value} lane",
        f"stages: {', '.join(stages)}",
        f"known-good: {known}; upgrade from: {base}",
        "nothing was changed",
    ]


def _check_deploys(run: HostRun) -> None:
    if run.mode.is_lane and run.session.deploys != run.expected_deploys:
        raise InfrastructureError(
            f"deploy-count is {run.session.deploys}, expected {run.expected_deploys}: the run did not do what it says"
        )


def verdict_of(error: CcciError) -> Verdict:
    """Return the verdict that an error means."""
    return Verdict.FAILED if isinstance(error, RecipeFailed) else Verdict.ERRORED


def translate(error: BaseException) -> CcciError:
    """Turn any exception into one of ours; what we did not expect says so and keeps its traceback as detail."""
    if isinstance(error, CcciError):
        return error
    if isinstance(error, (ConnectError, PyinfraError)):
        return InfrastructureError(f"pyinfra: {error}", hint="`ccci doctor` says what a host needs")
    if isinstance(error, KeyboardInterrupt):
        return InfrastructureError("interrupted")
    where = "".join(traceback.format_exception(error)[-4:])
    return InfrastructureError(
        f"a fault in ccci itself: {type(error).__name__}: {error}",
        hint="please report it with the log of this run",
        detail=where,
    )
