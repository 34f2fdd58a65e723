"""A small HTTP server for tests that checks every request to the letter, and can be told to fail in the middle."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import attrs
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.frozen
class Asked:
    """A request: the parts of its path that the route names, its query and its JSON."""

    path: dict[str, str]
    query: dict[str, str]
    body: Any


class Wrong(Exception):
    """The request is not one that the real service takes; the text says why."""


@attrs.frozen
class Route:
    """What a method and a path do."""

    method: str
    path: re.Pattern[str]
    answer: Callable[[Asked], tuple[int, Any]]
    query: frozenset[str] = frozenset()
    free_query: bool = False
    body: frozenset[str] = frozenset()
    open: bool = False


class _Quiet(ThreadingHTTPServer):
    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed; what is wrong with a request is a fault."""


class StrictServer:
    """A server on loopback.

    Attributes:
        lines: every request that came, as `METHOD path`.
        faults: what was wrong with requests; a test ends by seeing that there is nothing.
        hook: called as (phase, line), phase `arrived` before anything is done and `done` before it is answered; if
            it returns true, the request goes no further and the connection is closed.
        away: while true, everything is answered 503.
    """

    def __init__(self, authorization: str, routes: list[Route]) -> None:
        """Start it."""
        self.lines: list[str] = []
        self.faults: list[str] = []
        self.hook: Callable[[str, str], bool] = lambda _, __: False
        self.away = False
        self._authorization = authorization
        self._routes = routes
        self._lock = threading.RLock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_all(self) -> None:
                outer.handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_all  # noqa: N815

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Check a request, do it, answer."""
        length = int(request.headers.get("Content-Length") or 0)
        raw = request.rfile.read(length)
        line = f"{request.command} {urlsplit(request.path).path}"
        self.lines.append(line)
        if self.away:
            self._send(request, 503, {"message": "away"})
            return
        if self.hook("arrived", line):
            request.close_connection = True
            return
        try:
            with self._lock:
                status, answer = self._done(request, raw)
        except Wrong as error:
            self.faults.append(f"{line}: {error}")
            status, answer = 422, {"message": str(error)}
        if self.hook("done", line):
            request.close_connection = True
            return
        self._send(request, status, answer)

    def _done(self, request: BaseHTTPRequestHandler, raw: bytes) -> tuple[int, Any]:
        parts = urlsplit(request.path)
        for route in self._routes:
            found = route.path.fullmatch(parts.path)
            if found and route.method == request.command:
                return route.answer(self._checked(route, found, request, raw))
        raise Wrong("there is no such path")

    def _checked(self, route: Route, found: re.Match[str], request: BaseHTTPRequestHandler, raw: bytes) -> Asked:
        pairs = parse_qsl(urlsplit(request.path).query, keep_blank_values=True, strict_parsing=False)
        query = dict(pairs)
        if len(query) != len(pairs) or (not route.free_query and query.keys() - route.query):
            raise Wrong(f"query {pairs}")
        if not route.open and request.headers.get_all("Authorization") != [self._authorization]:
            raise Wrong(f"authorization {request.headers.get_all('Authorization')}")
        body = None
        if route.body:
            if request.headers.get("Content-Type") != "application/json":
                raise Wrong("no JSON")
            body = json.loads(raw)
            if not isinstance(body, dict) or body.keys() != route.body:
                raise Wrong(f"body {raw!r}")
        elif raw:
            raise Wrong("a body where none belongs")
        return Asked(found.groupdict(), query, body)

    def _send(self, request: BaseHTTPRequestHandler, status: int, answer: Any) -> None:
        content = b"" if answer is None else json.dumps(answer).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        except OSError:
            request.close_connection = True  # who asked is dead
