"""Facts about a recipe's repository on the host."""

from __future__ import annotations

import base64
import gzip
import io
import zlib
from pathlib import PurePosixPath

import attrs
from pyinfra.api import StringCommand
from typing_extensions import override

from ccci.commands import git
from ccci.commands.shell import argv, quote
from ccci.facts.base import HostFact


@attrs.frozen
class Tag:
    """A tag: its name, whether it is annotated, and the commit that it points at."""

    name: str
    annotated: bool
    commit: str


class Tags(HostFact[tuple[Tag, ...]]):
    """All tags of a repository."""

    @override
    def command(self, repo: PurePosixPath) -> StringCommand:
        """Args: repo: the repository's folder."""
        return self.shell(git.tags(repo))

    @override
    def parse(self, lines: list[str]) -> tuple[Tag, ...]:
        rows = [line.split("\t") for line in lines if line]
        return tuple(Tag(name, kind == "tag", commit) for name, kind, commit in rows)


class Commit(HostFact[str]):
    """The full id of the commit that a ref names, or an empty text if it names none."""

    @override
    def command(self, repo: PurePosixPath, ref: str) -> StringCommand:
        """Args: repo: the repository's folder; ref: branch, tag or commit, checked already."""
        return self.shell(f"{{ {git.resolve(repo, ref)} || true; }}")

    @override
    def parse(self, lines: list[str]) -> str:
        return lines[0].strip() if lines else ""


class HasClone(HostFact[bool]):
    """Whether a folder is a git repository."""

    @override
    def command(self, repo: PurePosixPath) -> StringCommand:
        """Args: repo: the repository's folder."""
        return self.shell(f"{quote(argv('test', '-e', repo / '.git'))} && echo yes || echo no")

    @override
    def parse(self, lines: list[str]) -> bool:
        return {"yes": True, "no": False}[lines[0]]


class Tree(HostFact[dict[str, bytes]]):
    """Every plain file of a commit, by path; symbolic links are left out."""

    @override
    def command(self, repo: PurePosixPath, commit: str) -> StringCommand:
        """Args: repo: the repository's folder; commit: a full commit id."""
        return self.shell(git.tree(repo, commit))

    @override
    def parse(self, lines: list[str]) -> dict[str, bytes]:
        listing, objects = (base64.b64decode(line, validate=True) for line in lines)
        if len(listing) >= git.LISTING_LIMIT:
            raise ValueError(f"the listing of the recipe's files is more than {git.LISTING_LIMIT} bytes")
        try:
            stream = io.BytesIO(gzip.decompress(objects))
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError("what git printed was cut short") from error
        files: dict[str, bytes] = {}
        for entry in listing.split(b"\0")[:-1]:
            about, _, name = entry.partition(b"\t")
            mode, kind, wanted = about.split()
            if kind == b"blob" and mode.startswith(b"100"):
                files[name.decode("utf-8", "surrogateescape")] = _object(stream, wanted)
        return files


def _object(stream: io.BytesIO, wanted: bytes) -> bytes:
    """Read one object of `git cat-file --batch`: a line with its id and size, its content, a new line."""
    identity, _, length = stream.readline().split()
    if identity != wanted:
        raise ValueError(f"object {identity!r} where {wanted!r} should be")
    size = int(length)
    content = stream.read(size + 1)
    if len(content) != size + 1:
        raise ValueError(f"the recipe's files are more than {git.TREE_LIMIT} bytes")
    return content[:-1]
