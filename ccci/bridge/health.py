"""How the services are that the bridge depends on, and when one that is away is asked again."""

from __future__ import annotations

import logging
import threading
import time
from http import HTTPStatus
from typing import Any

import attrs
import requests
from typing_extensions import override

LOG = logging.getLogger("ccci.bridge")
FORGE, DRONE = "forge", "drone"
FIRST, LONGEST = 1.0, 60.0  # seconds until a service that is away is asked again: doubled each time, up to a minute


@attrs.define
class _Service:
    since: float = 0.0  # since when it is away; 0 while it is there
    why: str = ""
    pause: float = 0.0
    until: float = 0.0


class Health:
    """The services by name, seen by all threads.

    Args:
        names: of the services.
    """

    def __init__(self, *names: str) -> None:
        self._lock = threading.Lock()
        self._services = {name: _Service() for name in names}

    def good(self, name: str) -> bool:
        """Note that a service answered; returns whether it was away until now."""
        with self._lock:
            service = self._services[name]
            was_away, service.since, service.why, service.pause, service.until = service.since > 0, 0.0, "", 0.0, 0.0
            return was_away

    def bad(self, name: str, why: str) -> bool:
        """Note that a service did not answer, or not usefully; returns whether that is new."""
        now = time.time()
        with self._lock:
            service = self._services[name]
            is_new = not service.since
            service.since = service.since or now
            service.why = why
            service.pause = min(LONGEST, max(FIRST, service.pause * 2))
            service.until = now + service.pause
            return is_new

    def is_up(self, name: str) -> bool:
        """Return whether a service answered when it was asked last, or was not asked yet."""
        with self._lock:
            return not self._services[name].since

    def wait(self, name: str) -> float:
        """Return the seconds until a service that is away may be asked again; 0 for one that is there."""
        with self._lock:
            return max(0.0, self._services[name].until - time.time())

    def report(self) -> dict[str, dict[str, str]]:
        """Return what /healthz says of each service."""
        with self._lock:
            return {name: _said(service) for name, service in self._services.items()}


def _said(service: _Service) -> dict[str, str]:
    if not service.since:
        return {"state": "up"}
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(service.since))
    return {"state": "down", "since": since, "why": service.why}


class WatchedSession(requests.Session):
    """An HTTP client that notes how the service is which it asks.

    Args:
        name: of the service.
        health: where it is noted.
    """

    def __init__(self, name: str, health: Health) -> None:
        super().__init__()
        self._name, self._health = name, health

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            answer = super().send(request, **kwargs)
        except requests.RequestException as error:
            self._note(f"does not answer: {type(error).__name__}")
            raise
        status = answer.status_code
        if status == HTTPStatus.UNAUTHORIZED and "Authorization" in request.headers:
            self._note("refuses our token")
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            self._note(f"answers {status}")
        elif self._health.good(self._name):
            LOG.warning("%s is back", self._name)
        return answer

    def _note(self, why: str) -> None:
        if self._health.bad(self._name, why):
            LOG.warning("%s is away: it %s; the queue is kept", self._name, why)
