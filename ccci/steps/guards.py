"""Context managers that keep the design's promises around whatever a playbook does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from ccci.commands.docker import APP_LABEL, RUN_LABEL
from ccci.engine.run import Run
from ccci.engine.session import Session
from ccci.engine.steps import cleaned_up, step
from ccci.errors import CommandFailed, NotIdle, SnapshotBroken
from ccci.facts.docker import StackLeftovers
from ccci.model.app import App, cold_app
from ccci.model.canonical import Canonical, Status
from ccci.model.deployment import app_env
from ccci.model.envfile import render
from ccci.model.run import KnownGoodChange
from ccci.operations.record import file_written
from ccci.operations.volume import fork_name, fork_volumes, probe_overlay
from ccci.steps.app import take_down
from ccci.steps.recover import (
    drop_forks,
    drop_scratch,
    mark_idle,
    prove,
    recover_canonical,
    remove_strangers,
    restore_known_good,
    tear_down,
    wipe,
)
from ccci.steps.registry import changed, find_canonical, untouched, write_journal, write_record


@contextmanager
def app_locked(canonical: Canonical, run: Run) -> Iterator[App]:
    """Hold the canonical's lock; recover first what a dead run left.

    Raises:
        Locked: another run holds it.
        NotIdle: an operator has the canonical in use.
    """
    with recovered(canonical.app, run) as app:
        if run.canonical is not None:
            check_idle(run.session, run.canonical)
        yield app


@contextmanager
def recovered(app: App, run: Run, *, wait: float = 0.0) -> Iterator[App]:
    """Hold a canonical's lock; what a dead run left is recovered first, and the run sees what is there then.

    Args:
        app: the canonical's app.
        run: the run.
        wait: seconds to wait for another run that holds it.

    Raises:
        Locked: another run holds it.
    """
    session = run.session
    session.lock(app, wait=wait)
    try:
        if found := recover_canonical(app):
            session.say(found, keep=True)
        run.canonical = find_canonical(session, app.recipe)
        yield app
    finally:
        session.unlock(app)


@step("checking that {1.app.domain} is idle")
def check_idle(session: Session, canonical: Canonical) -> None:
    """Refuse a canonical that an operator deployed or changed: a run would take it from under somebody.

    Raises:
        NotIdle: with the ways out.
    """
    app, recipe = canonical.app, canonical.app.recipe
    ways = f"`ccci canonical seed {recipe}` keeps its data, `ccci canonical restore {recipe}` throws them away"
    if session.read(StackLeftovers, stack=app.stack).running:
        raise NotIdle(f"{app.domain} is deployed", hint=f"first `ccci canonical undeploy {recipe}`; then {ways}")
    if canonical.record.status is Status.WARM:
        raise NotIdle(f"{app.domain} was left by an operator with data that are not known-good", hint=ways)
    if not untouched(session, canonical):
        try:
            prove(app, canonical, cheaply=False)
        except SnapshotBroken as error:
            raise NotIdle(f"the data of {app.domain} were changed since they were proven", hint=ways) from error


@contextmanager
def known_good_kept(canonical: Canonical, run: Run) -> Iterator[None]:
    """Whatever happens inside: afterwards the canonical is idle and its data equal known-good, proven.

    Works on copy-on-write forks where overlays can be mounted, else on the volumes themselves, which
    are then restored from the snapshot. Either way the same proof closes it.
    """
    canonical = run.canonical or canonical
    app, session = canonical.app, run.session
    put_back_whole = failed = False

    def put_back() -> None:
        nonlocal put_back_whole
        steps = [lambda: drop_forks(app, session.run_id), lambda: remove_strangers(app, canonical)]
        if app.domain not in session.forks:
            steps.append(lambda: restore_known_good(app, canonical))
        with cleaned_up(*steps, lambda: drop_scratch(session.run_id, app.recipe)):
            take_down(app)
        put_back_whole = True

    def close() -> None:
        if not put_back_whole:
            return  # dirty, with its journal: that is how the next run knows what to put back
        how = prove(app, canonical, cheaply=app.domain in session.forks)
        mark_idle(app, canonical)
        run.known_good = attrs.evolve(
            run.known_good, after=canonical.known_good, digest_after=canonical.record.snapshot, proof=how
        )

    try:
        with cleaned_up(put_back, close):
            begin(app, canonical, run)
            yield
    except BaseException:
        failed = True
        raise
    finally:
        run.summary.append(_words(run, canonical, failed=failed))


def _words(run: Run, canonical: Canonical, *, failed: bool) -> str:
    if not run.known_good.after:
        return f"canonical could NOT be put back: the next run on {run.recipe.name} tries again"
    if failed:
        head = run.head.version or run.head.short
        what = f"{head if head != canonical.known_good else run.head.short} -> {canonical.known_good}"
        return f"rolling back {what}: restored known-good data; canonical idle (NOT promoted)"
    return f"canonical undeployed, volume retained, known-good UNCHANGED ({canonical.known_good})"


@step("marking {0.domain} dirty, forking its volumes")
def begin(app: App, canonical: Canonical, run: Run) -> None:
    """Write down that this run is about to change the canonical, and fork its volumes if it can."""
    session = run.session
    before = canonical.record
    run.known_good = KnownGoodChange(before=before.version, digest_before=before.snapshot)
    write_journal(session, app, forked=session.settings.fork == "auto")
    write_record(session, app, changed(before, Status.DIRTY, run=session.run_id))
    if session.settings.fork == "off" or not canonical.manifest.volumes:
        if canonical.manifest.volumes:
            session.say("forks are off: the run works on the volumes, known-good is restored from its snapshot")
        write_journal(session, app, forked=False)
        return
    labels = {APP_LABEL: app.domain, RUN_LABEL: session.run_id}
    try:
        session.perform(probe_overlay, session.run_id, labels=labels, fence=session.fence(app))
    except CommandFailed as error:
        session.say(
            f"no overlays here ({error.detail or error.what}): known-good is restored from its snapshot",
            keep=True,
        )
        write_journal(session, app, forked=False)
        return
    volumes = {key: record.volume for key, record in canonical.manifest.volumes.items()}
    session.perform(fork_volumes, volumes, run_id=session.run_id, labels=labels, fence=session.fence(app))
    session.forks[app.domain] = {name: fork_name(session.run_id, key) for key, name in volumes.items()}


@contextmanager
def torn_down(run: Run) -> Iterator[App]:
    """A fresh cold app for this run; afterwards nothing of it is left, or the run is red."""
    session = run.session
    app = cold_app(run.recipe.name, run.hex, session.host_settings.base_domain)
    session.lock(app)
    try:
        with cleaned_up(lambda: tear_down(app, session.run_id)):
            announce_cold(app, run)
            yield app
    finally:
        session.unlock(app)


@step("preparing cold app {0.domain}")
def announce_cold(app: App, run: Run) -> None:
    """Write the cold app's journal and its env file, where abra can see it."""
    session = run.session
    write_journal(session, app, forked=False)
    env = app_env(run.files[run.head.commit], app, run.head, run.recipe.meta.env_with(run.dep_domains))
    session.perform(file_written, app.env_file, text=render(env), mode="0600", fence=session.fence(app))


@step("starting {0.domain} over")
def start_over(app: App, run: Run) -> None:
    """Undeploy a cold app and remove its volumes and secrets, so that the next deploy is a fresh one."""
    take_down(app)
    wipe(app)
    run.session.deployments.pop(app.domain, None)
