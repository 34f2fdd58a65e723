"""Where things lie: on the host (pure strings) and on the controller (pathlib).

Nothing here touches a disk.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

WARM = PurePosixPath("/var/lib/ci-warm")
ABRA = PurePosixPath("/root/.abra")
COLD = WARM / "cold"  # one folder for each cold app that lives
RUNS = WARM / "runs"  # results, kept
ALERTS = WARM / "alerts"  # what somebody should look at; those delivered are in `seen`
NIGHTS = WARM / "nights"  # results of nights, and the lock of the one that is under way
AUDIT = WARM / "audit.log"  # a line for each operation that changed something
SCRATCH = WARM / "scratch"  # worktrees, env and extra compose files of runs that live
SERVER = "default"  # abra's name for the Swarm that it runs on itself


def recipe_clone(recipe: str) -> PurePosixPath:
    """Where abra keeps the recipe's git repository."""
    return ABRA / "recipes" / recipe


def scratch_of(run_id: str, recipe: str) -> PurePosixPath:
    """Where a run keeps the worktrees and extra files of one recipe."""
    return SCRATCH / run_id / recipe


def controller_home() -> Path:
    """Where ccci keeps what it must remember on this machine: hosts, labs, results."""
    return _base("CCCI_HOME", "XDG_STATE_HOME", "~/.local/state")


def controller_cache() -> Path:
    """Where ccci keeps what it can make again on this machine: built images, downloads."""
    return _base("CCCI_CACHE", "XDG_CACHE_HOME", "~/.cache")


def _base(own: str, xdg: str, default: str) -> Path:
    if value := os.environ.get(own):
        return Path(value).expanduser().absolute()
    return Path(os.environ.get(xdg) or default).expanduser().absolute() / "ccci"
