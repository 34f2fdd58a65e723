"""Facts about the host itself."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from pyinfra.api import StringCommand
from typing_extensions import override

from ccci.commands.shell import argv, quote
from ccci.facts.base import HostFact


@attrs.frozen
class Disk:
    """A file system: its size and what is free for us, in bytes."""

    size: int
    free: int


class DiskSpace(HostFact[Disk]):
    """How full the file system of a path is."""

    @override
    def command(self, path: str) -> StringCommand:
        """Args: path: any path on it."""
        return self.shell(argv("df", "-B1", "--output=size,avail", path))

    @override
    def parse(self, lines: list[str]) -> Disk:
        size, free = lines[-1].split()
        return Disk(int(size), int(free))


class MissingCommands(HostFact[tuple[str, ...]]):
    """Which of these commands the host does not have."""

    @override
    def command(self, names: Sequence[str]) -> StringCommand:
        """Args: names: names of commands."""
        looks = [f"{{ command -v {quote([name])} >/dev/null || echo {quote([name])}; }}" for name in names]
        return self.shell(" && ".join(looks))

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line)


class Listens(HostFact[bool]):
    """Whether something accepts connections on a TCP port of the host itself."""

    @override
    def command(self, port: int) -> StringCommand:
        """Args: port: its number."""
        return self.shell(
            f"timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{int(port)}' 2>/dev/null && echo yes || echo no"
        )

    @override
    def parse(self, lines: list[str]) -> bool:
        return {"yes": True, "no": False}[lines[0]]
