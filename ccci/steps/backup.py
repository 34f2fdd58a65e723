"""Back an app up by its recipe's backupbot labels, lose its data, and restore them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NoReturn

from ccci import paths
from ccci.commands.backup import COUNT, FAULT
from ccci.engine.run import Run
from ccci.engine.session import Session, current
from ccci.engine.steps import cleaned_up, step
from ccci.errors import BackupFailed, CommandFailed, CommandTimeout, InfrastructureError, RestoreFailed
from ccci.facts.docker import Stack, StackLeftovers
from ccci.model.app import App
from ccci.model.backup import SavedPath, ServiceBackup, backups_of, strange_labels
from ccci.model.deployment import app_env
from ccci.operations.backup import folder_made, hook_run, path_put_back, path_saved
from ccci.operations.stack import container_of
from ccci.operations.volume import remove_volumes
from ccci.steps.app import bring_up, files_of, plan_release, take_down

NO_LABELS = "no service of the recipe has the label backupbot.backup=true"
_HOSTS_FAULT = ("No space left on device", "Cannot connect to the Docker daemon", "error during connect")
Failure = type[BackupFailed] | type[RestoreFailed]


def backup_missing(app: App, run: Run) -> str:
    """Return why the head has nothing to back up, or an empty text if it has; changes nothing.

    Raises:
        ComposeError: a label cannot be used.
    """
    env = app_env(files_of(run, app, run.head), app, run.head, run.recipe.meta.env_with(run.dep_domains))
    return "" if backups_of(plan_release(run, app, run.head, env).compose) else NO_LABELS


@step("backing {0.domain} up")
def back_up(app: App, run: Run) -> None:
    """Run the hooks, save every path that the labels name, and read each archive back.

    Raises:
        BackupFailed: a hook failed, a path is missing, a file is empty, cut short or damaged, or nothing was saved.
    """
    session, services = run.session, _services(app, run)
    since = session.read(Stack, stack=app.stack).now
    session.perform(folder_made, _folder(app, run), fence=session.fence(app))
    for label in strange_labels(session.deployments[app.domain].compose):
        session.say(f"the label {label} names a volume that this service does not mount", keep=True)
    saved = 0
    hooks = [_hook_of(app, s.service, "backup.post-hook", s.after, BackupFailed) for s in services if s.after]
    with cleaned_up(*hooks):
        for service in services:
            if service.before:
                _hook_of(app, service.service, "backup.pre-hook", service.before, BackupFailed)()
        for service in services:
            for index, path in enumerate(service.paths):
                session.waiting(f"{service.service}: saving {path.path}")
                saved += _save(app, service.service, path, _archive(app, run, service, index), since)
    if not saved:
        raise BackupFailed(
            f"the backup of {app.domain} holds not one file with content",
            hint="the labels exclude every volume, or what they name is empty",
        )


@step("losing the data of {0.domain}")
def lose_data(app: App, run: Run) -> None:
    """Remove the volumes and bring the head up without them: what a restore has to stand is the loss of a disk."""
    session = run.session
    env = dict(session.deployments[app.domain].place.env)
    take_down(app)
    volumes = session.read(StackLeftovers, stack=app.stack).volumes
    session.perform(remove_volumes, volumes, fence=session.fence(app))
    run.expected_deploys += 1
    bring_up(run, app, run.head, env)


@step("restoring {0.domain} from its backup")
def restore_backup(app: App, run: Run) -> None:
    """Put the archives back, see that every file is there, and run the hooks around that.

    Raises:
        RestoreFailed: a hook failed, or a file is not what was saved.
    """
    session, services = run.session, _services(app, run)
    since = session.read(Stack, stack=app.stack).now
    for service in services:
        if service.before_restore:
            _hook_of(app, service.service, "restore.pre-hook", service.before_restore, RestoreFailed)()
    for service in services:
        for index, path in enumerate(service.paths):
            session.waiting(f"{service.service}: putting {path.path} back")
            _put_back(app, service.service, path, _archive(app, run, service, index), since)
    for service in services:
        if service.after_restore:
            _hook_of(app, service.service, "restore.post-hook", service.after_restore, RestoreFailed)()


def _services(app: App, run: Run) -> list[ServiceBackup]:
    return backups_of(run.session.deployments[app.domain].compose)


def _folder(app: App, run: Run) -> PurePosixPath:
    return paths.scratch_of(run.id, app.recipe) / "backup"


def _archive(app: App, run: Run, service: ServiceBackup, index: int) -> PurePosixPath:
    return _folder(app, run) / f"{service.service}-{index}.tar.zst"


def _hook_of(app: App, service: str, label: str, script: str, failed: Failure) -> Callable[[], None]:
    def call() -> None:
        session = current()
        session.waiting(f"{service}: running its {label}")
        container = _container(session, app, service, failed)
        try:
            session.perform(hook_run, container, script, fence=session.fence(app))
        except CommandFailed as error:
            _blame(error, f"{service}: the {label} failed", failed)

    return call


def _container(session: Session, app: App, service: str, failed: Failure) -> str:
    try:
        return container_of(session.read(Stack, stack=app.stack), service)
    except InfrastructureError as error:
        raise failed(f"{service}: no container of it runs, so its labels cannot be heeded") from error


def _blame(error: CommandFailed, what: str, failed: Failure) -> NoReturn:
    """Raise what a failed command means: the recipe's fault, or the host's own error."""
    if isinstance(error, CommandTimeout) or any(word in (error.detail or "") for word in _HOSTS_FAULT):
        raise error
    last = (error.detail or "").strip().splitlines()[-1:] or ["it said nothing"]
    raise failed(f"{what}: {last[0]}", detail=error.detail) from error


def _save(app: App, service: str, path: SavedPath, archive: PurePosixPath, since: float) -> int:
    """Save one path; return how many bytes of files it holds."""
    session = current()
    container = _container(session, app, service, BackupFailed)
    try:
        lines = session.perform_for_output(
            path_saved, container, path, into=archive, since=since, fence=session.fence(app)
        )
    except CommandFailed as error:
        _blame(error, f"{service}: {path.path} cannot be saved", BackupFailed)
    faults = [line.removeprefix(FAULT).strip() for line in lines if line.startswith(FAULT)]
    if faults:
        raise BackupFailed(f"{service}: {path.path}: {faults[0]}", detail="\n".join(faults))
    [count] = [line.split()[1:] for line in lines if line.startswith(COUNT)]
    if not path.whole and not int(count[1]):
        raise BackupFailed(f"{service}: {path.path} holds nothing, and it was named to be saved")
    session.say(f"{service}: saved {path.path}: {count[0]} files, {count[1]} bytes")
    return int(count[1])


def _put_back(app: App, service: str, path: SavedPath, archive: PurePosixPath, since: float) -> None:
    session = current()
    container = _container(session, app, service, RestoreFailed)
    try:
        lines = session.perform_for_output(
            path_put_back, container, path, archive=archive, since=since, fence=session.fence(app)
        )
    except CommandFailed as error:
        _blame(error, f"{service}: {path.path} cannot be put back", RestoreFailed)
    if wrong := [line for line in lines if line.strip()]:
        raise RestoreFailed(f"{service}: {path.path}: {wrong[0]} is not what was saved", detail="\n".join(wrong[:15]))
