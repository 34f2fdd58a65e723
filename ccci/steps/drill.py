"""The restore drill: is every snapshot still one that can be restored? Tried for real, on scratch volumes."""

from __future__ import annotations

import time

import attrs

from ccci import paths
from ccci.engine.disk import check_floor
from ccci.engine.session import Session
from ccci.engine.steps import cleaned_up, step
from ccci.errors import CcciError, SnapshotBroken
from ccci.facts.docker import Volumes
from ccci.facts.warm import Digests, Exists, Folder
from ccci.model.canonical import Manifest, combined, fits
from ccci.model.night import NightRow, Work, last_done, oldest_first
from ccci.model.run import Verdict
from ccci.operations.volume import data_of, remove_volumes, restore_volumes
from ccci.steps.night import Tonight
from ccci.steps.operator import NO_RECIPES
from ccci.steps.recover import app_of
from ccci.steps.registry import read_manifest, read_record, snapshot_places

DRILL = "ccci-drill-"  # begins the names of the drill's volumes


def rehearse_restores(tonight: Tonight) -> None:
    """Restore every snapshot of the host into scratch volumes, compare digests, and drop them; oldest drill first."""
    session = tonight.run.session
    found = [name for name in session.read(Folder, path=paths.WARM) if name not in NO_RECIPES]
    there = [name for name in found if _has_snapshot(session, name)]
    if not tonight.dry:
        drop_drills(session)
    for name in oldest_first(there, last_done(tonight.before, Work.DRILL)):
        if tonight.dry or tonight.left <= 0:
            why = "would be restored for a trial" if tonight.dry else "the night was over before its turn"
            tonight.skip(Work.DRILL, name, because=why)
            continue
        begin = time.monotonic()
        try:
            check_floor(session)
            version = drill(session, name)
        except CcciError as error:
            row = tonight.row(Work.DRILL, name, Verdict.ERRORED, reason=error.what)
            tonight.add(_timed(row, begin), detail=error.detail or "")
        else:
            tonight.add(_timed(tonight.row(Work.DRILL, name, Verdict.PASSED, version=version), begin))


def _timed(row: NightRow, begin: float) -> NightRow:
    return attrs.evolve(row, seconds=round(time.monotonic() - begin, 1))


def _has_snapshot(session: Session, name: str) -> bool:
    home = paths.WARM / name
    return session.read(Exists, path=home / "canonical.json") or session.read(Exists, path=home / "snapshot")


def drop_drills(session: Session) -> None:
    """Remove the volumes of drills that were cut off; none is under way while we hold the nights' lock."""
    dead = [name for name in session.read(Volumes) if name.startswith(DRILL)]
    session.perform(remove_volumes, dead)


@step("restoring the snapshot of {1} for a trial")
def drill(session: Session, name: str) -> str:
    """Restore a snapshot into scratch volumes and compare what comes out with its digest.

    The app is not locked for that: a run on it may go on. If its snapshot is replaced meanwhile, the new one is tried.

    Args:
        session: the session.
        name: the recipe's name.

    Returns:
        The version whose data the snapshot holds.

    Raises:
        SnapshotBroken: what comes out is not what the record promises.
    """
    manifest = _manifest(session, name)
    try:
        _restore(session, manifest, name)
    except CcciError:
        again = _manifest(session, name)
        if again == manifest:
            raise
        manifest = again
        _restore(session, manifest, name)
    return manifest.version


def _manifest(session: Session, name: str) -> Manifest:
    app = app_of(session, name)
    record = read_record(session, app)
    manifest = read_manifest(session, snapshot_places(app)[0])
    if manifest is None or (record is not None and not fits(manifest, record)):
        raise SnapshotBroken(
            f"the snapshot of {name} is not the one that canonical.json names",
            hint=f"look at {app.home} on the host; `ccci canonical verify {name}` recovers what a dead run left",
        )
    return manifest


def _restore(session: Session, manifest: Manifest, name: str) -> None:
    scratch = {key: f"{DRILL}{session.run_id}-{name}-{key}" for key in manifest.volumes}
    records = {key: attrs.evolve(record, volume=scratch[key]) for key, record in manifest.volumes.items()}
    snapshot = snapshot_places(app_of(session, name))[0]
    with cleaned_up(lambda: session.perform(remove_volumes, sorted(scratch.values()))):
        session.perform(restore_volumes, attrs.evolve(manifest, volumes=records), snapshot=snapshot)
        known, keys = session.read(Volumes), sorted(scratch)
        digests = session.read(Digests, folders=[str(data_of(known[scratch[key]])) for key in keys])
        found = combined(dict(zip(keys, digests, strict=True)))
        if found != manifest.digest:
            raise SnapshotBroken(f"restored for a trial, {name} has digest {found[:12]}, not {manifest.digest[:12]}")
