"""Known-good moves here and nowhere else: whole, at the very end, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath

import attrs

from ccci.engine.run import Run
from ccci.engine.session import Session, current, utc_now
from ccci.engine.steps import cleaned_up, step
from ccci.errors import SnapshotBroken, UsageError
from ccci.facts.docker import StackLeftovers
from ccci.facts.warm import ChangedSince, Folder
from ccci.model import codec
from ccci.model.app import App
from ccci.model.canonical import CanonicalRecord, Generation, Manifest, Status, VolumeRecord
from ccci.model.deployment import Deployment, app_env
from ccci.model.envfile import render
from ccci.model.run import KnownGoodChange, Release
from ccci.operations.record import file_written, marked, moved, secrets_removed, swapped_in
from ccci.operations.volume import snapshot_volumes
from ccci.steps.app import bring_up, canonical_env, files_of, health_gate, take_down
from ccci.steps.dependencies import dependencies
from ccci.steps.guards import check_idle, recovered
from ccci.steps.providers import providers_held
from ccci.steps.recover import HALF_SWAPPED, app_of, drop_scratch, recover_canonical, settle_snapshot
from ccci.steps.registry import (
    clear_journal,
    proof_mark,
    read_record,
    record_path,
    snapshot_path,
    volume_folders,
    write_journal,
    write_record,
)
from ccci.steps.stages import stage


def promote(run: Run) -> None:
    """Make the released head known-good, after a green cold run without a ref.

    The canonical is brought up at the head once (on its data, or fresh if it has none), gated, taken
    down and snapshotted; only then are snapshot and record swapped in. Any failure before that leaves
    the old known-good, and the run is red.

    A canonical that another run holds is waited for. Adds one sentence to the run's summary.

    Raises:
        Locked: that run does not end.
        NotIdle: an operator has the canonical in use; the head's own stages are green all the same.
    """
    if reason := _why_not(run):
        run.summary.append(f"known-good {_unchanged(run)}: {reason}")
        return
    with stage(run, "promote"), _canonical_held(run) as app:
        # another run may have promoted this release or a newer one meanwhile
        if reason := _known_already(run) or _why_not(run):
            run.summary.append(f"known-good {_unchanged(run)}: {reason}")
            return
        run.summary.append(_promote_held(run, app))


def promote_by_hand(run: Run) -> str:
    """Make the run's head known-good for an operator, in the same way; returns a sentence that says so.

    Raises:
        UsageError: it is no release, or not newer than known-good.
        NotIdle: the canonical is in use.
    """
    with _canonical_held(run) as app:
        if reason := _known_already(run) or _why_not(run):
            hint = (
                f"`ccci canonical rollback {app.recipe}` goes back to the known-good before" if run.canonical else None
            )
            raise UsageError(f"known-good of {app.recipe} is {_unchanged(run)}: {reason}", hint=hint)
        return _promote_held(run, app)


@contextmanager
def _canonical_held(run: Run) -> Iterator[App]:
    session, app = run.session, app_of(run.session, run.recipe.name)
    with providers_held(run), recovered(app, run, wait=session.settings.provider_wait):
        yield app


def _promote_held(run: Run, app: App) -> str:
    if run.canonical is not None:
        check_idle(run.session, run.canonical)
    with dependencies(run, app):
        return _promote_locked(run, app)


def _known_already(run: Run) -> str:
    known = run.canonical
    return "it is this release already" if known is not None and known.record.commit == run.head.commit else ""


def _why_not(run: Run) -> str:
    if run.recipe.meta.provider:
        return "a provider is kept by its reconcile, and has no canonical"
    if run.request.ref or run.request.pull_request:
        return f"a run with {'--ref' if run.request.ref else '--pr'} never promotes"
    if not run.head.released:
        return "an unreleased commit is never promoted"
    if not run.complete:
        return "only a run of all stages promotes"
    known = run.canonical
    if known is not None and run.head.parsed < Release("", known.known_good, released=True).parsed:
        return f"{run.head.version} is older"
    return ""


def _unchanged(run: Run) -> str:
    return f"UNCHANGED ({run.canonical.known_good})" if run.canonical else "not seeded"


def _promote_locked(run: Run, app: App) -> str:
    session, before = run.session, run.canonical
    run.known_good = KnownGoodChange(
        before=before.known_good if before else "", digest_before=before.record.snapshot if before else ""
    )
    run.expected_deploys += 1
    with known_good_moving(run, app):
        with cleaned_up(lambda: drop_scratch(session.run_id, app.recipe)):
            start_promotion(app, run)
            deployment = session.deployments[app.domain]
            health_gate(app, run)
            take_down(app)
        session.perform(secrets_removed, sorted(run.given_secrets), fence=session.fence(app))
        keys = {name: key for key, name in deployment.volumes.items()}
        if before is None:  # until there is a known-good, recovery removes the file with everything else
            _write_env(app, deployment)
        record = commit_known_good(app, run.head, keys)
        _write_env(app, deployment)
    run.known_good = attrs.evolve(run.known_good, after=record.version, digest_after=record.snapshot)
    was = f"was {before.known_good}" if before else "seeded"
    return f"known-good is now {record.version} ({was}); canonical idle, volume retained"


def _write_env(app: App, deployment: Deployment) -> None:
    """Write down, where abra looks too, the env file that the canonical was deployed with."""
    session, text = current(), render(dict(deployment.place.env))
    session.perform(file_written, app.env_file, text=text, mode="0600", fence=session.fence(app))


@contextmanager
def known_good_moving(run: Run, app: App) -> Iterator[None]:
    """Around whatever moves known-good: a journal while it lasts, and the way back if it fails.

    The error of what failed stays the first; one of the way back is a note.
    """
    session = run.session
    write_journal(session, app, forked=False, promoting=True)
    try:
        yield
    except BaseException:
        with session.shielded():
            try:
                recover_canonical(app)
            except Exception as error:  # noqa: BLE001  (the cause is already on its way)
                session.say(f"clean-up failed: {error}", keep=True)
        raise
    clear_journal(session, app)


@step("bringing canonical {0.domain} up at the new release")
def start_promotion(app: App, run: Run) -> None:
    """Deploy the head at the canonical's domain: on its volumes, or fresh if there is no canonical yet."""
    session, known = run.session, run.canonical
    if known is not None:
        write_record(session, app, attrs.evolve(known.record, status=Status.DIRTY, run=session.run_id))
        env = canonical_env(run, app, run.head)
    else:
        env = app_env(files_of(run, app, run.head), app, run.head, run.recipe.meta.env_with(run.dep_domains))
    bring_up(run, app, run.head, env)


