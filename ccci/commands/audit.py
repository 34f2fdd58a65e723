"""The audit log on the host as shell text: lines are added at its end, and it does not grow without bound."""

from __future__ import annotations

from pathlib import PurePosixPath

from ccci import paths
from ccci.commands.shell import argv, quote

SIZE_MAX = 4 << 20  # bytes; then it becomes audit.log.1, in place of the one before

# Text of a shell in which $3 is the log and $4 the lines. A change that is made of several commands brings its lines
# with each of them: they are written once. That they cannot be, as on a full disk, must keep nobody from clearing up.
APPEND = """{
  case "$(tail -n 30 "$3" 2>/dev/null)" in *"$4"*) ;; *) [ -z "$4" ] || printf '%s\\n' "$4" >>"$3" ;; esac
} 2>/dev/null || true"""

_ADD = f"""
{APPEND}
size=$(stat -c %s "$3" 2>/dev/null || echo 0)
[ "$size" -le "$1" ] || flock "$3.lock" sh -c '[ "$(stat -c %s "$1")" -le "$2" ] || mv -T "$1" "$1.1"' - "$3" "$1"
"""


def add(note: str, log: PurePosixPath = paths.AUDIT) -> str:
    """Add lines to the audit log, and begin a new one if it has become large.

    Args:
        note: the lines.
        log: the log.
    """
    return quote(argv("sh", "-c", _ADD, "ccci-audit", SIZE_MAX, "", log, note))
