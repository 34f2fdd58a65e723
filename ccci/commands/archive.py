"""Snapshots as shell text: a deterministic tar stream, its sha256, zstd.

What the digest of a volume covers: names, types, contents, owners and groups by number, modes,
mtimes to the nanosecond, extended attributes, ACLs, hard and symbolic links. Not: atime, ctime, the
holes of sparse files, sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ccci.commands.shell import argv, quote

_TAR = [
    "tar",
    "--create",
    "--sort=name",
    "--format=posix",
    "--numeric-owner",
    "--acls",
    "--xattrs",
    "--xattrs-include=*",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--warning=no-file-ignored",
]

# openssl uses the processor's instructions for sha256: five times as fast as coreutils where it has them.
_SHA256 = "{ if command -v openssl >/dev/null; then openssl dgst -sha256 -r; else sha256sum; fi | cut -c1-64; }"


def _stream(folder: PurePosixPath) -> str:
    return quote(argv(*_TAR, "-C", folder, "."))


def _bash(text: str) -> str:
    return quote(argv("bash", "-o", "pipefail", "-c", text))


def digest(folder: PurePosixPath) -> str:
    """Print the sha256 of a folder's stream."""
    return _bash(f"{_stream(folder)} | {_SHA256}")


def pack(folder: PurePosixPath, archive: PurePosixPath) -> str:
    """Write a folder's archive; print the stream's sha256, then the archive's size in bytes.

    The stream is hashed while it is written, then the archive is read back: the second digest is
    printed too, so that the caller can see that what lies on the disk is what was read.
    """
    out = quote(argv(archive))
    return _bash(
        f"{{ {_stream(folder)} | tee /dev/fd/3 | zstd -q -T0 -1 -f -o {out}; }} 3>&1 | {_SHA256}"
        f" && {_unzstd(archive)} | {_SHA256} && sync -d {out} && stat -c %s {out}"
    )


def _unzstd(archive: PurePosixPath) -> str:
    return quote(argv("zstd", "-q", "-d", "-c", archive))


def archive_digest(archive: PurePosixPath) -> str:
    """Print the sha256 of the stream in an archive."""
    return _bash(f"{_unzstd(archive)} | {_SHA256}")


def unpack(archive: PurePosixPath, folder: PurePosixPath, sha256: str) -> str:
    """Replace a folder by what an archive holds, once the archive has proved to have `sha256`.

    The archive is unpacked beside the folder and hashed on the way; the folder is touched only by
    two renames after that. Safe to repeat after a crash at any point.
    """
    new, old = f"{folder}.ccci-new", f"{folder}.ccci-old"
    extract = quote(
        argv(
            "tar",
            "--extract",
            "--numeric-owner",
            "--same-owner",
            "--preserve-permissions",
            "--acls",
            "--xattrs",
            "--xattrs-include=*",
            "--delay-directory-restore",
            "-C",
            new,
        )
    )
    have = f"{{ {_unzstd(archive)} | tee /dev/fd/3 | {extract}; }} 3>&1 | {_SHA256}"
    n, o, f = quote([new]), quote([old]), quote([str(folder)])
    return _bash(
        f"rm -rf {n} && mkdir {n} && have=$({have}) && "
        f'if [ "$have" != {quote([sha256])} ]; then rm -rf {n}; '
        f'echo "archive has sha256 $have" >&2; exit 65; fi && '
        f"rm -rf {o} && {{ [ ! -e {f} ] || mv -T {f} {o}; }} && mv -T {n} {f} && rm -rf {o}"
    )


_HEAL = 'if [ ! -e "$1" ] && [ -e "$1.ccci-old" ]; then mv -T "$1.ccci-old" "$1"; fi; mkdir -p "$1"; rm -rf "$1".ccci-*'
_HALF = 'for d; do if [ ! -e "$d" ] || [ -e "$d.ccci-old" ] || [ -e "$d.ccci-new" ]; then echo "$d"; fi; done'


def heal(folder: PurePosixPath) -> str:
    """Undo the middle of an interrupted `unpack`: a folder that was renamed away comes back."""
    return quote(argv("sh", "-c", _HEAL, "-", folder))


def half_restored(folders: Sequence[PurePosixPath]) -> str:
    """Print those folders in which an `unpack` was interrupted."""
    return quote(argv("sh", "-c", _HALF, "-", *folders))


def changed_since(folder: PurePosixPath, mark: PurePosixPath) -> str:
    """Print the first path in a folder whose content or attributes changed after the file `mark` did."""
    return quote(argv("find", folder, "-cnewer", mark, "-print", "-quit"))
