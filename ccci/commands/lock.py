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

from ccci import paths
from ccci.commands.audit import APPEND
from ccci.commands.shell import Argv, argv, quote

LOCKED = "ccci:locked"
BUSY = "ccci:busy"
FENCED_EXIT = 76


@attrs.frozen
class Fence:
    """The app's home on the host and the run that may write there.

    Attributes:
        home: the folder of the app's lock.
        run_id: the run that may write.
        app: the app's domain, for the audit log.
        note: lines of the audit log that a command behind the fence brings along.
        log: the audit log.
    """

    home: PurePosixPath
    run_id: str
    app: str = ""
    note: str = ""
    log: PurePosixPath = paths.AUDIT


GRACE = 2.0  # seconds in which a run whose connection broke may claim its app back

_HOLD = f"""
home=$1 run=$2 who=$3 wait=$4
mkdir -p "$home" && cd "$home" && exec 9>>lock || exit 1
busy() {{ echo {BUSY}; cat holder 2>/dev/null; exit 0; }}
if [ "$(cat owner 2>/dev/null)" = "$run" ]; then
  echo "$$ $run" >claim
  if old=$(cat holder.pid 2>/dev/null) && grep -qsF -- "$run" "/proc/$old/cmdline"; then kill "$old"; fi
fi
flock -w "$wait" 9 || busy
if [ -e journal.json ] && [ "$(cat owner 2>/dev/null)" != "$run" ]; then
  i=0
  while [ $i -lt {int(GRACE / 0.1)} ]; do
    if [ -e claim ] && read -r pid claimant <claim && [ -d "/proc/$pid" ]; then
      if [ "$claimant" = "$(cat owner 2>/dev/null)" ]; then busy; fi
    fi
    i=$((i + 1)); sleep 0.1
  done
fi
rm -f claim released
printf %s "$run" >owner.new && mv owner.new owner && printf '%s' "$who" >holder && echo $$ >holder.pid || exit 1
echo {LOCKED}; cat >/dev/null 9>&-; touch released
"""


def hold(fence: Fence, who: str, *, wait: float = 0.0) -> Argv:
    """Take the app's lock and keep it until standard input closes.

    Prints LOCKED once it is taken, or BUSY and who holds it. The same run's older holder, left over
    from a connection that broke, is ended first. A run that finds the journal of another one waits
    GRACE seconds for it: its connection may only have been cut, and then the app is still its own.

    Args:
        fence: the app and the run.
        who: text that a run which finds the lock taken is shown.
        wait: seconds to wait for the lock.
    """
    return argv("sh", "-c", _HOLD, "ccci-lock", fence.home, fence.run_id, who, f"{wait:g}")


_FENCED = (
    'if [ "$(cat "$1/owner" 2>/dev/null)" != "$2" ]; then '
    f'echo "ccci: run $(cat "$1/owner" 2>/dev/null) owns this app now" >&2; exit {FENCED_EXIT}; fi; '
    f'{APPEND}; shift 4; exec "$@"'
)


def fenced(words: Sequence[str] | str, fence: Fence | None) -> str:
    """Return shell text that runs `words` only while `fence.run_id` owns the app, one at a time."""
    text = words if isinstance(words, str) else quote(words)
    if fence is None:
        return text
    about = (fence.home, fence.run_id, fence.log, fence.note)
    inner = argv("sh", "-c", _FENCED, "ccci-fenced", *about, "sh", "-c", text)
    return quote(argv("flock", "-w", "900", f"{fence.home}/work.lock", *inner))


_LOOK = """
[ -e "$1/lock" ] || { echo "free 999999999"; exit 0; }
pid=$(cat "$1/holder.pid" 2>/dev/null) run=$(cat "$1/owner" 2>/dev/null)
if [ "$pid" ] && [ "$run" ] && grep -qsF -- "$run" "/proc/$pid/cmdline"; then echo held; cat "$1/holder" 2>/dev/null
else at=$(stat -c %Y "$1/released" 2>/dev/null) || at=0; echo "free $(($(date +%s) - at))"; fi
"""


def look(home: PurePosixPath) -> str:
    """Print `held` and who holds the lock, or `free` and for how many seconds, as far as its holder could tell.

    The lock is not taken for that: it would get in a run's way. Nor is /proc/locks asked: in a container it leaves out
    locks that were taken by a process which has ended since, and such are ours.
    """
    return quote(argv("sh", "-c", _LOOK, "ccci-look", home))


_LIVE = """
[ -d "$1" ] || exit 0
find "$1" -xdev -name holder.pid -printf '%h\\n' | while read -r home; do
  pid=$(cat "$home/holder.pid" 2>/dev/null) run=$(cat "$home/owner" 2>/dev/null)
  if [ "$pid" ] && [ "$run" ] && grep -qsF -- "$run" "/proc/$pid/cmdline"; then echo "$run"; fi
done
"""


def live_owners(warm: PurePosixPath) -> Argv:
    """Print the ids of the runs that hold a lock anywhere below a folder."""
    return argv("sh", "-c", _LIVE, "ccci-live", warm)
