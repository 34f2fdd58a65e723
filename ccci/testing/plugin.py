"""The pytest plugin of the test process: fixtures, and a report that the run reads.

docs/recipes.md documents the fixtures for people who write tests of a recipe.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import requests

from ccci.model import codec
from ccci.testing.context import CONTEXT_VARIABLE, REPORT, Call, Reply, TestContext
from ccci.testing.sso import Sso


class Channel:
    """The inherited socket to the run: JSON lines, a question and its answer in turn."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(None)  # gevent made it otherwise, and a file description is shared
        self._lines = self._socket.makefile("rb")
        self.context = codec.load(TestContext, self._lines.readline().decode(), where="the test context")

    def ask(self, call: Call) -> Reply:
        """Ask the run something."""
        self._socket.sendall(json.dumps(codec.to_data(call)).encode() + b"\n")
        return codec.load(Reply, self._lines.readline().decode(), where="the run's answer")

    def tell(self, report: dict[str, Any]) -> None:
        """Tell the run how a test ended; nothing comes back."""
        self._socket.sendall(f"{REPORT}{json.dumps(report)}\n".encode())


class ExecError(AssertionError):
    """A command in a container failed that a test expected to work."""


@attrs.frozen
class Exec:
    """The outcome of a command in a container."""

    code: int
    stdout: str
    stderr: str


class App:
    """The app under test.

    Attributes:
        url: where it answers, by its real name.
        domain, stack: what they say.
        http: a `requests` session that reaches it over the run's SSH connection, TLS verified.
    """

    def __init__(self, channel: Channel, http: requests.Session) -> None:
        self._channel = channel
        context = channel.context
        self.url = f"https://{context.domain}"
        self.domain, self.stack = context.domain, context.stack
        self.http = http

    def get(self, path: str = "/", **arguments: Any) -> requests.Response:
        """GET a path of the app; 10 s at most unless `timeout` says otherwise."""
        return self.http.get(self.url + path, **{"timeout": 10, **arguments})

    def exec(self, *words: str, service: str = "", stdin: str | None = None, check: bool = True) -> Exec:
        """Run a command in the newest container of a service.

        Raises:
            ExecError: it failed and `check` is true.
        """
        service = service or self._channel.context.service
        reply = self._channel.ask(Call("exec", service, list(words), stdin))
        if reply.error:
            raise ExecError(reply.error)
        if check and reply.code:
            raise ExecError(f"{' '.join(words)} in {service} ended with {reply.code}: {reply.stderr.strip()}")
        return Exec(reply.code, reply.stdout, reply.stderr)

    def read_file(self, path: str, *, service: str = "") -> str:
        """Return the text of a file in a service's container."""
        return self.exec("cat", path, service=service).stdout

    def write_file(self, path: str, text: str, *, service: str = "") -> None:
        """Write a file in a service's container."""
        self.exec("sh", "-c", 'cat >"$1"', "-", path, service=service, stdin=text)

    def swarm(self) -> dict[str, Any]:
        """Return what Swarm says of the stack now: services with image, labels, running and wanted tasks."""
        reply = self._channel.ask(Call("stack"))
        if reply.error:
            raise ExecError(reply.error)
        data: dict[str, Any] = json.loads(reply.stdout)
        return data


def pytest_configure(config: pytest.Config) -> None:
    """Open the channel to the run."""
    config.addinivalue_line(
        "markers", "requires_deps: skipped, which is red, if the recipe's dependencies are not there"
    )
    config.stash[_channel_key] = Channel(int(os.environ[CONTEXT_VARIABLE]))


_channel_key = pytest.StashKey[Channel]()


class _Reports:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Report a test's own outcome, and set-up and tear-down if they did not pass."""
        if report.when == "call" or report.outcome != "passed":
            text = getattr(getattr(report.longrepr, "reprcrash", None), "message", "") or report.longreprtext
            self.channel.tell(
                {
                    "id": report.nodeid,
                    "outcome": report.outcome,
                    "seconds": report.duration,
                    "text": text[:4000],
                }
            )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report what cannot even be collected."""
        if report.outcome == "failed":
            self.channel.tell(
                {
                    "id": report.nodeid,
                    "outcome": "failed",
                    "seconds": 0.0,
                    "text": report.longreprtext[-4000:],
                }
            )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say how many tests there were: one that ends the process early must not pass for all of them."""
    session.config.stash[_channel_key].tell({"collected": session.testscollected})


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin to report."""
    session.config.pluginmanager.register(_Reports(session.config.stash[_channel_key]))


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> TestContext:
    """What is tested: recipe, stage, commit, version, domain."""
    return request.config.stash[_channel_key].context


@pytest.fixture(scope="session")
def http(run: TestContext) -> Iterator[requests.Session]:
    """A `requests` session that reaches the host's apps by their real names over verified TLS."""
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": run.proxy, "https": run.proxy}
        session.verify = run.ca or True
        yield session


@pytest.fixture(scope="session")
def app(request: pytest.FixtureRequest, http: requests.Session) -> App:
    """The app under test: url, http, get, exec, read_file, write_file, swarm."""
    return App(request.config.stash[_channel_key], http)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs dependencies that this run does not have: the run turns red, since a skip proves nothing."""
    context = item.config.stash[_channel_key].context
    if item.get_closest_marker("requires_deps") and context.sso is None and not context.deps:
        pytest.skip("it needs the recipe's dependencies, and this run has none: see `deps` in recipe_meta.toml")


@pytest.fixture(scope="session")
def sso(run: TestContext, http: requests.Session) -> Sso:
    """The run's realm on the live Keycloak: log in as a browser does, ask for tokens, verify them."""
    if run.sso is None:
        pytest.skip("this recipe has no realm: `deps` in its recipe_meta.toml does not name keycloak")
    return Sso(run.sso, http)
