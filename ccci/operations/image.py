"""Operations on images."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ccci.commands import docker
from ccci.commands.shell import command
from ccci.facts.base import read
from ccci.facts.docker import MissingImages

Commands = Generator[StringCommand, None, None]


@operation()
def images_present(names: Sequence[str]) -> Commands:
    """Pull the images that the host does not have.

    + names: images, by name and tag
    """
    missing = read(host, MissingImages, names=names)
    if not missing:
        host.noop("all images are there")
    for name in missing:
        yield command(docker.pull(name), timeout=1800)


@operation()
def images_removed(names: Sequence[str]) -> Commands:
    """Remove an image by all its names, unless it is gone.

    + names: its names with tags, or its id
    """
    missing = read(host, MissingImages, names=names)
    there = [name for name in names if name not in missing]
    if not there:
        host.noop("no such image")
        return
    yield command(docker.image_rm(there), timeout=300)
