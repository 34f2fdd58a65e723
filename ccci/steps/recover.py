"""Put things back: after a run, after a run that died, and for cold apps to the last trace."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.commands.docker import RUN_LABEL
from ccci.engine.session import Session, current
from ccci.engine.steps import cleaned_up, step
from ccci.errors import CcciError, InfrastructureError, Locked, SnapshotBroken
from ccci.facts.docker import StackLeftovers, Volumes
from ccci.facts.warm import ColdApps, File, Folder, Lock
from ccci.model import envfile
from ccci.model.app import App, canonical_app
from ccci.model.canonical import Canonical, Journal, Status, fits
from ccci.operations.recipe import no_worktrees
from ccci.operations.record import file_written, moved, removed, secrets_removed, swapped_in
from ccci.operations.volume import remove_volumes, restore_volumes
from ccci.steps.app import take_down
from ccci.steps.registry import (
    changed,
    clear_journal,
    digest_now,
    find_canonical,
    previous_path,
    proof_mark,
    read_journal,
    read_manifest,
    read_record,
    record_path,
    snapshot_path,
    snapshot_places,
    untouched,
    write_record,
)

HALF_SWAPPED = frozenset({"snapshot.ccci-old", "snapshot.back", "snapshot.new"})


@step("dropping the run's forks of {0.domain}")
def drop_forks(app: App, run_id: str) -> None:
    """Remove the forks of a run and the volume that holds what they differ in."""
    session = current()
    mine = [v.name for v in session.read(Volumes).values() if v.labels.get(RUN_LABEL) == run_id]
    # the forks first: they are mounted from what lies in the scratch volume
    session.perform(remove_volumes, sorted(mine, reverse=True), fence=session.fence(app))


@step("removing what only the head had at {0.domain}")
def remove_strangers(app: App, canonical: Canonical) -> None:
    """Remove volumes and secrets under the canonical's name that known-good does not have."""
    session = current()
    kept = {record.volume for record in canonical.manifest.volumes.values()}
    left = session.read(StackLeftovers, stack=app.stack)
    session.perform(remove_volumes, [v for v in left.volumes if v not in kept], fence=session.fence(app))
    strangers = [name for name in left.secrets if name not in canonical.record.secrets]
    session.perform(secrets_removed, strangers, fence=session.fence(app))


@step("restoring known-good data of {0.domain}")
def restore_known_good(app: App, canonical: Canonical) -> None:
    """Make the volumes equal to the snapshot, proven by digest."""
    session = current()
    session.perform(restore_volumes, canonical.manifest, snapshot=snapshot_places(app)[0], fence=session.fence(app))


@step("proving that {0.domain} is known-good")
def prove(app: App, canonical: Canonical, *, cheaply: bool) -> str:
    """Prove that the canonical's data are known-good's, and say how.

    Args:
        app: the canonical's app.
        canonical: what it must equal.
        cheaply: whether change times may be the proof: only if nothing was mounted for writing.

    Raises:
        SnapshotBroken: they are not.
    """
    session = current()
    if cheaply and untouched(session, canonical):
        return "nothing in the volumes changed since they were last proven"
    digest = digest_now(session, canonical)
    if digest != canonical.record.snapshot:
        raise SnapshotBroken(
            f"the data of {app.domain} have digest {digest[:12]}, known-good has {canonical.record.snapshot[:12]}",
            hint=f"`ccci canonical restore {app.recipe}` puts known-good back",
        )
    return "every volume has the digest of the snapshot"


@step("removing the run's worktrees of {1}")
def drop_scratch(run_id: str, recipe: str) -> None:
    """Remove a run's folder on the host: worktrees, environment, extra compose file."""
    current().perform(no_worktrees, paths.recipe_clone(recipe), scratch=paths.scratch_of(run_id, recipe))


@step("marking {0.domain} idle")
def mark_idle(app: App, canonical: Canonical) -> None:
    """Write `idle` and remove the journal: the last thing that a run does to a canonical.

    Raises:
        InfrastructureError: something of it still runs, so it is not idle.
    """
    session = current()
    if running := session.read(StackLeftovers, stack=app.stack).running:
        raise InfrastructureError(f"{app.domain} is not idle: {', '.join(running[:5])} still there")
    write_record(session, app, changed(canonical.record, Status.IDLE))
    clear_journal(session, app)


def recover_canonical(app: App) -> str:
    """Bring a canonical whose run died back to known-good; the app must be locked.

    Returns:
        What was found and done, or an empty text if nothing was wrong.
    """
    session = current()
    journal, record = read_journal(session, app), read_record(session, app)
    names = session.read(Folder, path=app.home)
    if not HALF_SWAPPED.isdisjoint(names):
        settle_snapshot(app)
    if journal is None and (record is None or record.status is not Status.DIRTY):
        return ""
    dead = journal.run_id if journal else (record.run if record else "")
    take_down(app)
    if dead:
        drop_forks(app, dead)
        drop_scratch(dead, app.recipe)
    canonical = find_canonical(session, app.recipe)
    if canonical is None:
        forget_canonical(app)
        return f"run {dead} died before {app.recipe} had a known-good: what it left was removed"
    remove_strangers(app, canonical)
    how = _back_to_known_good(app, canonical, journal)
    if journal is not None and journal.promoting:
        retype(app, canonical.known_good)
    mark_idle(app, canonical)
    who = journal.who if journal else f"run {dead or '?'}"
    return f"{who} was interrupted; {app.domain} is back at known-good {canonical.known_good} ({how})"


