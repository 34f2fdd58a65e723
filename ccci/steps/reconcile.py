"""The one flow of all reconciles: decide, then bring the provider to its newest release, or back to where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from ccci.engine.run import Run
from ccci.errors import CcciError, InfrastructureError, RecipeFailed
from ccci.model.alert import Alert
from ccci.model.app import App
from ccci.model.provider import (
    Action,
    Decision,
    Situation,
    decide,
    notes_between,
)
from ccci.model.run import Verdict
from ccci.model.version import Version
from ccci.steps.alerts import raise_alert
from ccci.steps.app import files_of, health_gate, take_down
from ccci.steps.keeping import (
    commit_of,
    commit_version,
    current_version,
    fetch_images,
    is_healthy,
    put_up,
    read_last_good,
    record_of,
    release_of,
    write_last_good,
)
from ccci.steps.providers import provider_app, wait_for_runs
from ccci.steps.recover import drop_scratch
from ccci.steps.stages import stage
from ccci.steps.upgrade import settle_interrupted, upgrade


def reconcile(run: Run) -> Verdict:
    """Keep a provider at its newest release: decide, then act; leaves it healthy, or says that it is not.

    Raises:
        RecipeFailed: the new release did not pass its gate; the version before it runs again.
        InfrastructureError: the provider is not healthy, and could not be made so.
        Locked: another reconcile is at work, or a run uses the provider for too long.
    """
    app = provider_app(run.session, run.recipe)
    with _alone(app, run):
        settle_interrupted(app, run)
        decision = _decide(app, run)
        run.session.say(f"decision: {decision.action.value} ({decision.outcome})")
        if decision.action is Action.HOLD:
            return _hold(app, run, decision)
        if decision.action is Action.NOOP:
            return _noop(app, run, decision)
        wait_for_runs(run.session, app)
        if decision.action is Action.UPGRADE:
            return upgrade(app, run, decision)
        return _put_up_again(app, run, decision)


@contextmanager
def _alone(app: App, run: Run) -> Iterator[None]:
    session = run.session
    session.lock(app)
    try:
        yield
    finally:
        with session.shielded():
            if app.domain in session.deployments:
                drop_scratch(session.run_id, app.recipe)
            session.unlock(app)


def _decide(app: App, run: Run) -> Decision:
    record, running = read_last_good(run.session, app), current_version(app, run)
    current = running or (Version.parse(record.version) if record else None)
    healthy = False
    if current is not None:
        healthy = is_healthy(app, run, release_of(run, current, commit_of(app, run, current)))
    latest = run.head.parsed
    now = Situation(
        latest=latest,
        current=current,
        healthy=healthy,
        notes=_notes(app, run, current) if current is not None and current < latest else {},
        failed=record.failed if record else "",
        allowed=run.request.allow,
        retry=run.request.retry,
    )
    decision = decide(now)
    if run.request.allow and decision.action is Action.UPGRADE:
        run.session.say(f"{run.session.holder()} released {run.request.allow} from its hold", keep=True)
    if not healthy and current is not None and decision.action in (Action.UPGRADE, Action.HOLD):
        _heal(app, run, current)
    return decision


def _notes(app: App, run: Run, current: Version) -> dict[str, str]:
    """Return the release notes of the jump: from the newest release, and from those between for what it lacks."""
    between = sorted(v for v in run.releases if current < v <= run.head.parsed)
    notes: dict[str, str] = {}
    for version in between:
        notes |= notes_between(files_of(run, app, run.releases[version]), current, run.head.parsed)
    return notes


def _heal(app: App, run: Run, current: Version) -> None:
    """Bring an unhealthy provider up again at the version that it has, before anything is built on it."""
    wait_for_runs(run.session, app)
    again = Decision(Action.REDEPLOY, f"redeployed:{current}", current, current)
    _put_up_again(app, run, again)
    run.outcome = ""


def _noop(app: App, run: Run, decision: Decision) -> Verdict:
    release = run.releases.get(decision.after, run.head)
    record = read_last_good(run.session, app)
    if record is None or record.version != str(decision.after):
        commit_version(app, run, release)  # found up and healthy: from now on it is ours to keep
    elif record.alerted:
        write_last_good(run.session, app, attrs.evolve(record, alerted=""))
    run.outcome = decision.outcome
    return run.passed()


def _hold(app: App, run: Run, decision: Decision) -> Verdict:
    kind = decision.outcome.split(":")[0]
    before, after = decision.before, decision.after
    record = record_of(app, run, before)
    if record.alerted != decision.outcome:
        allow = f"ccci play {run.session.playbook} --allow '{before}->{after}'"
        again = f"ccci play {run.session.playbook} --retry"
        alert = Alert(
            app=app.recipe,
            kind=kind,
            title=f"{app.recipe} stays at {before}: {after} is held",
            text=_HOLDS[kind].format(before=before, after=after),
            todo=f"when you have tried it: {again if kind == 'held-failed' else allow}",
            attempted=str(after),
            last_good=record.version,
            notes=dict(decision.notes),
        )
        raise_alert(run, alert)
        write_last_good(run.session, app, attrs.evolve(record, alerted=decision.outcome))
    run.outcome = decision.outcome
    return Verdict.HELD


_HOLDS = {
    "held-major": "{after} is a major step from {before}, of the recipe or of the app: nothing was touched.",
    "held-manual-migration": "The release notes on the way from {before} to {after} speak of a migration by hand: "
    "nothing was touched.",
    "held-failed": "{after} was tried before and rolled back to {before}: it is not tried again by itself.",
}


def _put_up_again(app: App, run: Run, decision: Decision) -> Verdict:
    """Install the provider, or deploy once more what is not healthy."""
    release = release_of(run, decision.after, commit_of(app, run, decision.after))
    run.version_before, run.version_after = str(decision.before or ""), release.version
    try:
        with stage(run, "reconcile", note=decision.outcome):
            fetch_images(app, run, release)
            take_down(app)
            put_up(app, run, release)
            health_gate(app, run, going_back=True)
    except RecipeFailed as error:
        _alert_unhealthy(app, run, decision, error)
        raise InfrastructureError(
            f"{app.domain} is not healthy at {release.version}: {error.what}",
            hint=f"see the alert, or `docker stack ps {app.stack}` on the host",
            detail=error.detail,
        ) from error
    commit_version(app, run, release)
    run.outcome = decision.outcome
    return run.passed()


def _alert_unhealthy(app: App, run: Run, decision: Decision, error: CcciError) -> None:
    run.outcome = f"unhealthy:{decision.after}"
    record = record_of(app, run, decision.after)
    if record.alerted == run.outcome:
        return
    alert = Alert(
        app=app.recipe,
        kind="unhealthy",
        title=f"{app.recipe} is not healthy at {decision.after}",
        text=f"It was deployed once more and did not become healthy: {error.what}\n{error.detail or ''}".strip(),
        todo=f"look at `docker stack ps {app.stack}` on the host; each reconcile tries again",
        attempted=str(decision.after),
        last_good=record.version,
        recovered=False,
    )
    raise_alert(run, alert)
    if decision.before is not None:
        write_last_good(run.session, app, attrs.evolve(record, alerted=run.outcome))
