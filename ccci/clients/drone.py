"""Drone's API, as far as ccci needs it: builds of a repository, as the documents of Drone 2 describe it (2.28).

The token is that of a user who may write to the repository; Drone has no smaller ones.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import attrs
import requests

from ccci.clients.service import Bearer, Fields, Service
from ccci.errors import ServiceDown, UsageError
from ccci.model.names import git_ref, repository, shown

RUNNING = frozenset({"pending", "running", "blocked", "waiting_on_dependencies"})
ENDED = frozenset({"success", "failure", "error", "killed", "skipped", "declined"})
POLL = 1.0  # seconds between two looks at a build: each is a request to somebody else's server
BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries
_PAGE = 100  # builds; the most that Drone gives
_PAGES = 5  # how far back a build is looked for
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")  # Drone's own parameters are in lower case
_VALUE_MAX = 1000


@attrs.frozen
class Build:
    """A build.

    Attributes:
        number: its number in the repository.
        status: one of `RUNNING` or `ENDED`.
        error: why Drone could not run it, or empty.
        params: the parameters that it was started with.
    """

    number: int
    status: str
    error: str = ""
    params: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it is over, well or not."""
        return self.status in ENDED

    @property
    def passed(self) -> bool:
        """Whether it is over, and every step ended with 0."""
        return self.status == "success"


class Drone:
    """A Drone, seen by the user of a token. Every method raises ServiceDown, ServiceRefused or StateUnreadable.

    Args:
        url: where it is, without `/api`.
        token: of that user.
        http: how to get there: proxies and certificates are the caller's.
        wait: waits a number of seconds.
    """

    def __init__(
        self, url: str, token: str, http: requests.Session, *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._url = url.rstrip("/")
        self._service = Service("Drone", f"{self._url}/api", http, Bearer("Bearer", token))
        self._wait = wait

    def link(self, repo: str, number: int) -> str:
        """Return where people look at a build."""
        return f"{self._url}/{repository(repo)}/{number:d}"

    def create_build(self, repo: str, params: Mapping[str, str], *, branch: str = "", commit: str = "") -> Build:
        """Start a build, once; if this raises ServiceDown, nobody knows whether it was started.

        Args:
            repo: `owner/name` of the repository with the `.drone.yml`.
            params: become environment variables of its steps; names in upper case.
            branch: what is built; else the default branch.
            commit: the whole id of the commit that is built; else the branch's newest.

        Raises:
            UsageError: a parameter or the branch is none.
        """
        query = _checked(params)
        query |= {"branch": git_ref(branch, what="branch")} if branch else {}
        query |= {"commit": git_ref(commit, what="commit")} if commit else {}
        return self._build(self._service.ask("POST", _path(repo), params=query)[1])

    def find_build(self, repo: str, params: Mapping[str, str]) -> Build | None:
        """Return the newest build that was started with these parameters, or None if no recent one was.

        Args:
            repo: `owner/name`.
            params: all have to be the build's; it may have more.
        """
        wanted = _checked(params)
        for page in range(1, _PAGES + 1):
            query = {"page": str(page), "per_page": str(_PAGE)}
            _, data = self._service.ask("GET", _path(repo), params=query)
            if data is not None and not isinstance(data, list):
                raise self._service.unreadable("a list of builds", data)
            builds = [self._build(each) for each in data or ()]
            if found := next((b for b in builds if wanted.items() <= b.params.items()), None):
                return found
            if len(builds) < _PAGE:
                break
        return None

    def start_build(self, repo: str, params: Mapping[str, str], *, branch: str = "") -> Build:
        """Start a build unless there is one with these parameters; tries again while Drone is away.

        Each try looks first, so an answer that was lost on its way back does not become a second build. That
        needs parameters that no other build has, such as the id of the comment that asks for it.

        Args:
            repo: `owner/name` of the repository with the `.drone.yml`.
            params: as of `create_build`.
            branch: what is built; else the default branch.

        Raises:
            ServiceDown: Drone stayed away; call it again later, with the same parameters.
        """
        for pause in (*BACKOFF, None):
            try:
                return self.find_build(repo, params) or self.create_build(repo, params, branch=branch)
            except ServiceDown:
                if pause is None:
                    raise
                self._wait(pause)
        raise AssertionError("the last try returns or raises")

    def build(self, repo: str, number: int) -> Build:
        """Return a build as it is now."""
        return self._build(self._service.ask("GET", f"{_path(repo)}/{number:d}")[1])

    def watch(self, repo: str, number: int, tell: Callable[[Build], object], *, patience: float) -> Build:
        """Look at a build until it is over; that Drone is away for a while is no end.

        Args:
            repo: `owner/name`.
            number: the build's.
            tell: called with the build whenever its status has changed.
            patience: seconds for which Drone may be away.

        Raises:
            ServiceDown: it was away longer.
        """
        seen, heard = "", time.monotonic()
        while True:
            try:
                build = self.build(repo, number)
            except ServiceDown:
                if time.monotonic() - heard > patience:
                    raise
            else:
                heard = time.monotonic()
                if build.status != seen:
                    seen = build.status
                    tell(build)
                if build.ended:
                    return build
            self._wait(POLL)

    def cancel(self, repo: str, number: int) -> None:
        """Stop a build; one that is over stays as it is."""
        self._service.ask("DELETE", f"{_path(repo)}/{number:d}", good=(HTTPStatus.OK, HTTPStatus.NO_CONTENT))

    def _build(self, data: Any) -> Build:
        got = Fields(self._service, "a build", data)
        status, params = got.get(str, "status"), got.maybe(dict, "params") or {}
        if status not in RUNNING | ENDED:
            raise self._service.unreadable("a build, status", status)
        if not all(isinstance(value, str) for value in params.values()):
            raise self._service.unreadable("a build, params", params)
        return Build(got.get(int, "number"), status, got.maybe(str, "error") or "", params)


def _path(repo: str) -> str:
    return f"/repos/{repository(repo)}/builds"


def _checked(params: Mapping[str, str]) -> dict[str, str]:
    """Refuse parameters that would not arrive as environment variables, or that Drone takes for its own."""
    for name, value in params.items():
        if not _NAME.fullmatch(name) or not value.isprintable() or not 0 < len(value) <= _VALUE_MAX:
            raise UsageError(
                f"{shown(name)}={shown(value)} is no parameter of a build",
                hint="names are upper-case letters, digits and '_'; values one line of text",
            )
    return dict(params)
