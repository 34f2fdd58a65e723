"""What an operator does to a canonical by hand: always under its lock, always explicit."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.engine.run import Run
from ccci.engine.session import Session, current
from ccci.engine.steps import cleaned_up, step
from ccci.errors import NotIdle, SnapshotBroken, StateUnreadable, UsageError
from ccci.facts.docker import StackLeftovers
from ccci.facts.warm import ArchiveDigests, Folder, Lock
from ccci.model.app import App
from ccci.model.canonical import Canonical, CanonicalRecord, Status
from ccci.model.run import Release
from ccci.steps.app import deploy_canonical, health_gate, take_down
from ccci.steps.guards import recovered
from ccci.steps.promote import commit_known_good
from ccci.steps.recover import (
    app_of,
    drop_scratch,
    prove,
    remove_strangers,
    restore_known_good,
)
from ccci.steps.registry import (
    changed,
    digest_now,
    read_record,
    snapshot_path,
    untouched,
    write_record,
)

# what lies beside the folders of the canonicals
AUDIT_FILES = tuple(f"{paths.AUDIT.name}{end}" for end in ("", ".1", ".lock"))
NO_RECIPES = ("cold", "runs", "scratch", "alerts", "nights", *AUDIT_FILES)


@attrs.frozen
class Glance:
    """A canonical at a glance, for lists: its record, what runs under its name, who holds its lock."""

    record: CanonicalRecord
    running: tuple[str, ...]
    holder: str | None


def list_canonicals(session: Session) -> tuple[list[Glance], list[str]]:
    """Return every canonical of the host, and what is wrong with those that cannot be read."""
    glances: list[Glance] = []
    faults: list[str] = []
    for name in session.read(Folder, path=paths.WARM):
        if name in NO_RECIPES:
            continue
        try:
            glances += _glance(session, app_of(session, name))
        except (StateUnreadable, UsageError) as error:
            faults.append(error.what)
    return glances, faults


def _glance(session: Session, app: App) -> list[Glance]:
    record = read_record(session, app)
    if record is None:
        return []
    running = session.read(StackLeftovers, stack=app.stack).running
    return [Glance(record, running, session.read(Lock, home=app.home).holder)]


def known(run: Run) -> Canonical:
    """Return the run's canonical.

    Raises:
        UsageError: the recipe has none.
    """
    if run.canonical is None:
        name = run.recipe.name
        raise UsageError(
            f"{name} has no canonical yet", hint=f"`ccci play cold --recipe {name}` seeds it if it is green"
        )
    return run.canonical


def deploy(run: Run) -> str:
    """Bring the canonical up on its own volumes, for an operator to look at or to change; returns its URL.

    From here on no run touches it, until it is undeployed and its data are seeded or restored.
    """
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        canonical = known(run)
        write_record(run.session, app, changed(canonical.record, Status.WARM))
        with cleaned_up(lambda: drop_scratch(run.session.run_id, app.recipe)):
            deploy_canonical(app, run)
            health_gate(app, run)
        return app.url


def undeploy(run: Run) -> bool:
    """Take the canonical down; returns whether its data still equal known-good, so that it is idle again."""
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        canonical = known(run)
        take_down(app)
        same = untouched(run.session, canonical) or digest_now(run.session, canonical) == canonical.record.snapshot
        if same:
            write_record(run.session, app, changed(canonical.record, Status.IDLE))
        return same


def seed(run: Run) -> CanonicalRecord:
    """Take the undeployed canonical's data as known-good of the version that it has.

    Raises:
        NotIdle: it is deployed.
    """
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        record, manifest = known(run).record, known(run).manifest
        keys = {volume.volume: key for key, volume in manifest.volumes.items()}
        refuse_deployed(run.session, app)
        # no journal and not dirty: an interrupted seed must not end in a restore of what it replaces
        return commit_known_good(app, Release(record.commit, record.version, released=True), keys)


def restore(run: Run) -> None:
    """Throw the canonical's data away and put known-good back."""
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        canonical = known(run)
        refuse_deployed(run.session, app)
        write_record(run.session, app, changed(canonical.record, Status.DIRTY, run=run.id))
        remove_strangers(app, canonical)
        restore_known_good(app, canonical)
        prove(app, canonical, cheaply=False)
        write_record(run.session, app, changed(canonical.record, Status.IDLE))


def verify(run: Run) -> list[str]:
    """Compare archives and volumes with the manifest, byte for byte; returns a line a volume.

    Raises:
        SnapshotBroken: an archive or a volume differs.
        NotIdle: it is deployed, so its data move.
    """
    with recovered(app_of(run.session, run.recipe.name), run) as app:
        canonical = known(run)
        refuse_deployed(run.session, app)
        return _verified(app, canonical)


@step("verifying known-good of {0.recipe}")
def _verified(app: App, canonical: Canonical) -> list[str]:
    session, manifest = current(), canonical.manifest
    keys = sorted(manifest.volumes)
    archives = session.read(ArchiveDigests, archives=[str(snapshot_path(app) / f"{key}.tar.zst") for key in keys])
    if bad := [k for k, digest in zip(keys, archives, strict=True) if digest != manifest.volumes[k].digest]:
        raise SnapshotBroken(
            f"the archive of {manifest.volumes[bad[0]].volume} is damaged",
            hint=f"if the volume is still right, `ccci canonical seed {app.recipe}` takes a new snapshot",
        )
    if digest_now(session, canonical) != canonical.record.snapshot:
        raise SnapshotBroken(
            f"the data of {app.domain} differ from known-good",
            hint=f"`ccci canonical restore {app.recipe}` puts known-good back, `seed` keeps what is there",
        )
    return [f"{manifest.volumes[k].volume}  sha256:{manifest.volumes[k].digest}" for k in keys]


def refuse_deployed(session: Session, app: App) -> None:
    """Refuse an app that is deployed: its data move.

    Raises:
        NotIdle: it is.
    """
    if session.read(StackLeftovers, stack=app.stack).running:
        raise NotIdle(f"{app.domain} is deployed", hint=f"first `ccci canonical undeploy {app.recipe}`")
