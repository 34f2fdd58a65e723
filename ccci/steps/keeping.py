"""What a reconcile knows of its provider, and the moves that it makes: deploy, gate, snapshot, go back."""

from __future__ import annotations

import attrs

from ccci.engine.run import Run
from ccci.engine.session import Session, current, utc_now
from ccci.engine.steps import cleaned_up, step
from ccci.errors import CommandFailed, DeployFailed, GateFailed, SnapshotBroken, UsageError
from ccci.facts.docker import MissingImages, Stack, StackLeftovers
from ccci.facts.warm import File
from ccci.model import codec, envfile
from ccci.model.app import App
from ccci.model.canonical import Manifest
from ccci.model.deployment import app_env, sample_env
from ccci.model.provider import Phase, ProviderRecord, ReconcileJournal
from ccci.model.run import Release
from ccci.model.version import Version, is_version
from ccci.operations.image import images_present
from ccci.operations.record import file_written, removed, secrets_removed, swapped_in
from ccci.operations.stack import health_gate as health_gate_operation
from ccci.operations.volume import remove_volumes, restore_volumes
from ccci.steps.app import bring_up, files_of, health_gate, plan_release, take_down
from ccci.steps.promote import take_snapshot
from ccci.steps.recover import drop_scratch
from ccci.steps.registry import read_manifest, snapshot_path

LAST_GOOD = "last_good.json"
PATIENCE = 20.0  # seconds that a provider which is up but not healthy gets, before it is deployed again


def read_last_good(session: Session, app: App) -> ProviderRecord | None:
    """Read what is known of a provider, or None if no reconcile has been here yet."""
    path = app.home / LAST_GOOD
    text = session.read(File, path=path)
    return None if text is None else codec.load(ProviderRecord, text, where=str(path))


def write_last_good(session: Session, app: App, record: ProviderRecord) -> None:
    """Write what is known of a provider."""
    dated = attrs.evolve(record, updated=utc_now())
    session.perform(file_written, app.home / LAST_GOOD, text=codec.dump(dated), fence=session.fence(app))


def read_upgrade(session: Session, app: App) -> ReconcileJournal | None:
    """Read the journal of an upgrade that is under way or was interrupted."""
    text = session.read(File, path=app.journal)
    return None if text is None else codec.load(ReconcileJournal, text, where=str(app.journal))


def write_upgrade(session: Session, app: App, journal: ReconcileJournal) -> None:
    """Say on the host how far an upgrade got."""
    session.perform(file_written, app.journal, text=codec.dump(journal), fence=session.fence(app))


def release_of(run: Run, version: Version, commit: str = "") -> Release:
    """Return a release by its version; by the commit that was remembered, if its tag is gone.

    Raises:
        UsageError: neither is known.
    """
    if version in run.releases:
        return run.releases[version]
    if not commit:
        raise UsageError(f"{run.recipe.name} has no release {version} any more", hint="push its tag again")
    return Release(commit, str(version), released=True)


@step("looking which version of {1.recipe.name} runs")
def current_version(app: App, run: Run) -> Version | None:
    """Return the version that runs or ran last: what its own label says, else its env file; None if there is none."""
    label = run.session.read(Stack, stack=app.stack).labels.get(f"coop-cloud.{app.stack}.version", "")
    if is_version(label):
        return Version.parse(label)
    text = run.session.read(File, path=app.env_file)
    _, version = envfile.type_of(envfile.parse(text, where=str(app.env_file))) if text else ("", None)
    return Version.parse(version) if version and is_version(version) else None


@step("looking whether {0.domain} is healthy")
def is_healthy(app: App, run: Run, release: Release) -> bool:
    """Return whether a release runs and serves now; one that is just starting gets a little time.

    Who deployed it does not matter: its services, their images and what it answers do.
    """
    session = run.session
    state = session.read(Stack, stack=app.stack)
    if not state.services:
        return False
    deployment = attrs.evolve(plan_release(run, app, release, provider_env(run, app, release)), inputs="")
    health = attrs.evolve(run.recipe.meta.health, timeout=PATIENCE)
    try:
        session.perform(
            health_gate_operation, deployment, health, since=state.now, going_back=True, tell=session.waiting
        )
    except GateFailed as error:
        session.say(f"{app.domain} is not healthy: {error.what}", keep=True)
        return False
    return True


def provider_env(run: Run, app: App, release: Release) -> dict[str, str]:
    """Return a provider's env file with what is new in a release's sample; of a new one, what it will be."""
    files = files_of(run, app, release)
    text = run.session.read(File, path=app.env_file)
    if text is None:
        return app_env(files, app, release, run.recipe.meta.env_with({}))
    own = envfile.parse(text, where=str(app.env_file))
    return {**sample_env(files), **own, "TYPE": f"{app.recipe}:{release.version}"}


@step("deploying {2.version} at {0.domain}")
def put_up(app: App, run: Run, release: Release) -> None:
    """Deploy a release of the provider, over what runs or from nothing."""
    bring_up(run, app, release, provider_env(run, app, release))


