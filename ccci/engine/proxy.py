"""The way of tests to apps: an HTTP CONNECT proxy on loopback whose other end is the SSH connection.

Tests use an app's real name, so name, SNI and certificate are those of the real world, whatever
port the host's proxy has here. Only names under the host's base domain are let through, and only
with the run's own password (RFC 9110, section 9.3.6 and RFC 7617).
"""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import TYPE_CHECKING, Any

import gevent
from gevent.server import StreamServer
from typing_extensions import Self

from ccci.errors import CcciError

if TYPE_CHECKING:
    from ccci.connector import CcciConnector

_CHUNK = 65536
_HEAD_LIMIT = 8192  # bytes of a request's head
_PORTS = (443,)


class AppProxy:
    """A CONNECT proxy for one host's apps; use it as a context manager."""

    def __init__(self, connector: CcciConnector, base_domain: str) -> None:
        self._connector = connector
        self._suffix = f".{base_domain}"
        self._password = secrets.token_urlsafe(24)
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0.5)

    @property
    def url(self) -> str:
        """The proxy's URL with its password: for the test process only."""
        return f"http://ccci:{self._password}@127.0.0.1:{self._server.server_port}"

    def _serve(self, sock: Any, _: object) -> None:
        try:
            reason, port = self._judge(_read_head(sock))
            if reason:
                sock.sendall(f"HTTP/1.1 {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            channel = self._connector.open_tcp("127.0.0.1", port)
        except (OSError, CcciError):
            sock.close()
            return
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = gevent.spawn(_pump, channel, sock)
        _pump(sock, channel)
        back.join(timeout=30)
        channel.close()

    def _judge(self, head: str) -> tuple[str, int]:
        """Return an HTTP refusal or nothing, and the port that is asked for."""
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        name, _, port = rest.partition(" ")[0].rpartition(":")
        fields = {key.strip().lower(): value.strip() for key, _, value in (h.partition(":") for h in headers)}
        wanted = "Basic " + base64.b64encode(f"ccci:{self._password}".encode()).decode()
        if not hmac.compare_digest(fields.get("proxy-authorization", "").encode(), wanted.encode()):
            return "407 Proxy Authentication Required", 0
        if method != "CONNECT":
            return "405 Only CONNECT", 0
        if not name.endswith(self._suffix) or not port.isdigit() or int(port) not in _PORTS:
            return "403 Only this host's apps", 0
        return "", int(port)


def _read_head(sock: Any) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(_CHUNK)
        data += more
        if not more or len(data) > _HEAD_LIMIT:
            raise OSError("no request")
    return data.split(b"\r\n\r\n", 1)[0].decode("latin-1")


def _pump(source: Any, sink: Any) -> None:
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        try:
            sink.shutdown(1)
        except (OSError, EOFError):
            return