def _back_to_known_good(app: App, canonical: Canonical, journal: Journal | None) -> str:
    if journal is None or not journal.forked or not untouched(current(), canonical):
        restore_known_good(app, canonical)
        return prove(app, canonical, cheaply=False)
    return prove(app, canonical, cheaply=True)


@step("writing {1} into the env file of {0.domain}")
def retype(app: App, version: str) -> None:
    """Let the env file say which version the app has; its other lines stay."""
    session = current()
    text = session.read(File, path=app.env_file)
    if text is not None:
        whole = envfile.retyped(text, f"{app.recipe}:{version}")
        session.perform(file_written, app.env_file, text=whole, mode="0600", fence=session.fence(app))


@step("looking at the snapshots of {0.domain}")
def settle_snapshot(app: App) -> None:
    """Undo the middle of an interrupted promotion: the snapshot that the record names is put in place.

    The one that the record names as the one before it is put where that is kept.
    """
    session = current()
    at, old, back = snapshot_places(app)
    record, have = read_record(session, app), read_manifest(session, at)
    if record is not None and not fits(have, record):
        found = [folder for folder in (old, back) if fits(read_manifest(session, folder), record)]
        if not found:
            raise SnapshotBroken(
                f"no snapshot of {app.recipe} is the one that canonical.json names",
                hint=f"look at {app.home} on the host; without it known-good cannot be proven any more",
            )
        if found[0] != back:  # swapping in removes what lies at `old`
            session.perform(moved, old, to=back, fence=session.fence(app))
        session.perform(swapped_in, back, at=at, fence=session.fence(app))
    elif record is not None and record.previous is not None and fits(read_manifest(session, old), record.previous):
        session.perform(removed, previous_path(app), fence=session.fence(app))
        session.perform(moved, old, to=previous_path(app), fence=session.fence(app))
    session.perform(removed, old, back, at.with_name("snapshot.new"), fence=session.fence(app))


@step("removing volumes and secrets of {0.domain}")
def wipe(app: App) -> None:
    """Remove an undeployed app's volumes and secrets."""
    session, fence = current(), current().fence(app)
    left = session.read(StackLeftovers, stack=app.stack)
    session.perform(remove_volumes, left.volumes, fence=fence)
    session.perform(secrets_removed, left.secrets, fence=fence)


@step("removing every trace of {0.domain}")
def forget(app: App) -> None:
    """Remove all of an app that is undeployed: volumes, secrets, configs, env file; its journal stays.

    Raises:
        InfrastructureError: something is still there afterwards.
    """
    session = current()
    wipe(app)
    left = session.read(StackLeftovers, stack=app.stack)
    rest = left.running + left.volumes + left.secrets + left.configs
    if rest:
        raise InfrastructureError(f"{app.domain} left behind: {', '.join(rest)}")
    session.perform(removed, app.env_file)


def forget_canonical(app: App) -> None:
    """Remove all of an undeployed canonical; its lock stays, since this run still holds it.

    Raises:
        InfrastructureError: something is still there afterwards; the journal stays too, so that it is tried again.
    """
    session, fence = current(), current().fence(app)
    session.perform(removed, record_path(app), fence=fence)
    mark = proof_mark(app)
    folders = [*snapshot_places(app), snapshot_path(app).with_name("snapshot.new"), previous_path(app)]
    session.perform(removed, *folders, mark, mark.with_suffix(".new"), fence=fence)
    forget(app)
    session.perform(removed, app.journal, fence=fence)


def tear_down(app: App, run_id: str) -> None:
    """Take a cold app down without a trace; every part is tried."""
    with cleaned_up(lambda: forget(app), lambda: drop_scratch(run_id, app.recipe)):
        take_down(app)
    current().perform(removed, app.home)  # only now: its journal is how a failed tear-down is found again


def recover_cold_apps(session: Session, recipe: str) -> list[str]:
    """Tear down cold apps whose run died; those of live runs are locked and left alone.

    One of another recipe is left for a while: its run may only have lost its connection.

    Returns:
        What was done, a sentence each.
    """
    done = []
    for domain in session.read(ColdApps):
        app = App("", domain, paths.COLD / domain)
        lock, journal = session.read(Lock, home=app.home), read_journal(session, app)
        if journal is None or lock.holder is not None:
            continue
        if journal.recipe != recipe and lock.free_for < session.settings.dead_after * 2:
            continue
        try:
            done += _recover_cold_app(session, app)
        except Locked:
            continue  # somebody took it meanwhile: it lives, or is being torn down
        except CcciError as error:  # a stuck one must not stop other runs: it stays, and `ccci status` shows it
            session.say(f"cold app {domain} of a dead run could not be torn down: {error.what}", keep=True)
    return done


def _recover_cold_app(session: Session, app: App) -> list[str]:
    session.lock(app)
    try:
        journal = read_journal(session, app)
        if journal is None:
            return []
        tear_down(attrs.evolve(app, recipe=journal.recipe), journal.run_id)
        return [f"cold app {app.domain} of {journal.who} was left over and is torn down"]
    finally:
        session.unlock(app)


def app_of(session: Session, recipe: str) -> App:
    """Return the canonical's app of a recipe on this host."""
    return canonical_app(recipe, session.host_settings.base_domain)
