"""One way to ask a service that has an API with a token: time-outs, a limit for answers, errors of ours.

The token goes into the header `Authorization` and nowhere else: no message holds it, or what the service was sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from requests.auth import AuthBase
from typing_extensions import override

from ccci.errors import ServiceDown, ServiceRefused, StateUnreadable
from ccci.model.names import shown

CONNECT, READ = 10.0, 30.0  # seconds to connect, and until more of an answer comes
WHOLE = 60.0  # seconds for one answer from its first byte to its last: one that drips is none
ANSWER_MAX = 8 * 1024 * 1024  # bytes; a page of fifty comments of the longest kind is smaller
_CHUNK = 64 * 1024
_SAID_MAX = 200  # characters of what the service says that go into a message
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_TRIED_LATER = "it is tried again; if this lasts, look at the service itself"
_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "is the token right, and not revoked? docs/bridge.md says how to make one",
    HTTPStatus.FORBIDDEN: "the token may not do this: docs/bridge.md lists what each needs",
    HTTPStatus.NOT_FOUND: "it is not there, or the token may not see it",
}

T = TypeVar("T")


class Bearer(AuthBase):
    """Sets the header `Authorization`; being an `auth`, it is not replaced by what a .netrc says."""

    def __init__(self, scheme: str, token: str) -> None:
        self._value = f"{scheme} {token}"

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class Service:
    """A service's API.

    Args:
        name: what people call it, such as "the forge".
        url: where its API is; a slash at the end does not matter.
        http: how to get there: proxies and certificates are the caller's.
        auth: adds the token.
    """

    def __init__(self, name: str, url: str, http: requests.Session, auth: AuthBase) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._http = http
        self._auth = auth

    def ask(
        self,
        method: str,
        path: str,
        *,
        good: tuple[HTTPStatus, ...] = (HTTPStatus.OK,),
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[HTTPStatus, Any]:
        """Ask once.

        Args:
            method: the HTTP method.
            path: the path, its parts already encoded.
            good: the status codes that answer the question; every other one raises.
            params: the query.
            body: what is sent as JSON.

        Returns:
            The status, and the answer's JSON or None if it has no body.

        Raises:
            ServiceDown: it does not answer, or says that it cannot now; ask again later.
            ServiceRefused: it answers, and says no.
            StateUnreadable: its answer is too long, or no JSON.
        """
        what = f"{method} {path}"
        status, text = self._send(method, path, what, params=params, json=body)
        if status in good:
            return HTTPStatus(status), self._parsed(text, what)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _LATER:
            raise self._down(f"answers {status} to {what}{_said(text)}")
        hint = _HINTS.get(status, "was it upgraded? docs/bridge.md says which versions were tried")
        raise ServiceRefused(f"{self._where} answers {status} to {what}{_said(text)}", status=status, hint=hint)

    def unreadable(self, what: str, value: object) -> StateUnreadable:
        """Return the error for an answer that is not what the API promises."""
        return StateUnreadable(f"{self._where} answers {what} with {shown(value)}: that is not its API as we know it")

    @property
    def _where(self) -> str:
        return f"{self._name} at {self._url}"

    def _down(self, what: str) -> ServiceDown:
        return ServiceDown(f"{self._where} {what}", hint=_TRIED_LATER)

    def _send(self, method: str, path: str, what: str, **arguments: Any) -> tuple[int, bytes]:
        """Send a request; returns the status and the body."""
        fixed: dict[str, Any] = {
            "auth": self._auth,
            "timeout": (CONNECT, READ),
            "allow_redirects": False,  # a token goes nowhere else
            "stream": True,
            "headers": {"Accept": "application/json"},
        }
        try:
            with self._http.request(method, self._url + path, **fixed, **arguments) as answer:
                return answer.status_code, self._read(answer, what)
        except requests.RequestException as error:
            # not `from error`: its text may hold the way there, which can have a password in it
            raise self._down(f"does not answer: {type(error).__name__}, {what}") from None

    def _read(self, answer: requests.Response, what: str) -> bytes:
        deadline, parts, size = time.monotonic() + WHOLE, [], 0
        for part in answer.iter_content(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > ANSWER_MAX:
                raise StateUnreadable(f"{self._where} answers {what} with more than {ANSWER_MAX} bytes")
            if time.monotonic() > deadline:
                raise self._down(f"does not end its answer to {what} within {WHOLE:g} s")
        return b"".join(parts)

    def _parsed(self, text: bytes, what: str) -> Any:
        if not text.strip():
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise StateUnreadable(f"{self._where} answers {what} with something that is no JSON") from None


def _said(text: bytes) -> str:
    """Return what a service says of a refusal: its field `message`, nothing else of the body."""
    try:
        said = json.loads(text)["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return f": {ascii(said)[1:-1][:_SAID_MAX]}" if isinstance(said, str) and said else ""


class Fields:
    """The fields of a JSON object, each of the type that it must have."""

    def __init__(self, service: Service, what: str, data: Any) -> None:
        """Take an answer; `what` names it in messages."""
        self._service = service
        self._what = what
        self._data = data

    def get(self, kind: type[T], *path: str) -> T:
        """Return a field, by the names on the way to it.

        Raises:
            StateUnreadable: it is not there, or of another type.
        """
        value = self._data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if type(value) is not kind:  # True is no number
            raise self._service.unreadable(f"{self._what}, {'.'.join(path) or 'the whole'}", value)
        return value

    def maybe(self, kind: type[T], *path: str) -> T | None:
        """Return a field, or None if it is not there or null."""
        value = self._data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return None if value is None else self.get(kind, *path)
