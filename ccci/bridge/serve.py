"""The bridge as a process: what it is made of, started and stopped."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import requests
from typing_extensions import override

from ccci.bridge.flow import Flow
from ccci.bridge.health import DRONE, FORGE, Health, WatchedSession
from ccci.bridge.limits import Limiter
from ccci.bridge.loop import Loop
from ccci.bridge.metrics import Metrics
from ccci.bridge.poll import Poller
from ccci.bridge.queue import Queue
from ccci.bridge.secrets import read_secret
from ccci.bridge.server import Parts, make_app, make_server
from ccci.bridge.worker import workers
from ccci.clients.drone import Drone
from ccci.clients.forge import Forge
from ccci.errors import InfrastructureError, Locked, UsageError
from ccci.model.bridge import BridgeOptions
from ccci.model.enrolment import find_recipe
from ccci.paths import controller_home
from ccci.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG = logging.getLogger("ccci.bridge")
_PROBE = 10.0  # seconds between two looks at each service
_KEPT = 90 * 86_400.0  # seconds for which ended triggers stay known: webhooks older than a day are refused anyway
_PATIENCE = 15.0  # seconds for a thread to end its step


class Prober(Loop):
    """Asks each service for a sign of life, so that /healthz is right while nothing else asks."""

    def __init__(self, options: BridgeOptions, health: Health) -> None:
        super().__init__("probe")
        self._pages = {FORGE: f"{options.forge.rstrip('/')}/api/v1/version", DRONE: f"{options.drone}/healthz"}
        self._sessions = {name: WatchedSession(name, health) for name in self._pages}
        self._health = health

    @override
    def run(self) -> None:
        """Look until stopped."""
        while not self.ending.is_set():
            for name, page in self._pages.items():
                if self._health.wait(name) <= 0:
                    self._look(name, page)
            away = [pause for name in self._pages if (pause := self._health.wait(name))]
            self.ending.wait(min([_PROBE, *away]))

    def _look(self, name: str, page: str) -> None:
        try:
            self._sessions[name].get(page, timeout=(5.0, 10.0), allow_redirects=False)
        except requests.RequestException:
            return  # noted by the session


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: with the table [bridge].

    Raises:
        UsageError: there is no such table, a secret cannot be read, or a repository's recipe is not enrolled.
        Locked: another bridge works on the queue.
        InfrastructureError: the address cannot be had.
    """
    options = settings.bridge
    if options is None:
        raise UsageError("the settings have no table [bridge]", hint="docs/bridge.md says what goes into it")
    for repo in options.repositories:
        find_recipe(repo.partition("/")[2], settings.recipes)
    secrets = {
        name: read_secret(getattr(options, name), what=name)
        for name in ("webhook_secret", "forge_token", "drone_token")
    }
    path = options.queue or controller_home() / "bridge.sqlite"
    with ExitStack() as stack:
        stack.enter_context(_alone(path))
        queue = Queue(path)
        stack.callback(queue.close)
        queue.drop_before(time.time() - _KEPT)
        _run(settings, options, queue, secrets)


def _run(settings: Settings, options: BridgeOptions, queue: Queue, secrets: dict[str, str]) -> None:
    health = Health(FORGE, DRONE)
    metrics = Metrics(queue, health)
    forge = Forge(options.forge, secrets["forge_token"], WatchedSession(FORGE, health))
    drone = Drone(options.drone, secrets["drone_token"], WatchedSession(DRONE, health))
    known = tuple(secrets.values())
    flow = Flow(options, queue, forge, drone, settings.results, known, metrics.ended)
    parts = Parts(options, secrets["webhook_secret"].encode(), queue, health, metrics, Limiter(options.refusals))
    threads: list[Loop] = [*workers(flow, health), Prober(options, health)]
    if options.poll:
        polled = Forge(options.forge, secrets["forge_token"], WatchedSession(FORGE, health))
        threads.append(Poller(options.repositories, options.poll, polled, queue, health))
    try:
        server = make_server(make_app(parts), options)
    except OSError as error:
        where = "{}:{}".format(*options.listen)
        raise InfrastructureError(
            f"{where} cannot be listened on: {error.strerror}", hint="`listen` in [bridge]"
        ) from error
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _stop)
    for thread in threads:
        thread.start()
    LOG.info("listening on %s port %d, for %s", *options.listen, ", ".join(options.repositories))
    try:
        server.run()
    finally:
        LOG.info("stopping; the queue keeps what is under way")
        server.close()
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(_PATIENCE)


def _stop(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other bridges off a queue."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"the queue cannot be kept at {path}: {error.strerror}", hint="`queue` in [bridge]") from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        raise Locked(
            f"another bridge works on the queue {path}", hint="stop it, or give this one a queue of its own"
        ) from None
    try:
        yield
    finally:
        os.close(number)


def log_to_stderr() -> None:
    """Send the log to standard error, a line each; systemd adds the time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    logging.getLogger("waitress").addHandler(handler)
