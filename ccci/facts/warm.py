"""Facts about ccci's own files and the data it guards on the host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import attrs
from pyinfra.api import StringCommand
from typing_extensions import override

from ccci import paths
from ccci.commands import archive, lock
from ccci.commands.shell import argv, quote
from ccci.facts.base import HostFact

_SHA256 = 64  # hex digits


class File(HostFact["str | None"]):
    """The text of a file, or None if there is none."""

    @override
    def command(self, path: PurePosixPath) -> StringCommand:
        """Args: path: the file."""
        there, name = quote(argv("test", "-e", path)), quote(argv(path))
        # one that goes between the two looks is absent, not unreadable: others may remove it at any time
        read = f"{{ echo there; cat || exit 1; }} <{name} || {{ {there} && exit 1; echo absent; }}"
        return self.shell(f"if {there}; then {read}; else echo absent; fi")

    @override
    def parse(self, lines: list[str]) -> str | None:
        if lines[0] == "absent":
            return None
        if lines[0] != "there":
            raise ValueError(lines[0])
        return "\n".join(lines[1:])


class Folder(HostFact[tuple[str, ...]]):
    """The names in a folder, sorted; none if there is no such folder."""

    @override
    def command(self, path: PurePosixPath) -> StringCommand:
        """Args: path: the folder."""
        return self.shell(f"if {quote(argv('test', '-d', path))}; then {quote(argv('ls', '-1A', path))}; fi")

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(sorted(line for line in lines if line))


def _digests(lines: list[str], count: int) -> tuple[str, ...]:
    digests = tuple(line for line in lines if line)
    if len(digests) != count or any(len(digest) != _SHA256 for digest in digests):
        raise ValueError(f"{digests!r} are not {count} digests")
    return digests


class ColdApps(HostFact[tuple[str, ...]]):
    """The domains of cold apps that have a journal: those that live, and those whose run died."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(
            f"{{ {quote(argv('find', paths.COLD, '-mindepth', 2, '-name', 'journal.json'))} 2>/dev/null || true; }}"
        )

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(sorted(PurePosixPath(line).parent.name for line in lines if line))


class Digests(HostFact[tuple[str, ...]]):
    """The sha256 of each folder's deterministic tar stream, in the order asked for."""

    @override
    def command(self, folders: Sequence[str]) -> StringCommand:
        """Args: folders: absolute paths on the host."""
        self.count = len(folders)
        text = " && ".join(archive.digest(PurePosixPath(folder)) for folder in folders) or "true"
        return self.shell(text, timeout=3600)

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return _digests(lines, self.count)


class ArchiveDigests(HostFact[tuple[str, ...]]):
    """The sha256 of the tar stream in each archive, in the order asked for."""

    @override
    def command(self, archives: Sequence[str]) -> StringCommand:
        """Args: archives: absolute paths on the host."""
        self.count = len(archives)
        text = " && ".join(archive.archive_digest(PurePosixPath(name)) for name in archives) or "true"
        return self.shell(text, timeout=3600)

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return _digests(lines, self.count)


class HalfRestored(HostFact[tuple[str, ...]]):
    """Which folders are in the middle of an interrupted restore."""

    @override
    def command(self, folders: Sequence[str]) -> StringCommand:
        """Args: folders: absolute paths on the host."""
        return self.shell(archive.half_restored([PurePosixPath(folder) for folder in folders]))

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line)


class ChangedSince(HostFact[tuple[str, ...]]):
    """For each folder one path in it that changed after a mark; nothing if none did."""

    @override
    def command(self, folders: Sequence[str], mark: PurePosixPath) -> StringCommand:
        """Args: folders: absolute paths on the host; mark: the file whose mtime counts."""
        there = quote(argv("test", "-e", mark))
        looks = " && ".join(archive.changed_since(PurePosixPath(folder), mark) for folder in folders) or "true"
        # a mark of the future means that the clock was set back: then change times prove nothing
        sane = f'[ "$(stat -c %Y {quote([str(mark)])})" -le "$(date +%s)" ]'
        return self.shell(f"if {there} && {sane}; then {looks}; else echo no mark; fi", timeout=600)

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line)


@attrs.frozen
class LockState:
    """An app's lock: who holds it, or for how many seconds it has been free."""

    holder: str | None
    free_for: float = 0.0


class Lock(HostFact[LockState]):
    """Who holds an app's lock, if anybody does."""

    @override
    def command(self, home: PurePosixPath) -> StringCommand:
        """Args: home: the app's folder."""
        return self.shell(f"{{ {lock.look(home)} || true; }}")

    @override
    def parse(self, lines: list[str]) -> LockState:
        word, _, seconds = lines[0].partition(" ")
        if word == "free":
            return LockState(None, float(seconds))
        if word != "held":
            raise ValueError(lines[0])
        return LockState("\n".join(lines[1:]).strip())


class Exists(HostFact[bool]):
    """Whether a path exists."""

    @override
    def command(self, path: PurePosixPath) -> StringCommand:
        """Args: path: anything."""
        return self.shell(f"{quote(argv('test', '-e', path))} && echo yes || echo no")

    @override
    def parse(self, lines: list[str]) -> bool:
        return {"yes": True, "no": False}[lines[0]]


class LinkTarget(HostFact["PurePosixPath | None"]):
    """What a symbolic link names, or None if there is none."""

    @override
    def command(self, path: PurePosixPath) -> StringCommand:
        """Args: path: the link."""
        there = quote(argv("test", "-L", path))
        return self.shell(f"if {there}; then {quote(argv('readlink', path))}; fi")

    @override
    def parse(self, lines: list[str]) -> PurePosixPath | None:
        return PurePosixPath(lines[0]) if lines and lines[0] else None
