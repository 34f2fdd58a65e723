"""pyinfra's SSH connector made fit for long runs.

Registered as `@ccci/<host>`, so plain pyinfra uses it too. What it adds: TCP_NODELAY (paramiko
leaves Nagle's algorithm on, which costs 40 ms a command), a watchdog that notices a silent peer,
`ConnectionLost` instead of a command that seems to have failed, a new connection before the next
command, channels that stay open (locks, forwarded ports), and a disconnect that disconnects.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import gevent
from gevent.lock import RLock
from paramiko.ssh_exception import SSHException
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import (
    CommandOutput,
    OutputLine,
    execute_command_with_sudo_retry,
    make_unix_command_for_host,
    write_stdin,
)
from typing_extensions import override

from ccci.errors import CcciError, CommandTimeout, ConnectionLost, HostUnreachable

if TYPE_CHECKING:
    from paramiko import Channel, Transport
    from pyinfra.api import StringCommand
    from pyinfra.api.arguments import ConnectorArguments

KEEPALIVE = 15.0  # seconds between two questions to the peer
DEAD_AFTER = 30.0  # seconds of silence after which the peer counts as dead
_LOOK = 0.2  # seconds between two looks at the connection itself
_LOST = (SSHException, OSError, EOFError)


class CcciConnector(SSHConnector):
    """SSH with a pulse. Data keys beside pyinfra's: ccci_keepalive, ccci_dead_after (seconds)."""

    _watchdog: Any = None
    losses = 0  # how often the connection was lost while something was under way
    _fatal: CcciError | None = None  # why no command may run any more

    @override
    @staticmethod
    def make_names_data(name: str) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Yield the host's name and data for `@ccci/<name>`."""
        yield f"@ccci/{name}", {"ssh_hostname": name}, []

    @property
    def _connecting(self) -> RLock:
        """One greenlet at a time connects; tests and their proxy ask at the same time as the run."""
        lock: RLock = self.host.connector_data.setdefault("ccci_connecting", RLock())
        return lock

    @property
    def reconnected(self) -> list[Callable[[], None]]:
        """What to do after a lost connection is back, before the next command: retake locks."""
        hooks: list[Callable[[], None]] = self.host.connector_data.setdefault("ccci_reconnected", [])
        return hooks

    @override
    def connect(self) -> None:
        """Connect and start the watchdog.

        Raises:
            ConnectError: as pyinfra's own connector does.
        """
        self._end_watchdog()
        self.client = None
        try:
            super().connect()
        except BaseException:
            self._drop()  # else a half-made connection looks like one
            raise
        transport = self._transport()
        sock = getattr(transport, "sock", None)
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watchdog = gevent.spawn(self._watch, transport)

    @override
    def disconnect(self) -> None:
        """Close the connection, which stock pyinfra leaves open."""
        super().disconnect()
        self._end_watchdog()
        self._drop()

    def _end_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill(block=False)
        self._watchdog = None

    def _drop(self) -> None:
        if self.client is not None:
            self.client.close()
        self.client = None

    @property
    def _name(self) -> str:
        return str(self.host.name).removeprefix("@ccci/")

    def _transport(self) -> Transport:
        transport = self.client.get_transport() if self.client is not None else None
        if transport is None:
            raise ConnectionLost(f"no SSH connection to {self._name}")
        return transport

    def _watch(self, transport: Transport) -> None:
        """Ask the peer now and then; when the connection is gone, make a new one, for the sake of the locks."""
        every = float(self.host.data.get("ccci_keepalive") or KEEPALIVE)
        dead = float(self.host.data.get("ccci_dead_after") or DEAD_AFTER)
        asked = time.monotonic()
        while transport.is_active():
            gevent.sleep(_LOOK)
            if time.monotonic() - asked < every:
                continue
            try:
                with gevent.Timeout(max(dead - every, 0.5)):
                    transport.global_request("keepalive@openssh.com", wait=True)
            except gevent.Timeout:
                transport.close()
            asked = time.monotonic()
        self.losses += 1
        gevent.spawn(self._again)  # not in this greenlet: connecting ends the old watchdog

    def _again(self) -> None:
        with contextlib.suppress(CcciError):  # whoever needs the connection next is told
            self.ensure_connected()

    def ensure_connected(self) -> None:
        """Connect again if the connection is gone, trying for half as long as the peer may be silent.

        Raises:
            HostUnreachable: it stayed away; later calls fail at once with the same error.
        """
        with self._connecting:
            self._ensure_connected()

    def _ensure_connected(self) -> None:
        if self.client is not None and self._transport().is_active():
            return
        if self._fatal is not None:
            raise self._fatal
        deadline = time.monotonic() + float(self.host.data.get("ccci_dead_after") or DEAD_AFTER) / 2
        while True:
            try:
                self.connect()
                break
            except (ConnectError, *_LOST) as error:
                if time.monotonic() > deadline:
                    self._fatal = HostUnreachable(f"host {self._name} does not answer any more (last try: {error})")
                    raise self._fatal from error
                gevent.sleep(0.2)
        try:
            for hook in self.reconnected:
                hook()
        except CcciError as error:
            self._fatal = error  # without its locks this run may not go on, whoever asks
            self._drop()
            raise

    @override
    def run_shell_command(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> tuple[bool, CommandOutput]:
        """Run a command on the host.

        Raises:
            ConnectionLost: the connection died before the exit status came.
            CommandTimeout: the argument `_timeout` (seconds) was over.
            HostUnreachable: there is no connection and none can be made.
        """
        self.ensure_connected()
        timeout = arguments.pop("_timeout", None)
        stdin = arguments.pop("_stdin", None)
        good = arguments.pop("_success_exit_codes", None) or [0]
        pty = arguments.pop("_get_pty", False)

        def execute() -> tuple[int, CommandOutput]:
            unix = make_unix_command_for_host(self.state, self.host, command, **arguments)
            return self._execute(unix.get_raw_value(), stdin, pty=pty, timeout=timeout)

        code, output = execute_command_with_sudo_retry(self.host, cast("ConnectorArguments", arguments), execute)
        self.host.connector_data["ccci_last"] = (code, output)
        return code in good, output

    def _execute(self, text: str, stdin: Any, *, pty: bool, timeout: float | None) -> tuple[int, CommandOutput]:
        lines: list[OutputLine] = []
        try:
            channel = self.open_command(text, pty=pty)
            readers = [
                gevent.spawn(_read, channel.makefile("rb"), "stdout", lines),
                gevent.spawn(_read, channel.makefile_stderr("rb"), "stderr", lines),
            ]  # before anything is sent: a command may print more than fits in between
            if isinstance(stdin, (str, bytes)):  # to the byte; pyinfra would add a new line
                channel.sendall(stdin.encode() if isinstance(stdin, str) else stdin)
            elif stdin:
                write_stdin(stdin, channel.makefile_stdin("wb"))
            channel.shutdown_write()
            if len(gevent.wait(readers, timeout=timeout)) < len(readers):
                channel.close()
                gevent.killall(readers)
                raise CommandTimeout(f"a command on {self._name} did not end within {timeout:g} s")
            code = channel.recv_exit_status()
        except _LOST as error:
            raise self._lost(error) from error
        if code == -1 and not self._transport().is_active():
            raise self._lost(None)
        return code, CommandOutput(lines)

    def _lost(self, error: Exception | None) -> ConnectionLost:
        self.losses += 1
        with contextlib.suppress(Exception):  # a channel can be refused by a connection that still stands
            self._transport().close()
        return ConnectionLost(f"the SSH connection to {self._name} was lost{f': {error}' if error else ''}")

    def open_command(self, text: str, *, pty: bool = False) -> Channel:
        """Start shell text on the host and return the open channel; the caller closes it."""
        channel = self._transport().open_session()
        if pty:
            channel.get_pty()
        channel.exec_command(text)
        return channel

    def open_tcp(self, address: str, port: int) -> Channel:
        """Return a channel to a TCP port as the host sees it."""
        self.ensure_connected()
        try:
            return self._transport().open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0))
        except _LOST as error:
            raise ConnectionLost(f"no way to {address}:{port} through {self._name}: {error}") from error


def _read(stream: Any, name: str, into: list[OutputLine]) -> None:
    """Collect lines; what is not UTF-8 is replaced, since stock pyinfra loses all output then."""
    for line in stream:
        into.append(OutputLine(name, line.decode("utf-8", "replace").rstrip("\n")))  # noqa: PERF401
