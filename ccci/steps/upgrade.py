"""An upgrade of a provider, and the way back: at once if it fails, or by the next reconcile if this one dies."""

from __future__ import annotations

import attrs

from ccci.engine.body import translate
from ccci.engine.run import Run
from ccci.engine.session import utc_now
from ccci.errors import (
    CcciError,
    ConnectionLost,
    Fenced,
    HostUnreachable,
    InfrastructureError,
    RecipeFailed,
    Stopped,
    UsageError,
)
from ccci.facts.docker import StackLeftovers
from ccci.model.alert import Alert
from ccci.model.app import App
from ccci.model.provider import Decision, Phase, ReconcileJournal
from ccci.model.run import Release, Verdict
from ccci.model.version import Version
from ccci.steps.alerts import raise_alert
from ccci.steps.app import health_gate, take_down
from ccci.steps.keeping import (
    commit_of,
    commit_version,
    fetch_images,
    go_back,
    put_up,
    read_last_good,
    read_upgrade,
    record_of,
    release_of,
    snapshot_provider,
    write_last_good,
    write_upgrade,
)
from ccci.steps.providers import wait_for_runs
from ccci.steps.stages import stage

CUT_OFF = (ConnectionLost, Fenced, HostUnreachable)  # nothing can be put back now: the next reconcile does it


def upgrade(app: App, run: Run, decision: Decision) -> Verdict:
    """Upgrade a provider, or bring it back to where it was.

    Raises:
        RecipeFailed: the new release did not work out; the old one runs again, with its data.
        InfrastructureError: neither works.
    """
    known = _known(decision.before)
    before = release_of(run, known, commit_of(app, run, known))
    after = release_of(run, decision.after)
    run.version_before, run.version_after = before.version, after.version
    write_last_good(run.session, app, record_of(app, run, decision.before))
    journal = _journal(app, run, before, after)
    try:
        with stage(run, "reconcile", note=f"{before.version} -> {after.version}"):
            fetch_images(app, run, after)
            _attempt(app, run, journal, before, after)
    except CUT_OFF:
        raise
    except BaseException as error:
        _roll_back(app, run, journal, translate(error))
        raise
    run.outcome = decision.outcome
    return run.passed()


def _known(version: Version | None) -> Version:
    if version is None:
        raise UsageError("there is no version to upgrade from")
    return version


def _journal(app: App, run: Run, before: Release, after: Release) -> ReconcileJournal:
    session = run.session
    return ReconcileJournal(
        schema=ReconcileJournal.SCHEMA,
        run_id=session.run_id,
        who=session.holder(),
        started=utc_now(),
        recipe=app.recipe,
        domain=app.domain,
        last_good=before.version,
        commit=before.commit,
        attempted=after.version,
        phase=Phase.SNAPSHOT,
        secrets=list(session.read(StackLeftovers, stack=app.stack).secrets),
    )


def _attempt(app: App, run: Run, journal: ReconcileJournal, before: Release, after: Release) -> None:
    session = run.session
    write_upgrade(session, app, journal)
    if run.stateful:
        take_down(app)
        snapshot_provider(app, before)
    write_upgrade(session, app, attrs.evolve(journal, phase=Phase.DEPLOY))
    put_up(app, run, after)
    health_gate(app, run)
    commit_version(app, run, after)


def _roll_back(app: App, run: Run, journal: ReconcileJournal, error: CcciError) -> None:
    """Bring the old version back and say so; raises in any case.

    Raises:
        RecipeFailed: the old version runs again.
        InfrastructureError: it does not.
    """
    session = run.session
    reached = read_upgrade(session, app)
    jump = f"{journal.attempted}->{journal.last_good}"
    with session.shielded():
        try:
            if reached is not None:
                with stage(run, "roll back", note=f"{journal.attempted} -> {journal.last_good}"):
                    go_back(app, run, reached)
        except CUT_OFF:
            raise
        except CcciError as failure:
            _alert_lost(app, run, journal, error, failure)
            raise InfrastructureError(
                f"{journal.attempted} failed ({error.what}), and going back to {journal.last_good} failed, too: "
                f"{failure.what}",
                hint=_by_hand(app, run, journal),
                detail=failure.detail,
            ) from failure
        run.outcome = f"rolled-back:{jump}"
        record = record_of(app, run, Version.parse(journal.last_good))
        if isinstance(error, (RecipeFailed, UsageError)):  # the release's own fault, so the timer leaves it alone
            record = attrs.evolve(record, failed=journal.attempted, alerted=f"held-failed:{_forth(journal)}")
        write_last_good(session, app, record)
        raise_alert(run, _rolled_back(app, journal, error, moved=reached is not None))
    if isinstance(error, Stopped):
        raise error
    raise RecipeFailed(
        f"{journal.attempted} did not work out: {error.what}",
        hint=f"{app.recipe} runs {journal.last_good} again; `ccci alerts list` has the whole story",
        detail=error.detail,
    ) from error


