"""The way of tests to apps: a real proxy, a real server behind it, and what it refuses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

import pytest

from ccci.connector import CcciConnector
from ccci.engine.proxy import AppProxy
from ccci.errors import ConnectionLost

BASE = "ci.lab.test"
APP = f"blog-abcdef.{BASE}:443"


class Way:
    """What the proxy needs of a connector, with a loopback server as the host: `open_tcp`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []

    def open_tcp(self, address: str, port: int) -> socket.socket:
        """Connect to the server, whatever port was asked for."""
        self.asked.append((address, port))
        if not self.port:
            raise ConnectionLost("no way")
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


def _echo(server: socket.socket) -> None:
    """Answer each connection with all that it sent, once it has sent all."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(20)
            while data := connection.recv(65536):
                connection.sendall(data)


@pytest.fixture
def way() -> Iterator[Way]:
    """Run an echo server on loopback and give the way to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield Way(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy(way: Way) -> Iterator[AppProxy]:
    """Run the proxy in front of a way."""
    with AppProxy(cast("CcciConnector", way), BASE) as made:
        yield made


def login(made: AppProxy) -> str:
    """Return the header with the proxy's password."""
    parts = urlsplit(made.url)
    return f"Proxy-Authorization: Basic {base64.b64encode(f'{parts.username}:{parts.password}'.encode()).decode()}\r\n"


def call(made: AppProxy, head: str) -> socket.socket:
    """Connect and send a request's head."""
    sock = socket.create_connection(("127.0.0.1", urlsplit(made.url).port or 0), timeout=20)
    sock.sendall(head.encode("latin-1"))
    return sock


def answer(sock: socket.socket) -> str:
    """Return the first line of what comes back; nothing if the connection was closed."""
    data = b""
    while b"\r\n\r\n" not in data and (more := sock.recv(4096)):
        data += more
    return data.decode().split("\r\n")[0]


def test_a_tunnel_reaches_the_host_and_carries_bytes(way: Way) -> None:
    """With the password and an app's name a tunnel opens to the host's own port 443, and bytes come back."""
    with proxy(way) as made, call(made, f"CONNECT {APP} HTTP/1.1\r\nHost: {APP}\r\n{login(made)}\r\n") as sock:
        assert answer(sock) == "HTTP/1.1 200 Connection established"
        sock.sendall(b"\0hello\xff")
        sock.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: sock.recv(100), b"")) == b"\0hello\xff"
        assert way.asked == [("127.0.0.1", 443)]


def test_big_transfers_come_whole(way: Way) -> None:
    """Many megabytes go through and back in any pieces, several tunnels at a time."""
    data = bytes(range(256)) * 40_000
    with proxy(way) as made:

        def send(sock: socket.socket) -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        for _ in range(2):
            with call(made, f"CONNECT {APP} HTTP/1.1\r\n{login(made)}\r\n") as sock:
                assert " 200 " in answer(sock)
                sender = threading.Thread(target=send, args=(sock,))
                sender.start()
                back = b"".join(iter(lambda s=sock: s.recv(65536), b""))  # type: ignore[misc]
                sender.join()
            assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    "header",
    ["", "Proxy-Authorization: Basic eDp5\r\n", "Proxy-Authorization: Basic\r\n", "Proxy-Authorization: \xff\r\n"],
)
@pytest.mark.parametrize("request_line", [f"CONNECT {APP} HTTP/1.1", "GET http://x/ HTTP/1.1", "CONNECT x:1 HTTP/1.1"])
def test_without_the_password_nothing_is_said_but_407(way: Way, header: str, request_line: str) -> None:
    """Who has no password learns nothing of what is allowed and reaches nobody."""
    with proxy(way) as made, call(made, f"{request_line}\r\n{header}\r\n") as sock:
        assert answer(sock).startswith("HTTP/1.1 407 ")
    assert not way.asked


@pytest.mark.parametrize(
    "target",
    [
        "example.org:443", f"blog.{BASE}.evil.org:443", f"evil{BASE}:443", f"{BASE}:443", "127.0.0.1:443", "[::1]:443",
        f"blog.{BASE}:22", f"blog.{BASE}:80", f"blog.{BASE}:", f"blog.{BASE}", f"blog.{BASE}:-1",
        "", ":443",
    ],
)  # fmt: skip
def test_only_apps_of_the_host_are_reached(way: Way, target: str) -> None:
    """Other names, the host itself and other ports are refused with the password, too."""
    with proxy(way) as made, call(made, f"CONNECT {target} HTTP/1.1\r\n{login(made)}\r\n") as sock:
        assert answer(sock).startswith("HTTP/1.1 403 ")
    assert not way.asked


def test_only_connect_is_spoken(way: Way) -> None:
    """A plain request is refused: all traffic is TLS from end to end."""
    with proxy(way) as made, call(made, f"GET http://{APP}/ HTTP/1.1\r\n{login(made)}\r\n") as sock:
        assert answer(sock).startswith("HTTP/1.1 405 ")


@pytest.mark.parametrize("head", ["x" * 10_000, "CONNECT"])
def test_what_is_no_request_is_hung_up_on(way: Way, head: str) -> None:
    """An endless or half a head ends the connection and not the proxy."""
    with proxy(way) as made:
        with call(made, head) as sock:
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # closed while our bytes were on the way
                assert answer(sock) == ""
        with call(made, f"CONNECT {APP} HTTP/1.1\r\n{login(made)}\r\n") as sock:
            assert " 200 " in answer(sock)


def test_an_unreachable_host_is_a_closed_connection() -> None:
    """When there is no way to the host the test's connection ends at once instead of hanging."""
    with proxy(Way(0)) as made, call(made, f"CONNECT {APP} HTTP/1.1\r\n{login(made)}\r\n") as sock:
        assert " 200 " not in answer(sock)


def test_each_run_has_its_own_password(way: Way) -> None:
    """Two proxies do not let each other's tests in, and nobody hears after the end."""
    with proxy(way) as one, proxy(way) as two:
        assert urlsplit(one.url).password != urlsplit(two.url).password
        with call(one, f"CONNECT {APP} HTTP/1.1\r\n{login(two)}\r\n") as sock:
            assert answer(sock).startswith("HTTP/1.1 407 ")
        url = one.url
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=5)
