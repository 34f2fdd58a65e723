"""Facts about what may be removed: images and their users, sizes of folders, runs that live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyinfra.api import StringCommand
from typing_extensions import override

from ccci import paths
from ccci.commands import docker, lock
from ccci.commands.shell import argv, quote
from ccci.facts.base import HostFact
from ccci.facts.docker import answers
from ccci.model.pruning import Image

_NONE = ("<none>:<none>", "<none>@<none>")


class Images(HostFact[tuple[Image, ...]]):
    """Every image of the host, without the layers that are only parts of others."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(docker.get("/images/json"))

    @override
    def parse(self, lines: list[str]) -> tuple[Image, ...]:
        [data] = answers(lines, 1)
        return tuple(Image(i["Id"], _names(i), int(i["Size"])) for i in data)


def _names(image: Any) -> tuple[str, ...]:
    names = [*(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])]
    return tuple(name for name in names if name not in _NONE)


class UsedImages(HostFact[frozenset[str]]):
    """Ids and names of the images that containers, running or not, and services are made of."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(docker.get("/containers/json?all=true", "/services"))

    @override
    def parse(self, lines: list[str]) -> frozenset[str]:
        containers, services = answers(lines, 2)
        ids = {str(container[key]) for container in containers for key in ("ImageID", "Image")}
        return frozenset(ids | {str(s["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]) for s in services})


class FolderSizes(HostFact[tuple[int, ...]]):
    """How many bytes folders take, in the order asked for; one that is not there takes none."""

    @override
    def command(self, folders: Sequence[str]) -> StringCommand:
        """Args: folders: absolute paths on the host."""
        self.count = len(folders)
        text = 'for d; do if [ -e "$d" ]; then du -sxB1 "$d" | cut -f 1; else echo 0; fi; done'
        return self.shell(argv("sh", "-c", text, "ccci-sizes", *folders), timeout=900)

    @override
    def parse(self, lines: list[str]) -> tuple[int, ...]:
        sizes = tuple(int(line) for line in lines if line)
        if len(sizes) != self.count:
            raise ValueError(f"{len(sizes)} sizes, {self.count} expected")
        return sizes


class LiveRuns(HostFact[tuple[str, ...]]):
    """The ids of the runs that hold a lock on the host now."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(quote(lock.live_owners(paths.WARM)))

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(sorted({line for line in lines if line}))
