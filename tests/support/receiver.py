"""A web server of the tests' own that takes what apprise sends to a json:// address, or refuses it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import attrs
from typing_extensions import Self, override

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define
class Receiver:
    """Takes messages on a port of the loopback.

    Attributes:
        refuses: paths at which it answers 500.
        got: what it took: the path, and the message.
    """

    refuses: set[str] = attrs.field(factory=set)
    got: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._take))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def address(self, path: str) -> str:
        """Return an address of it in apprise's form, with a password as such addresses have them."""
        assert self._server is not None
        return f"json://me:secret-word@127.0.0.1:{self._server.server_port}{path}"

    def _take(self, path: str, message: dict[str, Any]) -> int:
        if path in self.refuses:
            return 500
        self.got.append((path, message))
        return 200


def _handler(take: Callable[[str, dict[str, Any]], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(take(self.path, json.loads(body)))
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