def _forth(journal: ReconcileJournal) -> str:
    return f"{journal.last_good}->{journal.attempted}"


def _rolled_back(app: App, journal: ReconcileJournal, error: CcciError, *, moved: bool) -> Alert:
    did = "It was rolled back, data and version" if moved else "Nothing was moved"
    return Alert(
        app=app.recipe,
        kind="rolled-back",
        title=f"{app.recipe} runs {journal.last_good}: {journal.attempted} did not work out",
        text="\n".join(
            [error.what, f"{did}: {app.domain} runs {journal.last_good} and is healthy.", error.detail or ""]
        ).strip(),
        todo="mend the release; a newer one is tried by itself, this one only with --retry",
        attempted=journal.attempted,
        last_good=journal.last_good,
        recovered=True,
    )


def _alert_lost(app: App, run: Run, journal: ReconcileJournal, error: CcciError, failure: CcciError) -> None:
    run.outcome = f"rollback-failed:{journal.attempted}->{journal.last_good}"
    record = record_of(app, run, Version.parse(journal.last_good))
    if record.alerted == run.outcome:
        return
    alert = Alert(
        app=app.recipe,
        kind="rollback-failed",
        title=f"{app.recipe} is DOWN: neither {journal.attempted} nor {journal.last_good} works",
        text=f"{journal.attempted}: {error.what}\n{journal.last_good}: {failure.what}\n{failure.detail or ''}".strip(),
        todo=_by_hand(app, run, journal),
        attempted=journal.attempted,
        last_good=journal.last_good,
        recovered=False,
    )
    raise_alert(run, alert)
    failed = journal.attempted if isinstance(error, (RecipeFailed, UsageError)) else record.failed
    write_last_good(run.session, app, attrs.evolve(record, failed=failed, alerted=run.outcome))


def _by_hand(app: App, run: Run, journal: ReconcileJournal) -> str:
    data = f"; the data of {journal.last_good} are in {app.home}/snapshot" if run.stateful else ""
    return (
        f"mend what the message names, then `ccci play {run.session.playbook}`: it goes on with the rollback{data} "
        f"(docs/operations.md says how to do it by hand)"
    )


def settle_interrupted(app: App, run: Run) -> None:
    """Finish or undo what a reconcile that died has left.

    Raises:
        InfrastructureError: the provider could not be brought back.
    """
    session = run.session
    journal = read_upgrade(session, app)
    if journal is None:
        return
    record = read_last_good(session, app)
    if record is not None and record.version == journal.attempted:
        commit_version(app, run, release_of(run, Version.parse(journal.attempted), record.commit))
        session.say(f"{journal.who} died after {journal.attempted} had passed its gate: that is what counts", keep=True)
        return
    wait_for_runs(session, app)
    dead = InfrastructureError(f"{journal.who} was interrupted in the middle of it")
    try:
        with stage(run, "recover", note=f"back to {journal.last_good}"):
            go_back(app, run, journal)
    except CUT_OFF:
        raise
    except CcciError as failure:
        _alert_lost(app, run, journal, dead, failure)
        raise InfrastructureError(
            f"{app.domain} could not be brought back to {journal.last_good}: {failure.what}",
            hint=_by_hand(app, run, journal),
            detail=failure.detail,
        ) from failure
    _say_settled(app, run, journal, dead)


def _say_settled(app: App, run: Run, journal: ReconcileJournal, dead: CcciError) -> None:
    """Tell people how an interrupted upgrade ended; one whose release is known to be bad is over with that."""
    session = run.session
    alert = _rolled_back(app, journal, dead, moved=True)
    record = read_last_good(session, app)
    if record is not None and record.failed == journal.attempted:
        write_last_good(session, app, attrs.evolve(record, alerted=f"held-failed:{_forth(journal)}"))
    else:
        alert = attrs.evolve(alert, kind="interrupted", todo="nothing: the upgrade is tried again by itself")
    raise_alert(run, alert)
    session.say(f"{journal.who} was interrupted; {app.domain} is back at {journal.last_good}", keep=True)
