"""The SSH connector against a real sshd on loopback: what holds, and what happens when things break."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import gevent
import pytest
from pyinfra.api import StringCommand

from ccci.connector import CcciConnector
from ccci.engine.connect import connected
from ccci.errors import CommandTimeout, ConnectionLost, HostUnreachable
from ccci.settings import Host, Settings

_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
"""


class Sshd:
    """A real sshd with keys and port of its own; it is stopped by its own process id."""

    def __init__(self, folder: Path) -> None:
        """Make keys and configuration; nothing runs yet."""
        self.folder = folder
        self.program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert self.program, "sshd is missing: install openssh-server"
        assert os.geteuid() == 0, "sshd needs root to log root in"
        for name in ("host_key", "user_key", "other_key"):
            self.keygen(name)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        (folder / "sshd_config").write_text(_CONFIG.format(port=self.port, folder=folder))
        self.know("host_key")
        self.process: subprocess.Popen[bytes] | None = None

    def keygen(self, name: str) -> None:
        """Make a key pair."""
        words = ["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(words, check=True)

    def know(self, name: str) -> None:
        """Write the known_hosts file with a key."""
        kind, key, *_ = (self.folder / f"{name}.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def start(self) -> None:
        """Start it and wait until it listens."""
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start without
        with (self.folder / "log").open("ab") as log:
            words = [str(self.program), "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self.process = subprocess.Popen(words, stderr=log)
        deadline = time.monotonic() + 10
        while not (self.folder / "sshd.pid").exists():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert self.process.poll() is None, (self.folder / "log").read_text()
            gevent.sleep(0.02)

    def sessions(self) -> list[int]:
        """Return the ids of its session processes."""
        if self.process is None or self.process.poll() is not None:
            return []
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill_sessions(self) -> None:
        """Kill the connections, and keep listening."""
        _signal(self.sessions(), signal.SIGKILL)

    def stop(self) -> None:
        """Stop listening and kill the connections."""
        sessions = self.sessions()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        _signal(sessions, signal.SIGKILL)
        (self.folder / "sshd.pid").unlink(missing_ok=True)

    def settings(self) -> Settings:
        """Return settings that reach it, with short times."""
        host = Host(
            name="ci",
            address="127.0.0.1",
            base_domain="ci.lab.test",
            port=self.port,
            key=self.folder / "user_key",
            known_hosts=self.folder / "known_hosts",
        )
        return Settings(
            hosts={"ci": host}, host="ci", recipes=self.folder, results=self.folder, keepalive=0.4, dead_after=2.0
        )


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """Run an sshd for one test."""
    server = Sshd(tmp_path)
    server.start()
    yield server
    server.stop()


def _signal(pids: list[int], signum: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # one that ends by itself meanwhile
            os.kill(pid, signum)


@attrs.frozen
class Link:
    """A connection: the connector, and a way to run shell text on it."""

    connector: CcciConnector

    def run(self, text: str, **arguments: Any) -> tuple[bool, list[str]]:
        """Run shell text; return whether it ended well, and its lines. No test may hang for more than 30 s."""
        with gevent.Timeout(30):
            good, output = self.connector.run_shell_command(StringCommand(text), **arguments)
        return good, output.stdout_lines


@contextlib.contextmanager
def linked(sshd: Sshd) -> Iterator[Link]:
    """Connect the way that ccci does."""
    with connected(sshd.settings(), "ci") as (_, host):
        connector = host.connector
        assert isinstance(connector, CcciConnector)
        yield Link(connector)


@pytest.fixture
def link(sshd: Sshd) -> Iterator[Link]:
    """Connect for one test."""
    with linked(sshd) as made:
        yield made


def test_a_command_gives_its_outcome(link: Link) -> None:
    """Exit code and both outputs come back, and the last exit code is kept for error messages."""
    assert link.run("echo one; echo two") == (True, ["one", "two"])
    good, lines = link.run("echo three; echo four >&2; exit 7")
    assert (good, lines) == (False, ["three"])
    code, output = link.connector.host.connector_data["ccci_last"]
    assert (code, output.stderr_lines) == (7, ["four"])
    assert link.run("exit 7", _success_exit_codes=[7])[0]


def test_small_packets_are_sent_at_once(link: Link) -> None:
    """Nagle's algorithm is off: it would cost 40 ms a command."""
    sock = link.connector._transport().sock
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_output_that_is_not_utf8_is_kept(link: Link) -> None:
    """A byte that is no text becomes a mark; the lines around it are there."""
    assert link.run(r"printf 'a\n\377b\nc\n'") == (True, ["a", "\ufffdb", "c"])


@pytest.mark.parametrize("text", ["", "x", "x\n", "a\n\nb", "größe €\n", "\t \n"])
def test_standard_input_arrives_to_the_byte(link: Link, text: str) -> None:
    """No new line is added and none is lost: a password file holds the password and nothing else."""
    want = " ".join(f"{byte:02x}" for byte in text.encode())
    assert " ".join(" ".join(link.run("od -An -v -tx1", _stdin=text)[1]).split()) == want


def test_much_goes_in_and_out_at_the_same_time(link: Link) -> None:
    """A command that answers while it still reads does not block either side, at any size."""
    line = "x" * 1023 + "\n"
    assert link.run("cat", _stdin=line * 8192)[1] == [line.rstrip()] * 8192


def test_a_command_that_takes_too_long_is_left(link: Link) -> None:
    """It is a CommandTimeout, and the connection goes on."""
    begin = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"within 0\.3 s"):
        link.run("sleep 60", _timeout=0.3)
    assert time.monotonic() - begin < 20
    assert link.run("echo on") == (True, ["on"])


def test_a_killed_connection_is_lost_and_comes_back(sshd: Sshd, link: Link) -> None:
    """The command under way is ConnectionLost, not a failed command; the next one connects again, hooks first."""
    calls: list[str] = []
    link.connector.reconnected.append(lambda: calls.append("hook"))
    killer = gevent.spawn_later(0.3, sshd.kill_sessions)
    with pytest.raises(ConnectionLost, match="connection to ci was lost"):
        link.run("sleep 60")
    killer.join()
    assert not calls
    assert link.run("echo back") == (True, ["back"])
    assert calls == ["hook"]
    assert link.run("echo again") == (True, ["again"])
    assert calls == ["hook"]


def test_a_connection_killed_between_commands_is_made_again(sshd: Sshd, link: Link) -> None:
    """A step that begins on a dead connection either gets a new one or a ConnectionLost, never a false answer."""
    sshd.kill_sessions()
    try:
        assert link.run("echo back") == (True, ["back"])
    except ConnectionLost:
        assert link.run("echo back") == (True, ["back"])


def test_a_frozen_peer_is_noticed_in_its_time(sshd: Sshd, link: Link) -> None:
    """A peer that keeps the connection open and says nothing is lost after dead_after, and not at once."""
    frozen = sshd.sessions()
    killer = gevent.spawn_later(0.2, _signal, frozen, signal.SIGSTOP)
    begin = time.monotonic()
    try:
        with pytest.raises(ConnectionLost):
            link.run("sleep 60")
        took = time.monotonic() - begin
        assert 1.0 < took < 2.0 + 0.4 + 5.0  # dead_after, one probe, and a slow machine
        assert link.run("echo back") == (True, ["back"])
    finally:
        killer.join()
        _signal(frozen, signal.SIGKILL)


def test_a_host_that_is_gone_stays_unreachable(sshd: Sshd, link: Link) -> None:
    """After its time the host counts as dead, and later calls say so at once, whatever happens then."""
    sshd.stop()
    with pytest.raises((ConnectionLost, HostUnreachable)):
        link.run("echo x")
    with pytest.raises(HostUnreachable, match="host ci does not answer"):
        link.run("echo x")
    sshd.start()
    begin = time.monotonic()
    with pytest.raises(HostUnreachable, match="host ci does not answer"):
        link.run("echo x")
    assert time.monotonic() - begin < 1.0


def test_a_host_that_is_down_is_named_with_a_command_to_try(sshd: Sshd) -> None:
    """No connection at all is HostUnreachable with the ssh command as the hint."""
    sshd.stop()
    with pytest.raises(HostUnreachable, match="cannot be reached") as caught, linked(sshd):
        pass
    assert f"ssh -p {sshd.port} -i " in (caught.value.hint or "")


def test_another_host_key_is_refused(sshd: Sshd) -> None:
    """A host whose key is not the known one gets no command, and the message says why."""
    sshd.know("other_key")
    with pytest.raises(HostUnreachable, match="SSH key of ci") as caught, linked(sshd):
        pass
    assert "somebody may be in between" in (caught.value.hint or "")


def test_an_unknown_host_key_is_refused(sshd: Sshd) -> None:
    """A host that nobody vouched for gets no command: strict checking is not optional."""
    (sshd.folder / "known_hosts").write_text("")
    with pytest.raises(HostUnreachable), linked(sshd):
        pass


def test_another_user_key_is_refused(sshd: Sshd) -> None:
    """Without the right key there is no connection, and the error is ours."""
    shutil.copy(sshd.folder / "other_key", sshd.folder / "user_key")
    with pytest.raises(HostUnreachable), linked(sshd):
        pass


def test_a_host_that_comes_back_with_another_key_is_refused(sshd: Sshd, link: Link) -> None:
    """A reconnection is as strict as the first connection: another machine at the same address gets nothing."""
    sshd.stop()
    for suffix in ("", ".pub"):
        shutil.copy(sshd.folder / f"other_key{suffix}", sshd.folder / f"host_key{suffix}")
    sshd.start()
    with contextlib.suppress(ConnectionLost, HostUnreachable):
        link.run("true")  # may still find the end of the old connection
    with pytest.raises(HostUnreachable, match="host ci does not answer"):
        link.run(f"touch {sshd.folder}/done")
    assert not (sshd.folder / "done").exists()


def test_an_open_command_lives_as_long_as_its_channel(link: Link, tmp_path: Path) -> None:
    """A lock's holder runs beside other commands, and its standard input ends when we close."""
    channel = link.connector.open_command(f"echo ready; cat; touch {tmp_path}/ended")
    assert channel.makefile("rb").readline() == b"ready\n"
    assert link.run("echo beside") == (True, ["beside"])
    assert not (tmp_path / "ended").exists()
    channel.close()
    deadline = time.monotonic() + 10
    while not (tmp_path / "ended").exists():
        assert time.monotonic() < deadline
        gevent.sleep(0.02)


def test_tcp_goes_through_the_connection(link: Link) -> None:
    """A port of the host is reached as the host sees it; a shut one is an error of ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        channel = link.connector.open_tcp("127.0.0.1", port)
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"hello")
            assert channel.recv(100) == b"hello"
        channel.close()
    with pytest.raises(ConnectionLost, match="no way to"):
        link.connector.open_tcp("127.0.0.1", port)
    assert link.run("echo on") == (True, ["on"])


def test_a_disconnect_disconnects(sshd: Sshd) -> None:
    """When the block ends the session on the host ends too."""
    with linked(sshd) as made:
        assert made.run("true")[0]
        assert sshd.sessions()
    deadline = time.monotonic() + 10
    while sshd.sessions():
        assert time.monotonic() < deadline
        gevent.sleep(0.02)


def test_many_commands_at_a_time(link: Link) -> None:
    """Tests, watchers and the run share one connection: each command gets its own answer."""
    jobs = [gevent.spawn(link.run, f"echo {i}") for i in range(8)]
    gevent.joinall(jobs, timeout=30, raise_error=True)
    assert [job.value for job in jobs] == [(True, [str(i)]) for i in range(8)]
