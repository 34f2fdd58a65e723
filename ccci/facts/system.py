"""Facts about the host itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

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


_PYTHON = """
import json, os, platform, sys
libc, version = platform.libc_ver()
print(json.dumps({
    "version": sys.version_info[:2], "full": platform.python_version(), "machine": platform.machine(),
    "glibc": [int(part) for part in version.split(".")[:2]] if libc == "glibc" else [0, 0],
    "path": os.path.realpath(sys.executable)}))
"""


@attrs.frozen
class HostPython:
    """The host's Python.

    Attributes:
        version: major and minor.
        full: its whole version.
        machine: the processor's kind, such as x86_64.
        glibc: version of the C library; (0, 0) if it is another one.
        path: the program.
    """

    version: tuple[int, int]
    full: str
    machine: str
    glibc: tuple[int, int]
    path: str

    @property
    def tag(self) -> str:
        """What packages are chosen by, as a short text."""
        return f"cp{self.version[0]}{self.version[1]}-{self.glibc[0]}.{self.glibc[1]}-{self.machine}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What conditions in lists of requirements may ask for (PEP 508)."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": self.full,
            "python_version": ".".join(map(str, self.version)),
            "sys_platform": "linux",
        }


class PythonThere(HostFact[HostPython]):
    """Which python3 the host has."""

    @override
    def command(self) -> StringCommand:
        return self.shell(argv("python3", "-c", _PYTHON))

    @override
    def parse(self, lines: list[str]) -> HostPython:
        data = json.loads(lines[-1])
        version, glibc = tuple(map(int, data["version"])), tuple(map(int, data["glibc"]))
        return HostPython(
            (version[0], version[1]), str(data["full"]), str(data["machine"]), (glibc[0], glibc[1]), str(data["path"])
        )


@attrs.frozen
class SshServer:
    """The host's own sshd: the port that answered us, and its public keys."""

    port: int
    keys: tuple[str, ...]


class SshServerThere(HostFact[SshServer]):
    """How the host is reached from itself."""

    @override
    def command(self) -> StringCommand:
        keys = 'for key in /etc/ssh/ssh_host_*_key; do ssh-keygen -y -f "$key" || exit; done'
        return self.shell(f'echo "${{SSH_CONNECTION##* }}" && {keys}')

    @override
    def parse(self, lines: list[str]) -> SshServer:
        keys = tuple(" ".join(line.split()[:2]) for line in lines[1:] if line.strip())
        if not keys:
            raise ValueError("no public key of the host")
        return SshServer(int(lines[0]), keys)


@attrs.frozen
class Unit:
    """A unit of systemd as `systemctl show` has it; a unit that does not exist is loaded as `not-found`."""

    name: str
    loaded: str
    active: str
    result: str
    next_run: str

    @property
    def failed(self) -> bool:
        """Whether somebody should look at it."""
        return self.active == "failed" or self.loaded != "loaded"


class Units(HostFact[dict[str, Unit]]):
    """The states of units, by name."""

    @override
    def command(self, names: Sequence[str]) -> StringCommand:
        """Args: names: their names."""
        wanted = "--property=Id,LoadState,ActiveState,Result,NextElapseUSecRealtime"
        return self.shell(argv("systemctl", "show", wanted, *names))

    @override
    def parse(self, lines: list[str]) -> dict[str, Unit]:
        found = {}
        for block in "\n".join(lines).split("\n\n"):
            data = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
            if data:
                found[data["Id"]] = Unit(
                    data["Id"],
                    data["LoadState"],
                    data["ActiveState"],
                    data.get("Result", ""),
                    data.get("NextElapseUSecRealtime", ""),
                )
        return found
