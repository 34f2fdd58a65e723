"""One writer an app: the lock, and the fence in front of every change.

The lock is an flock held by a process on the host that lives as long as the SSH channel it was
started on: when ccci dies, sshd closes the channel and the kernel frees the lock. Whoever takes it
writes its run id to `owner`; every command that changes the app first checks, under a second lock
that orders such commands, that its run still is the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import attrs

from ccci.commands.shell import Argv, argv, quote

LOCKED = "ccci:locked"
BUSY = "ccci:busy"
FENCED_EXIT = 76


@attrs.frozen
class Fence:
    """The app's home on the host and the run that may write there."""

    home: PurePosixPath
    run_id: str


_HOLD = f"""
mkdir -p "$1" && exec 9>>"$1/lock" || exit 1
if old=$(cat "$1/holder.pid" 2>/dev/null) && grep -qsF -- "$2" "/proc/$old/cmdline"; then kill "$old"; fi
if flock -w "$4" 9; then
  printf %s "$2" >"$1/owner.new" && mv "$1/owner.new" "$1/owner" && printf '%s' "$3" >"$1/holder" || exit 1
  echo $$ >"$1/holder.pid"; echo {LOCKED}; cat >/dev/null; rm -f "$1/holder.pid"
else echo {BUSY}; cat "$1/holder" 2>/dev/null
fi
"""


def hold(fence: Fence, who: str, *, wait: float = 0.0) -> Argv:
    """Take the app's lock and keep it until standard input closes.

    Prints LOCKED once it is taken, or BUSY and who holds it. The same run's older holder, left over
    from a connection that broke, is ended first.

    Args:
        fence: the app and the run.
        who: text that a run which finds the lock taken is shown.
        wait: seconds to wait for the lock.
    """
    return argv("sh", "-c", _HOLD, "ccci-lock", fence.home, fence.run_id, who, f"{wait:g}")


_FENCED = (
    'if [ "$(cat "$1/owner" 2>/dev/null)" != "$2" ]; then '
    f'echo "ccci: run $(cat "$1/owner" 2>/dev/null) owns this app now" >&2; exit {FENCED_EXIT}; fi; shift 2; exec "$@"'
)


def fenced(words: Sequence[str] | str, fence: Fence | None) -> str:
    """Return shell text that runs `words` only while `fence.run_id` owns the app, one at a time."""
    text = words if isinstance(words, str) else quote(words)
    if fence is None:
        return text
    inner = argv("sh", "-c", _FENCED, "ccci-fenced", fence.home, fence.run_id, "sh", "-c", text)
    return quote(argv("flock", "-w", "900", f"{fence.home}/work.lock", *inner))


def is_free(home: PurePosixPath) -> str:
    """Print `free` or `held` and the holder's text: for looking, not for taking."""
    return quote(
        argv(
            "sh",
            "-c",
            'flock -n "$1/lock" true 2>/dev/null && echo free || { echo held; cat "$1/holder"; }',
            "-",
            home,
        )
    )
