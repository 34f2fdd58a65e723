"""Operations that back an app up and restore it, in its running containers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import PurePosixPath

from pyinfra.api import StringCommand, operation

from ccci.commands import backup
from ccci.commands.lock import Fence, fenced
from ccci.commands.shell import argv, command
from ccci.model.backup import SavedPath

Commands = Generator[StringCommand, None, None]
HOOK_TIMEOUT = 1800.0  # seconds for one hook
COPY_TIMEOUT = 6 * 3600.0  # seconds for one path


@operation(is_idempotent=False)
def hook_run(container: str, script: str, *, fence: Fence | None = None) -> Commands:
    """Run a backupbot hook in a container.

    + container: its id
    + script: the hook's shell text
    + fence: only while this run owns the app
    """
    yield command(fenced(backup.hook(container, script), fence), timeout=HOOK_TIMEOUT)


@operation(is_idempotent=False)
def folder_made(path: PurePosixPath, *, fence: Fence | None = None) -> Commands:
    """Make an empty folder that only its owner may read; what was there goes.

    + path: the folder
    + fence: only while this run owns the app
    """
    yield command(fenced(argv("rm", "-rf", "--one-file-system", path), fence))
    yield command(fenced(argv("install", "-d", "-m", "0700", path), fence))


@operation(is_idempotent=False)
def path_saved(
    container: str, saved: SavedPath, *, into: PurePosixPath, since: float, fence: Fence | None = None
) -> Commands:
    """Write the archive of a path, read it back, and print how much it holds and what is wrong with it.

    + container: its id
    + saved: the path
    + into: the archive
    + since: when hooks began, in seconds since the epoch
    + fence: only while this run owns the app
    """
    yield command(fenced(backup.save(container, saved.path, into, whole=saved.whole), fence), timeout=COPY_TIMEOUT)
    text = backup.examine(into, named=not saved.whole, since=since)
    yield command(fenced(text, fence), timeout=COPY_TIMEOUT)


@operation(is_idempotent=False)
def path_put_back(
    container: str, saved: SavedPath, *, archive: PurePosixPath, since: float, fence: Fence | None = None
) -> Commands:
    """Put an archive back where it came from, and print the files that are not there then or are others.

    + container: its id
    + saved: the path
    + archive: the archive
    + since: when the restore began, in seconds since the epoch
    + fence: only while this run owns the app
    """
    text = backup.put_back(container, saved.path, archive, whole=saved.whole)
    yield command(fenced(text, fence), timeout=COPY_TIMEOUT)
    text = backup.compare(container, saved.path, archive, whole=saved.whole, since=since)
    yield command(fenced(text, fence), timeout=COPY_TIMEOUT)
