"""Operations that put ccci on its host."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ccci.commands import host as on_host
from ccci.commands.shell import command
from ccci.facts.base import read
from ccci.facts.system import HostPython
from ccci.facts.warm import Exists, File, LinkTarget

Commands = Generator[StringCommand, None, None]


@operation()
def unpacked(release: PurePosixPath, *, archive: bytes, python: HostPython) -> Commands:
    """Make a release of an archive, in a venv of its own.

    + release: the folder; its name is a digest of the content
    + archive: gzipped tar, sent over standard input
    + python: the host's Python
    """
    if read(host, Exists, path=release):
        host.noop(f"{release} is there")
        return
    version = ".".join(map(str, python.version))
    text = on_host.unpack(release, python=python.path, version=version, size=len(archive))
    yield command(text, stdin=archive)


@operation()
def switched(link: PurePosixPath, *, to: PurePosixPath, settings: PurePosixPath, home: PurePosixPath) -> Commands:
    """Let a link name a release, once that release's own doctor is content.

    + link: the link
    + to: the release
    + settings: the settings file that the doctor reads
    + home: where it keeps what it must remember
    """
    if read(host, LinkTarget, path=link) == to:
        host.noop(f"{link} is {to.name} already")
        return
    yield command(on_host.switch(link, to, settings=settings, home=home), timeout=300)


@operation()
def key_made(path: PurePosixPath) -> Commands:
    """Make an SSH key, unless it is there.

    + path: the private key; the public one is beside it
    """
    if read(host, Exists, path=path):
        host.noop(f"{path} is there")
        return
    yield command(on_host.make_key(path))


@operation()
def authorised(public: PurePosixPath) -> Commands:
    """Let a key of this host log in from this host.

    + public: the public key
    """
    wanted = f"{on_host.KEY_OPTIONS} {(read(host, File, path=public) or '').strip()}"
    if wanted in (read(host, File, path=on_host.AUTHORIZED_KEYS) or "").splitlines():
        host.noop("it may log in already")
        return
    yield command(on_host.authorise(public))


@operation()
def unauthorised(public: PurePosixPath) -> Commands:
    """Let a key log in no more.

    + public: the public key; one that is not there is no fault
    """
    key = (read(host, File, path=public) or "").split()
    if len(key) < 2 or key[1] not in (read(host, File, path=on_host.AUTHORIZED_KEYS) or ""):  # noqa: PLR2004  (type, key)
        host.noop("it may not log in")
        return
    yield command(on_host.unauthorise(public))
