"""What a recipe's backupbot labels say: pure. docs/recipes.md has the rules, old labels and new."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

import attrs

from ccci.errors import ComposeError
from ccci.model.names import shown

if TYPE_CHECKING:
    from ccci.model.compose import Compose
    from ccci.model.servicereader import Service

PREFIX = "backupbot."
_VOLUMES = f"{PREFIX}backup.volumes."
_SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
_SHELL_WORDS = 3  # sh -c TEXT


@attrs.frozen
class SavedPath:
    """Something that a backup saves.

    Attributes:
        path: where it is in the container.
        whole: whether it is all of a volume, which may be empty; else it was named, and must hold something.
    """

    path: str
    whole: bool = False


@attrs.frozen
class ServiceBackup:
    """How a service is backed up and restored; a hook is shell text, empty if there is none.

    Attributes:
        service: its name in the compose file.
        paths: what is saved.
        before, after: hooks around a backup.
        before_restore, after_restore: hooks around a restore.
    """

    service: str
    paths: tuple[SavedPath, ...]
    before: str = ""
    after: str = ""
    before_restore: str = ""
    after_restore: str = ""


def backups_of(compose: Compose) -> list[ServiceBackup]:
    """Read the labels of all services.

    Returns:
        The services that have `backupbot.backup=true`, in the order of the file.

    Raises:
        ComposeError: a label names a path that leaves its volume, or that is none.
    """
    return [_read(s) for s in compose.services.values() if s.labels.get(f"{PREFIX}backup", "").lower() == "true"]


def strange_labels(compose: Compose) -> list[str]:
    """Return the labels that name a volume which their service does not mount: most likely a mistake."""
    return [
        f"{service.name}: {label}"
        for service in compose.services.values()
        for label in service.labels
        if label.startswith(_VOLUMES) and label.removeprefix(_VOLUMES).removesuffix(".path") not in _volumes(service)
    ]


def _volumes(service: Service) -> dict[str, str]:
    return {m.source: m.target for m in service.volumes if m.type == "volume" and m.source and not m.read_only}


def _read(service: Service) -> ServiceBackup:
    def hook(*names: str) -> str:
        return next((script_of(text) for name in names if (text := service.labels.get(PREFIX + name, ""))), "")

    return ServiceBackup(
        service=service.name,
        paths=_paths(service),
        before=hook("backup.pre-hook", "backup.command"),
        after=hook("backup.post-hook"),
        before_restore=hook("restore.pre-hook"),
        after_restore=hook("restore.post-hook"),
    )


def _paths(service: Service) -> tuple[SavedPath, ...]:
    labels = service.labels
    if old := labels.get(f"{PREFIX}backup.path"):
        return tuple(SavedPath(path) for path in _absolutes(old, f"{service.name}: {PREFIX}backup.path"))
    found: list[SavedPath] = []
    for volume, target in _volumes(service).items():
        if labels.get(f"{_VOLUMES}{volume}", "").lower() == "false":
            continue
        label = f"{_VOLUMES}{volume}.path"
        if label in labels:
            inside = [_inside(target, path, f"{service.name}: {label}") for path in _list(labels[label])]
            found += [SavedPath(path, whole=path == posixpath.normpath(target)) for path in inside]
        else:
            found.append(SavedPath(posixpath.normpath(target), whole=True))
    return tuple(dict.fromkeys(found))


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _absolutes(text: str, where: str) -> list[str]:
    for path in _list(text):
        if not path.startswith("/") or posixpath.normpath(path) in ("/", "//"):
            raise ComposeError(f"{where} is {shown(path)}", hint="name absolute paths in the container, but not /")
    return [posixpath.normpath(path) for path in _list(text)]


def _inside(target: str, path: str, where: str) -> str:
    root = posixpath.normpath(target)
    whole = posixpath.normpath(posixpath.join(root, path))
    if path.startswith("/") or (whole != root and not whole.startswith(f"{root}/")):
        raise ComposeError(f"{where} is {shown(path)}, which leaves the volume", hint="name paths within the volume")
    return whole


def script_of(hook: str) -> str:
    """Return a hook's own shell text: a `sh -c '…'` around it goes, so that a failure in a pipe can be seen."""
    try:
        words = shlex.split(hook)
    except ValueError:
        return hook
    return words[-1] if len(words) == _SHELL_WORDS and words[0] in _SHELLS and words[1] == "-c" else hook
