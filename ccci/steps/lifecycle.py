"""An operator moves a canonical's known-good on or back, or ends the canonical: under its lock, always explicit."""

from __future__ import annotations

import attrs

from ccci.engine.run import Run
from ccci.engine.session import Session, current
from ccci.engine.steps import step
from ccci.errors import SnapshotBroken, StateUnreadable, UsageError
from ccci.facts.docker import StackLeftovers
from ccci.facts.results import StoredResults
from ccci.model import codec
from ccci.model.app import App
from ccci.model.canonical import CanonicalRecord, Generation, Manifest, Status, fits
from ccci.model.recipe import Recipe
from ccci.model.run import Mode, Release, RunResult, StageStatus, Verdict
from ccci.operations.record import removed
from ccci.operations.volume import remove_volumes, restore_volumes
from ccci.steps.app import take_down
from ccci.steps.guards import recovered
from ccci.steps.head import fetch_recipe, find_head, read_source
from ccci.steps.operator import known, refuse_deployed
from ccci.steps.promote import commit_known_good, known_good_moving, promote_by_hand
from ccci.steps.recover import app_of, drop_forks, drop_scratch, forget, forget_canonical, retype
from ccci.steps.registry import (
    changed,
    previous_path,
    read_journal,
    read_manifest,
    read_record,
    record_path,
    write_journal,
    write_record,
)

LOOKED_AT = 200  # stored results of one commit


def promote_release(run: Run, version: str) -> str:
    """Make a release known-good that a stored cold run has proven, as that run would have done.

    Args:
        run: an operator's run.
        version: the release; empty for the newest.

    Returns:
        A sentence about what known-good is now, and which run proves it.

    Raises:
        UsageError: no such release, it is not newer than known-good, or no green cold run of all stages tested it.
    """
    session, name = run.session, run.recipe.name
    run.request = attrs.evolve(run.request, ref=version)
    fetch_recipe(session, name, run.request)
    source = read_source(session, run.recipe)
    run.head = find_head(session, source, run.request, Mode.COLD)
    run.releases, run.request = source.releases, attrs.evolve(run.request, ref="")
    if not run.head.released:
        raise UsageError(
            f"{version} is the commit {run.head.short}, and no release: only releases are promoted",
            hint="release it by an annotated tag (`git tag -a`), and test that",
        )
    proof = proven_by(session, run.recipe, run.head)
    return f"{promote_by_hand(run)}; {run.head.version} was proven by run {proof}"


@step("looking for the cold run that proved {2.version}")
def proven_by(session: Session, recipe: Recipe, release: Release) -> str:
    """Return the id of the newest stored run that tested a release's commit cold, with all stages, and was green.

    Raises:
        UsageError: none did.
    """
    for run_id, text in session.read(StoredResults, newest=LOOKED_AT, containing=release.commit).items():
        try:
            result = codec.load(RunResult, text, where=f"the result of run {run_id}")
        except StateUnreadable:
            continue  # what cannot be read proves nothing
        if _proves(result, recipe, release):
            return run_id
    raise UsageError(
        f"no result on this host proves {release.version} ({release.short}): no green cold run of all its stages",
        hint=f"`ccci play cold --recipe {recipe.name} --ref '{release.version}'` tests it",
    )


def _proves(result: RunResult, recipe: Recipe, release: Release) -> bool:
    done = {stage.name for stage in result.stages if stage.status in (StageStatus.PASS, StageStatus.SKIP)}
    return (
        (result.recipe, result.mode, result.commit) == (recipe.name, Mode.COLD, release.commit)
        and result.verdict is Verdict.PASSED
        and set(recipe.meta.stages) <= done
        and any(stage.status is StageStatus.PASS for stage in result.stages)
    )


def previous_of(session: Session, app: App, record: CanonicalRecord) -> tuple[Generation, Manifest]:
    """Return the known-good before this one, with its snapshot's manifest.

    Raises:
        UsageError: there is none.
        SnapshotBroken: its snapshot is not there.
    """
    if record.previous is None:
        raise UsageError(
            f"{app.recipe} has no known-good before {record.version}: nothing was replaced yet",
            hint="a promotion or a seed keeps the one that it replaces",
        )
    manifest = read_manifest(session, previous_path(app))
    if manifest is None or not fits(manifest, record.previous):
        raise SnapshotBroken(
            f"{previous_path(app)} is not the snapshot of {record.previous.version} that canonical.json names",
            hint="without it there is no way back; known-good itself is as it was",
        )
    return record.previous, manifest


