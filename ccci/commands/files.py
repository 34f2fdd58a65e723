"""Files on the host as shell text: always beside and renamed, never half."""

from __future__ import annotations

from pathlib import PurePosixPath

from ccci.commands.shell import Argv, all_of, argv, quote


def write(path: PurePosixPath, size: int, *, mode: str = "0644") -> str:
    """Write standard input to `path`: beside it first, on the disk, then renamed.

    Args:
        path: the file.
        size: how many bytes must come. A sender that dies looks like an end of input, and what is cut short
            must never take the place of what was whole.
        mode: the file's mode.
    """
    new = f"{path}.ccci-new"
    whole = all_of(
        argv("mkdir", "-p", path.parent),
        f"{quote(argv('install', '-m', mode, '/dev/stdin', new))}",
        f'[ "$(stat -c %s {quote([new])})" = {int(size)} ]',
        argv("sync", "-d", new),
        argv("mv", "-T", new, path),
    )
    # what a full disk cut short must not stay: it is of no use to anybody, and may hold secrets
    return f"{{ {whole}; }} || {{ {quote(argv('rm', '-f', new))}; false; }}"


def remove(*paths: PurePosixPath) -> Argv:
    """Remove files and folders; what is not there is no fault."""
    return argv("rm", "-rf", "--one-file-system", "--", *paths)


def touch(path: PurePosixPath) -> str:
    """Set a mark: the file's mtime is now, by the host's clock."""
    return all_of(argv("mkdir", "-p", path.parent), argv("touch", path))
