"""The canonical registry on the host: read it, mark it, prove the data behind it."""

from __future__ import annotations

from pathlib import PurePosixPath

import attrs

from ccci.engine.session import Session, utc_now
from ccci.errors import SnapshotBroken, StateUnreadable
from ccci.facts.docker import Volumes
from ccci.facts.warm import ChangedSince, Digests, File
from ccci.model import codec
from ccci.model.app import App, canonical_app
from ccci.model.canonical import Canonical, CanonicalRecord, Journal, Manifest, Status, combined, fits
from ccci.operations.record import file_written, marked, moved, removed
from ccci.operations.volume import data_of


def record_path(app: App) -> PurePosixPath:
    """Return where a canonical's record lies."""
    return app.home / "canonical.json"


def snapshot_path(app: App) -> PurePosixPath:
    """Return where a canonical's snapshot lies."""
    return app.home / "snapshot"


def snapshot_places(app: App) -> tuple[PurePosixPath, PurePosixPath, PurePosixPath]:
    """Return where the snapshot that counts can lie: in its place, or beside it after an interrupted swap."""
    at = snapshot_path(app)
    return at, at.with_name("snapshot.ccci-old"), at.with_name("snapshot.back")


def previous_path(app: App) -> PurePosixPath:
    """Return where the snapshot of the known-good before this one lies."""
    return app.home / "previous"


def proof_mark(app: App) -> PurePosixPath:
    """Return the mark whose mtime is the instant for which the data were last proven."""
    return app.home / "proven"


def find_canonical(session: Session, recipe: str) -> Canonical | None:
    """Read a recipe's canonical; None if it has none yet.

    Raises:
        StateUnreadable: the record or the manifest cannot be read, or they do not fit together.
    """
    app = canonical_app(recipe, session.host_settings.base_domain)
    record = read_record(session, app)
    if record is None:
        return None
    if record.domain != app.domain:
        raise StateUnreadable(
            f"the canonical of {recipe} is at {record.domain}, the settings say {app.domain}",
            hint="was the base domain changed? change it back, or retire the canonical",
        )
    for folder in snapshot_places(app):
        manifest = read_manifest(session, folder)
        if manifest is not None and fits(manifest, record):
            return Canonical(app, record, manifest)
    raise SnapshotBroken(
        f"no snapshot of {recipe} is the one that canonical.json names",
        hint=f"look at {app.home} on the host; without it known-good cannot be proven any more",
    )


def read_record(session: Session, app: App) -> CanonicalRecord | None:
    """Read canonical.json, or None if there is none."""
    path = record_path(app)
    text = session.read(File, path=path)
    return None if text is None else codec.load(CanonicalRecord, text, where=str(path))


def read_manifest(session: Session, folder: PurePosixPath) -> Manifest | None:
    """Read a snapshot's manifest, or None if there is none."""
    path = folder / "manifest.json"
    text = session.read(File, path=path)
    return None if text is None else codec.load(Manifest, text, where=str(path))


def read_journal(session: Session, app: App) -> Journal | None:
    """Read an app's journal, or None if no run is changing it."""
    text = session.read(File, path=app.journal)
    return None if text is None else codec.load(Journal, text, where=str(app.journal))


def write_record(session: Session, app: App, record: CanonicalRecord) -> None:
    """Write canonical.json."""
    session.perform(file_written, record_path(app), text=codec.dump(record), fence=session.fence(app))


def write_journal(session: Session, app: App, *, forked: bool, promoting: bool = False) -> None:
    """Say on the host what this run is about to change, before it does."""
    journal = Journal(
        schema=Journal.SCHEMA,
        run_id=session.run_id,
        playbook=session.playbook,
        recipe=app.recipe,
        domain=app.domain,
        who=session.holder(),
        started=utc_now(),
        forked=forked,
        promoting=promoting,
    )
    session.perform(file_written, app.journal, text=codec.dump(journal), fence=session.fence(app))


def clear_journal(session: Session, app: App) -> None:
    """Say on the host that this run has put everything back."""
    session.perform(removed, app.journal, fence=session.fence(app))


def volume_folders(session: Session, manifest: Manifest) -> dict[str, str]:
    """Return where the data of a snapshot's volumes lie, by key.

    Raises:
        SnapshotBroken: a volume is missing.
    """
    known = session.read(Volumes)
    missing = [r.volume for r in manifest.volumes.values() if r.volume not in known]
    if missing:
        raise SnapshotBroken(f"volume {missing[0]} of known-good is missing")
    return {key: str(data_of(known[r.volume])) for key, r in manifest.volumes.items()}


def untouched(session: Session, canonical: Canonical) -> bool:
    """Return whether nothing in the canonical's volumes changed since the data were last proven."""
    folders = volume_folders(session, canonical.manifest)
    return not session.read(ChangedSince, folders=list(folders.values()), mark=proof_mark(canonical.app))


def digest_now(session: Session, canonical: Canonical) -> str:
    """Take the digest of the canonical's volumes; if it is known-good's, remember the proof.

    The mark is set before the digest is taken, so that a change in between is seen as one.
    """
    app, folders = canonical.app, volume_folders(session, canonical.manifest)
    keys = sorted(folders)
    mark = proof_mark(app).with_suffix(".new")
    session.perform(marked, mark, fence=session.fence(app))
    digests = session.read(Digests, folders=[folders[key] for key in keys])
    digest = combined(dict(zip(keys, digests, strict=True)))
    if digest == canonical.record.snapshot:
        session.perform(moved, mark, to=proof_mark(app), fence=session.fence(app))
    return digest


def changed(record: CanonicalRecord, status: Status, *, run: str = "") -> CanonicalRecord:
    """Return the record with another status."""
    return attrs.evolve(record, status=status, run=run, updated=utc_now())