def roll_back(run: Run) -> CanonicalRecord:
    """Make the known-good before this one known-good again, data and version; this one is kept in its place.

    What the canonical's volumes hold now goes. Every volume is proven by digest before known-good moves.

    Raises:
        UsageError: there is none, or a secret of its own is gone.
        NotIdle: it is deployed.
        SnapshotBroken: its snapshot is damaged; known-good is as it was.
    """
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        session, record = run.session, known(run).record
        refuse_deployed(session, app)
        target, manifest = previous_of(session, app, record)
        with known_good_moving(run, app):
            write_record(session, app, changed(record, Status.DIRTY, run=run.id))
            put_back_previous(app, manifest)
            keys = {volume.volume: key for key, volume in manifest.volumes.items()}
            now = commit_known_good(app, Release(target.commit, target.version, released=True), keys)
            retype(app, now.version)
        return now


@step("restoring the data of {1.version} at {0.domain}")
def put_back_previous(app: App, manifest: Manifest) -> None:
    """Make the canonical's volumes equal to the snapshot that was kept; secrets stay: nobody could make them again."""
    session, fence = current(), current().fence(app)
    kept = {volume.volume for volume in manifest.volumes.values()}
    # Archives are proven while they are unpacked, so a damaged one is found before anything of it was replaced.
    session.perform(restore_volumes, manifest, snapshot=previous_path(app), fence=fence)
    left = session.read(StackLeftovers, stack=app.stack).volumes
    session.perform(remove_volumes, [name for name in left if name not in kept], fence=fence)


def retire(session: Session, recipe: str) -> list[str]:
    """Remove a canonical without a trace: record, snapshots, volumes, secrets, configs, env file.

    Works on one whose record cannot be read, whose snapshot is gone, or whose recipe is not enrolled any more. If it
    is interrupted, whoever comes next to this canonical ends it.

    Args:
        session: the session.
        recipe: the recipe's name, checked.

    Returns:
        The names of the volumes that are gone.

    Raises:
        Locked: a run holds it.
        NotIdle: an operator has it deployed.
        UsageError: there is none.
    """
    app = app_of(session, recipe)
    if not _apps(session, app):  # asked before the lock, which would make a folder for it
        raise UsageError(f"{recipe} has no canonical here", hint="`ccci canonical list` shows those there are")
    session.lock(app)
    try:
        apps = _apps(session, app)
        volumes = [name for each in apps for name in session.read(StackLeftovers, stack=each.stack).volumes]
        _retire(app, apps)
        return volumes
    finally:
        session.unlock(app)


def _apps(session: Session, app: App) -> list[App]:
    """Return what there is of a canonical: its app, and that of the domain where it was before; or nothing.

    Raises:
        NotIdle: an operator has it deployed.
    """
    try:
        record = read_record(session, app)
    except StateUnreadable as error:
        session.say(f"{error.what}; it goes all the same")
        return [app]
    if record is not None and record.status is Status.WARM:
        refuse_deployed(session, attrs.evolve(app, domain=record.domain))
    if record is not None and record.domain != app.domain:
        return [app, attrs.evolve(app, domain=record.domain, home=app.home / "elsewhere")]
    left = session.read(StackLeftovers, stack=app.stack)
    return [app] if record is not None or left.volumes or left.secrets else []


@step("removing canonical {0.domain}")
def _retire(app: App, apps: list[App]) -> None:
    session, fence = current(), current().fence(app)
    try:
        journal = read_journal(session, app)
    except StateUnreadable:
        journal = None
    if journal is not None:
        drop_forks(app, journal.run_id)
        drop_scratch(journal.run_id, app.recipe)
    for each in apps:
        take_down(each)
    for elsewhere in apps[1:]:
        forget(elsewhere)
    write_journal(session, app, forked=False)
    session.perform(removed, record_path(app), fence=fence)  # from here on there is no canonical any more
    forget_canonical(app)
