"""A session: one run on one host. The only module that knows pyinfra's State.

It runs steps (retrying one whose connection was lost: steps read facts first, so they can be called
again), keeps the app locks, counts deployments, and shields clean-ups from signals.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, TypeVar

import gevent
from pyinfra.api import Host, State, StringCommand
from pyinfra.api.exceptions import NestedOperationError
from pyinfra.connectors.util import CommandOutput

from ccci.commands.audit import add
from ccci.commands.lock import FENCED_EXIT, Fence
from ccci.commands.shell import command
from ccci.connector import CcciConnector
from ccci.engine.applock import AppLock
from ccci.engine.audit import Audit
from ccci.errors import CcciError, CommandFailed, CommandTimeout, ConnectionLost, Fenced, InfrastructureError, Stopped
from ccci.events import Event, Note, StepEnded, StepStarted, Stream, Waiting
from ccci.facts.base import HostFact, read
from ccci.model.app import App
from ccci.model.audit import Entry
from ccci.model.deployment import Deployment
from ccci.model.run import DiskUse, StepResult, TestCase
from ccci.settings import Host as HostSettings
from ccci.settings import Settings

T = TypeVar("T")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TIMED_OUT = 124  # what coreutils' timeout exits with
ATTEMPTS = 4  # of a step whose connection is lost again and again
_current: ContextVar[Session] = ContextVar("ccci_session")


def current() -> Session:
    """Return the session that runs now.

    Raises:
        RuntimeError: none does; a step was called outside of a playbook.
    """
    try:
        return _current.get()
    except LookupError as error:
        raise RuntimeError("ccci's steps run inside a playbook only; outside use ccci.operations") from error


class Session:
    """One run on one host."""

    def __init__(self, state: State, host: Host, settings: Settings, run_id: str, stream: Stream) -> None:
        self.state = state
        self.host = host
        self.settings = settings
        self.run_id = run_id
        self.stream = stream
        self.steps: list[StepResult] = []
        self.tests: list[TestCase] = []
        self.deploys = 0
        self.deployments: dict[str, Deployment] = {}
        self.deployed_since: dict[str, float] = {}
        self.forks: dict[str, dict[str, str]] = {}
        self.locks: dict[str, AppLock] = {}
        self.notes: list[str] = []
        self.alerts: list[str] = []
        self.disk = DiskUse()
        self.log: list[str] = []
        self.playbook = ""
        self.audit = Audit()
        self._greenlet: Any = None
        self._shields = 0
        self._stopped: Stopped | None = None

    @property
    def host_settings(self) -> HostSettings:
        """The host's settings."""
        return self.settings.get_host(self.host.name.removeprefix("@ccci/"))

    @property
    def connector(self) -> CcciConnector:
        """The host's connector.

        Raises:
            InfrastructureError: the inventory gave the host another connector.
        """
        connector = self.host.connector
        if not isinstance(connector, CcciConnector):
            raise InfrastructureError(
                f"host {self.host.name} is not connected by ccci's connector",
                hint="name it @ccci/<host> in the inventory",
            )
        return connector

    def holder(self) -> str:
        """Return who we are, for those who find our lock."""
        return f"run {self.run_id} ({self.playbook}) of {self.who()} since {utc_now()}"

    def who(self) -> str:
        """Return who runs this program, where."""
        return f"{_user()}@{socket.gethostname()} (process {os.getpid()})"

    @contextmanager
    def active(self) -> Iterator[Session]:
        """Make this the current session, with signals that stop it in order."""
        token = _current.set(self)
        self._greenlet = gevent.getcurrent()
        handlers = [gevent.signal_handler(s, self.stop, s) for s in STOPPING]
        try:
            yield self
        finally:
            for handler in handlers:
                handler.cancel()
            self._end_audit()
            for lock in list(self.locks.values()):
                lock.release()
            _current.reset(token)

    def stop(self, signum: int) -> None:
        """Throw `Stopped` into the playbook, at once or after the clean-up that is under way."""
        if self._stopped is not None:
            self.say("already stopping: clean-ups are under way")
            return
        self._stopped = Stopped(signum)
        if not self._shields:
            gevent.get_hub().loop.run_callback(self._greenlet.throw, self._stopped)

    def stop_pending(self) -> Stopped | None:
        """Return the stop that came while a clean-up was shielded from it, if one did."""
        return None if self._shields else self._stopped

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Let no signal interrupt this block."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def send(self, event: Event) -> None:
        """Send an event to every sink."""
        self.stream.send(event)

    def say(self, text: str, *, keep: bool = False) -> None:
        """Tell the reader something; `keep` repeats it in the summary and the result."""
        if keep and text not in self.notes:
            self.notes.append(text)
        self.send(Note(text, keep))

    def waiting(self, what: str) -> None:
        """Tell the reader what a step waits for."""
        self.send(Waiting(what))

    def read(self, fact: type[HostFact[T]], **arguments: Any) -> T:
        """Read a fact now."""
        return read(self.host, fact, **arguments)

    def ask(self, asked: StringCommand) -> tuple[int, CommandOutput]:
        """Run a command that only reads, or that a test asked for; return its exit code and output."""
        self.host.run_shell_command(asked, **asked.connector_arguments)
        code, output = self.host.connector_data["ccci_last"]
        return int(code), output

    def perform(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> bool:
        """Run an operation now.

        Returns:
            Whether it changed anything.

        Raises:
            CommandFailed: a command of it failed; the detail holds its last output.
            Fenced: another run owns the app now.
        """
        return bool(self._run(operation, *args, **arguments).did_change())

    def perform_for_output(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> list[str]:
        """Run an operation now and return the lines that it printed; errors as `perform`."""
        lines: list[str] = self._run(operation, *args, **arguments).stdout_lines
        return lines

    def _run(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        name, fence = getattr(operation, "__name__", "operation"), arguments.get("fence")
        blank = Entry(utc_now(), self.run_id, 0, self.who(), self.playbook, fence.app if fence else "", "", name)
        line = self.audit.line(blank)
        if fence is not None:
            arguments["fence"] = self.audit.noted(fence, line)
        changed = True  # as far as anybody can tell while it has not ended
        try:
            done = operation(*args, name=f"{name} {self.run_id}", **arguments)
            changed = done.did_change()
        except NestedOperationError as error:
            raise self._failed(name, str(error.args[0])) from None
        finally:
            self.audit.ended(line, changed=changed, fenced=fence is not None)
        return done

    def _end_audit(self) -> None:
        if self.audit.waiting:
            with self.shielded(), contextlib.suppress(CcciError):  # the run's verdict stands already
                self.ask(command(add("\n".join(self.audit.waiting)), timeout=10))

    def _failed(self, name: str, op_hash: str) -> CcciError:
        meta = self.state.ops[self.host][op_hash].operation_meta
        code, _ = self.host.connector_data.get("ccci_last", (None, None))
        tail = "\n".join((meta.stderr_lines or meta.stdout_lines)[-12:])
        if code == FENCED_EXIT:
            return Fenced(f"{name}: another run owns the app now; nothing was changed", detail=tail)
        if code == TIMED_OUT:
            return CommandTimeout(f"{name} did not end in its time on {self.host_settings.name}", detail=tail)
        return CommandFailed(f"{name} failed on {self.host_settings.name} with exit code {code}", detail=tail)

    def run_step(self, name: str, operation: str, body: Callable[[], T]) -> T:
        """Run one step, again if the connection was lost.

        Args:
            name: what the reader sees.
            operation: the step's function, for the result.
            body: the step; it must be safe to call again.
        """
        self.send(StepStarted(name))
        self.audit.step = name
        start = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                value = body()
            except ConnectionLost as error:
                if attempt < ATTEMPTS:
                    self.say(f"{error.what}; connecting again and repeating this step")
                    continue
                self._ended(StepResult(name, operation, "failed", _since(start), attempt), error.what)
                raise
            except BaseException as error:
                status = "stopped" if isinstance(error, Stopped) else "failed"
                self._ended(StepResult(name, operation, status, _since(start), attempt), str(error))
                raise
            self._ended(StepResult(name, operation, "ok", _since(start), attempt))
            return value
        raise AssertionError("unreachable")

    def _ended(self, result: StepResult, error: str = "") -> None:
        self.steps.append(result)
        self.audit.step = ""
        self.send(StepEnded(result, error))

    def lock(self, app: App, *, wait: float = 0.0) -> None:
        """Take an app's lock for this run and keep it, also over a lost connection.

        Args:
            app: the app.
            wait: seconds to wait for another run that holds it.

        Raises:
            Locked: another run holds it; the message says who, since when.
        """
        lock = AppLock(self.connector, app, self.run_id, self.holder(), lambda text: self.say(text, keep=True))
        lock.take_within(wait, self.waiting)
        self.locks[app.domain] = lock
        self.connector.reconnected.append(lock.retake)

    def unlock(self, app: App) -> None:
        """Give an app's lock back."""
        lock = self.locks.pop(app.domain, None)
        if lock is not None:
            self.connector.reconnected.remove(lock.retake)
            lock.release()

    def fence(self, app: App) -> Fence | None:
        """Return the fence for changes of an app that this run has locked."""
        lock = self.locks.get(app.domain)
        return lock.fence if lock else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)


def utc_now() -> str:
    """Return the time now: UTC, ISO 8601, seconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
