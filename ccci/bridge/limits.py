"""How many bad requests an address may make before it is answered without a look at what it sends, or a log line."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_ADDRESSES = 10_000  # remembered at once; the one that was silent longest is forgotten first
_MINUTE = 60.0


class Limiter:
    """A bucket for each address that fills again within a minute.

    Args:
        per_minute: what an address may do in a minute, and at once.
        clock: seconds that never go back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, address: str) -> bool:
        """Count one bad request; returns whether it was within the limit."""
        now = self._clock()
        with self._lock:
            left, when = self._left.pop(address, (self._most, now))
            left = min(self._most, left + (now - when) * self._most / _MINUTE)
            self._left[address] = (max(0.0, left - 1), now)
            if len(self._left) > _ADDRESSES:
                self._left.popitem(last=False)
            return left >= 1