@step("taking the snapshot of {0.domain}")
def commit_known_good(app: App, release: Release, keys: Mapping[str, str]) -> CanonicalRecord:
    """Snapshot the undeployed canonical and make that known-good: the one place where it moves.

    Order of writes: new snapshot complete and read back; renamed into place, the old one beside it;
    canonical.json renamed into place: from here on the new known-good counts; the old snapshot becomes
    the one generation that is kept, in place of the one before it.

    Args:
        app: the canonical's app, undeployed and locked.
        release: what its data are of.
        keys: the compose file's key of each volume, by the volume's name.

    Raises:
        SnapshotBroken: an archive does not read back as what was written, or the data changed meanwhile.
    """
    session = current()
    there = session.read(Folder, path=app.home)
    if not HALF_SWAPPED.isdisjoint(there):
        settle_snapshot(app)  # this step is repeated after a lost connection: what is to be kept is put away first
    new, mark = snapshot_path(app).with_name("snapshot.new"), proof_mark(app).with_suffix(".new")
    manifest, fence = _snapshotted(session, app, release, keys), session.fence(app)
    record = CanonicalRecord(
        schema=CanonicalRecord.SCHEMA,
        recipe=app.recipe,
        domain=app.domain,
        version=release.version,
        commit=release.commit,
        status=Status.IDLE,
        snapshot=manifest.digest,
        secrets=list(session.read(StackLeftovers, stack=app.stack).secrets),
        updated=utc_now(),
        previous=_before(session, app, Generation(release.version, release.commit, manifest.digest)),
    )
    session.perform(swapped_in, new, at=snapshot_path(app), fence=fence)
    session.perform(file_written, record_path(app), text=codec.dump(record), fence=fence)
    session.perform(moved, mark, to=proof_mark(app), fence=fence)
    settle_snapshot(app)
    return record


def _snapshotted(session: Session, app: App, release: Release, keys: Mapping[str, str]) -> Manifest:
    """Write a whole new snapshot beside the one that counts, and the mark of its time beside the one that counts."""
    new, fence = snapshot_path(app).with_name("snapshot.new"), session.fence(app)
    mark = proof_mark(app).with_suffix(".new")
    session.perform(marked, mark, fence=fence)
    records = take_snapshot(session, app, canonical_volumes(session, app, keys), new)
    manifest = Manifest(Manifest.SCHEMA, app.recipe, release.version, release.commit, utc_now(), records)
    if changed := session.read(ChangedSince, folders=list(volume_folders(session, manifest).values()), mark=mark):
        raise SnapshotBroken(f"{changed[0]} changed while {app.domain} was snapshotted")
    session.perform(file_written, new / "manifest.json", text=codec.dump(manifest), fence=fence)
    return manifest


def _before(session: Session, app: App, now: Generation) -> Generation | None:
    """Return the known-good that a new one replaces; if it is the same one, the known-good before that."""
    record = read_record(session, app)
    if record is None or record.generation == now:
        return record.previous if record else None
    return record.generation


def canonical_volumes(session: Session, app: App, keys: Mapping[str, str]) -> dict[str, str]:
    """Return the canonical's volumes by key: `keys` has the compose file's key by volume name."""
    names = session.read(StackLeftovers, stack=app.stack).volumes
    return {keys.get(name, name.removeprefix(f"{app.stack}_")): name for name in names}


def take_snapshot(session: Session, app: App, volumes: dict[str, str], into: PurePosixPath) -> dict[str, VolumeRecord]:
    """Archive volumes and return a record of each.

    Raises:
        SnapshotBroken: an archive does not read back as what was written.
    """
    output = session.perform_for_output(snapshot_volumes, volumes, into=into, fence=session.fence(app))
    lines = [line for line in output if line]
    keys = sorted(volumes)
    if len(lines) != 3 * len(keys):
        raise SnapshotBroken(f"the snapshot of {app.domain} was cut short", detail="\n".join(lines[-5:]))
    records = {}
    for index, key in enumerate(keys):
        written, back, size = lines[3 * index : 3 * index + 3]
        if written != back:
            raise SnapshotBroken(f"the archive of {volumes[key]} reads back as {back[:12]}, not {written[:12]}")
        records[key] = VolumeRecord(volumes[key], written, int(size))
    return records