@step("fetching the images of {2.version}")
def fetch_images(app: App, run: Run, release: Release) -> None:
    """See that the release can be deployed, and pull its images while the old version still serves.

    Raises:
        ComposeError: its files cannot be deployed.
        DeployFailed: an image does not exist.
    """
    deployment = plan_release(run, app, release, provider_env(run, app, release))
    images = sorted({service.image for service in deployment.compose.services.values()})
    try:
        run.session.perform(images_present, images)
    except CommandFailed as error:
        missing = run.session.read(MissingImages, names=images)
        what = f"image {', '.join(missing)} does not exist, or cannot be pulled"
        raise DeployFailed(what, detail=error.detail) from error


@step("writing down that {2.version} is the last good of {0.domain}")
def commit_version(app: App, run: Run, release: Release) -> None:
    """Make a release the one to come back to: its gate has passed.

    Order of writes: last_good.json, from here on the new one counts; the env file's version; the journal goes.
    """
    session, fence = run.session, run.session.fence(app)
    record = ProviderRecord(ProviderRecord.SCHEMA, app.recipe, app.domain, release.version, release.commit)
    write_last_good(session, app, record)
    text = session.read(File, path=app.env_file)
    value = f"{app.recipe}:{release.version}"
    whole = envfile.render(provider_env(run, app, release)) if text is None else envfile.retyped(text, value)
    session.perform(file_written, app.env_file, text=whole, mode="0600", fence=fence)
    session.perform(removed, app.journal, fence=fence)


@step("taking the snapshot of {0.domain}")
def snapshot_provider(app: App, release: Release) -> None:
    """Snapshot an undeployed provider's volumes, in place of the snapshot before.

    Raises:
        SnapshotBroken: an archive does not read back as what was written.
    """
    session, at = current(), snapshot_path(app)
    new, fence = at.with_name("snapshot.new"), session.fence(app)
    prefix = f"{app.stack}_"
    volumes = {name.removeprefix(prefix): name for name in session.read(StackLeftovers, stack=app.stack).volumes}
    records = take_snapshot(session, app, volumes, new)
    manifest = Manifest(Manifest.SCHEMA, app.recipe, release.version, release.commit, utc_now(), records)
    session.perform(file_written, new / "manifest.json", text=codec.dump(manifest), fence=fence)
    session.perform(swapped_in, new, at=at, fence=fence)
    session.perform(removed, at.with_name("snapshot.ccci-old"), fence=fence)


@step("restoring the data of {0.domain} from before {1.attempted}")
def restore_provider(app: App, journal: ReconcileJournal) -> None:
    """Make the volumes equal to the snapshot, proven by digest; what only the new version had goes.

    Raises:
        SnapshotBroken: the snapshot is not of the version to go back to, or cannot be restored.
    """
    session, fence = current(), current().fence(app)
    manifest = read_manifest(session, snapshot_path(app))
    if manifest is None or manifest.version != journal.last_good:
        raise SnapshotBroken(f"{snapshot_path(app)} is not the snapshot of {journal.last_good}")
    left = session.read(StackLeftovers, stack=app.stack)
    kept = {record.volume for record in manifest.volumes.values()}
    session.perform(remove_volumes, [name for name in left.volumes if name not in kept], fence=fence)
    session.perform(secrets_removed, [n for n in left.secrets if n not in journal.secrets], fence=fence)
    session.perform(restore_volumes, manifest, snapshot=snapshot_path(app), fence=fence)


def go_back(app: App, run: Run, journal: ReconcileJournal) -> None:
    """Bring a provider back to its last good version, with the data that it had; safe to repeat.

    Raises:
        CcciError: a part of that failed. The journal stays, and so does the snapshot.
    """
    session = run.session
    before = release_of(run, Version.parse(journal.last_good), journal.commit)
    with cleaned_up(lambda: drop_scratch(journal.run_id, app.recipe)):
        if run.stateful:
            take_down(app)
            if journal.phase is Phase.DEPLOY:
                restore_provider(app, journal)
        put_up(app, run, before)
        health_gate(app, run, going_back=True)
        session.perform(removed, app.journal, fence=session.fence(app))


def record_of(app: App, run: Run, version: Version | None) -> ProviderRecord:
    """Return what is known of a provider at a version, as if for the first time if another one was known."""
    record = read_last_good(run.session, app)
    if record is not None and record.version == str(version):
        return record
    release = release_of(run, version or run.head.parsed, record.commit if record else "")
    fresh = ProviderRecord(ProviderRecord.SCHEMA, app.recipe, app.domain, release.version, release.commit)
    return attrs.evolve(fresh, failed=record.failed, alerted=record.alerted) if record else fresh


def commit_of(app: App, run: Run, version: Version) -> str:
    """Return the commit that a version is remembered to have had, or an empty text."""
    record = read_last_good(run.session, app)
    return record.commit if record and record.version == str(version) else ""
