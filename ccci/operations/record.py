"""Operations on ccci's own files and on swarm secrets."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ccci.commands import docker, files
from ccci.commands.lock import Fence, fenced
from ccci.commands.shell import all_of, argv, command
from ccci.facts.base import read
from ccci.facts.docker import Secrets
from ccci.facts.warm import Exists, File

Commands = Generator[StringCommand, None, None]


@operation()
def file_written(path: PurePosixPath, *, text: str, mode: str = "0644", fence: Fence | None = None) -> Commands:
    """Write a file whole: beside it, on the disk, then renamed.

    + path: the file
    + text: its content, sent over standard input
    + mode: its mode
    + fence: only while this run owns the app
    """
    text = text if text.endswith("\n") else f"{text}\n"
    have = read(host, File, path=path)
    if have is not None and have.rstrip("\n") == text.rstrip("\n"):
        host.noop(f"{path} says that already")
        return
    yield command(fenced(files.write(path, len(text.encode()), mode=mode), fence), stdin=text)


@operation()
def removed(*paths: PurePosixPath, fence: Fence | None = None) -> Commands:
    """Remove files and folders.

    + paths: what to remove
    + fence: only while this run owns the app
    """
    there = [path for path in paths if read(host, Exists, path=path)]
    if not there:
        host.noop("nothing there")
        return
    yield command(fenced(files.remove(*there), fence))


@operation(is_idempotent=False)
def marked(path: PurePosixPath, *, fence: Fence | None = None) -> Commands:
    """Set a mark to the host's present time.

    + path: the mark
    + fence: only while this run owns the app
    """
    yield command(fenced(files.touch(path), fence))


@operation(is_idempotent=False)
def moved(what: PurePosixPath, *, to: PurePosixPath, fence: Fence | None = None) -> Commands:
    """Rename a file or folder; what a file replaces is gone in the same instant, and its time stays.

    + what: the file or folder
    + to: its new name
    + fence: only while this run owns the app
    """
    yield command(fenced(all_of(argv("mkdir", "-p", to.parent), argv("mv", "-T", what, to)), fence))


@operation(is_idempotent=False)
def swapped_in(new: PurePosixPath, *, at: PurePosixPath, fence: Fence | None = None) -> Commands:
    """Put a folder in another's place; the old one stays beside it until the new one stands.

    + new: the new folder, complete
    + at: where it goes
    + fence: only while this run owns the app
    """
    old = PurePosixPath(f"{at}.ccci-old")
    text = 'rm -rf "$2" && { [ ! -e "$1" ] || mv -T "$1" "$2"; } && mv -T "$3" "$1"'
    yield command(fenced(argv("sh", "-c", text, "-", at, old, new), fence))


@operation()
def secrets_present(values: Mapping[str, str], *, labels: Mapping[str, str], fence: Fence | None = None) -> Commands:
    """Create swarm secrets that are missing; those that exist keep their value.

    + values: values by name, sent over standard input
    + labels: labels of new ones
    + fence: only while this run owns the app
    """
    known = read(host, Secrets)
    missing = sorted(set(values) - set(known))
    if not missing:
        host.noop("all secrets exist")
    for name in missing:
        yield command(fenced(docker.secret_create(name, len(values[name]), labels=labels), fence), stdin=values[name])


@operation()
def secrets_removed(names: Sequence[str], *, fence: Fence | None = None) -> Commands:
    """Remove swarm secrets that exist.

    + names: their names
    + fence: only while this run owns the app
    """
    known = read(host, Secrets)
    there = [name for name in names if name in known]
    if not there:
        host.noop("no such secret")
        return
    yield command(fenced(all_of(docker.secret_rm(there)), fence))
