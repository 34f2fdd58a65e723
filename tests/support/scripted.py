"""Answers to HTTP requests by a script: for what a real service does once in a year, such as half an answer."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override


@attrs.frozen
class Answer:
    """One answer. A body that is no text is sent as JSON."""

    status: int
    body: Any = ""
    headers: dict[str, str] = attrs.field(factory=dict)

    def to(self, request: requests.PreparedRequest) -> requests.Response:
        """Return it as the answer to a request."""
        made = requests.Response()
        made.status_code, made.request, made.url = self.status, request, str(request.url)
        is_text = isinstance(self.body, str)
        kind = "text/html; charset=utf-8" if is_text else "application/json"
        made.headers.update({"Content-Type": kind, **self.headers})
        made.raw = io.BytesIO((self.body if is_text else json.dumps(self.body)).encode())
        return made


class Scripted(HTTPAdapter):
    """Gives the answers in their order, and keeps what it was asked; one request too many is a failure."""

    def __init__(self, *answers: Answer | Exception) -> None:
        """Remember what to answer."""
        super().__init__()
        self.answers = list(answers)
        self.asked: list[requests.PreparedRequest] = []

    @override
    def send(self, request: requests.PreparedRequest, *_: Any, **arguments: Any) -> requests.Response:
        assert arguments.get("timeout"), f"{request.method} {request.url} waits for ever"
        self.asked.append(request)
        assert self.answers, f"nobody expected {request.method} {request.url}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer.to(request)

    @property
    def lines(self) -> list[str]:
        """What was asked, as `METHOD path`."""
        return [f"{request.method} {request.path_url}" for request in self.asked]

    def session(self) -> requests.Session:
        """Return a client of it."""
        made = requests.Session()
        made.trust_env = False
        made.mount("https://", self)
        return made
