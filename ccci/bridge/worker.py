"""The threads that move triggers on: one asks the forge and announces, one starts builds, one watches them.

A trigger is in one thread's hands at a time, for each thread has its own states. A service that is away
stops the thread's work until it is asked again; what waits stays in the queue.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from typing_extensions import override

from ccci.bridge.flow import Flow, settled
from ccci.bridge.health import DRONE, FORGE, Health
from ccci.bridge.loop import Loop
from ccci.bridge.queue import Queue, State, Trigger
from ccci.errors import CcciError, ServiceDown

LOG = logging.getLogger("ccci.bridge")
_IDLE = 1.0  # seconds until an idle thread looks whether a time has come
_BUSY = 0.2  # the same while something is under way
_RETRY = (1.0, 2.0, 5.0, 15.0, 60.0)  # seconds until a trigger that a service refuses is tried again
Step = Callable[[Trigger], None]


class Worker(Loop):
    """Moves triggers in some states, until it is stopped.

    Args:
        name: of the thread.
        queue: where they are.
        steps: what to do in each state.
        away: returns the seconds for which nothing is to be tried, since a service that the steps need is away.
    """

    def __init__(self, name: str, queue: Queue, steps: Mapping[State, Step], away: Callable[[], float]) -> None:
        super().__init__(name)
        self._queue, self._steps, self._away = queue, steps, away

    @override
    def run(self) -> None:
        """Work until stopped."""
        while not self.ending.is_set():
            seen = self._queue.writes
            waits = False
            for trigger in self._queue.due(self._steps, time.time()):
                if self.ending.is_set():
                    return
                waits |= not self.move(trigger)
            open_ones = waits or any(self._queue.due(self._steps, time.time() + _IDLE))
            self._queue.wait(seen, _BUSY if open_ones else _IDLE)

    def move(self, trigger: Trigger) -> bool:
        """Do a trigger's next step; returns whether it was tried."""
        if settled(trigger) > time.time() or self._away() > 0:
            return False
        try:
            self._steps[trigger.state](trigger)
        except CcciError as error:
            self._failed(trigger, error)
        except Exception as error:
            LOG.exception("a step of trigger %d failed in a way that nobody thought of", trigger.id)
            self._failed(trigger, CcciError(f"{type(error).__name__} in the bridge itself"))
        return True

    def _failed(self, trigger: Trigger, error: CcciError) -> None:
        LOG.warning("trigger %d (%s) waits: %s", trigger.id, trigger.state.value, error.what)
        pause = 0.0 if isinstance(error, ServiceDown) else _RETRY[min(trigger.tries, len(_RETRY) - 1)]
        self._queue.keep(self._queue.get(trigger.id), tries=trigger.tries + 1, due=time.time() + pause)


def workers(flow: Flow, health: Health) -> list[Worker]:
    """Return the threads, not yet started."""
    front: dict[State, Step] = {State.RECEIVED: flow.accept, State.ACCEPTED: flow.announce}
    return [
        Worker("front", flow.queue, front, lambda: health.wait(FORGE)),
        Worker("start", flow.queue, {State.ANNOUNCED: flow.start}, lambda: health.wait(DRONE)),
        Worker("watch", flow.queue, {State.RUNNING: flow.watch}, lambda: max(health.wait(FORGE), health.wait(DRONE))),
    ]
