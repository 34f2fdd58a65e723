"""Wait for something by looking often, with a deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ccci.errors import CommandTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 0.1  # seconds between two looks


def until(ready: Callable[[], bool], *, what: str, timeout: float, detail: Callable[[], str] | None = None) -> None:
    """Look until something holds.

    Args:
        ready: says whether it holds; must return soon.
        what: what is waited for ("the lab's sshd").
        timeout: seconds until giving up.
        detail: the output that explains it when it never holds.

    Raises:
        CommandTimeout: it did not hold in time.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise CommandTimeout(
                f"{what}: not there after {timeout:g} s",
                hint="`ccci lab reset` begins anew",
                detail=detail() if detail else None,
            )
        time.sleep(INTERVAL)
