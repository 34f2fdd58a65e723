"""Stored results as shell text."""

from __future__ import annotations

from pathlib import PurePosixPath

from ccci.commands.shell import argv, quote

# Names are taken as they are, between NULs: anybody may have put a folder there. What goes away meanwhile is left out.
_COLLECT = """
set -o pipefail
cd "$1" 2>/dev/null || exit 0
find . -mindepth 2 -maxdepth 2 -type f -name "$2" -print0 | sort -rz |
{ if [ "$4" ]; then xargs -0r grep -lZsF -- "$4" || [ $? = 123 ]; else cat; fi; } | sed -zn "1,$3p" |
tar --create --null --no-recursion --ignore-failed-read --files-from=- 2>/dev/null | gzip -1 | base64 -w0
"""


def collect(folder: PurePosixPath, name: str, *, newest: int, containing: str = "") -> str:
    """Print, as a gzipped tar in base64, the files of one name in the folders of a folder; nothing without that folder.

    Args:
        folder: where there is a folder for each run.
        name: the files' name.
        newest: how many at most, those whose folder's name sorts last first.
        containing: only files that hold this text.
    """
    return quote(argv("bash", "-c", _COLLECT, "ccci-collect", folder, name, int(newest), containing))
