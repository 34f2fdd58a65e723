"""The real bridge as a process, between a forge and a Drone of ours."""

from __future__ import annotations

import signal
import socket
import sqlite3
from typing import TYPE_CHECKING, Any

import attrs
import requests

from tests.support import fakedrone, fakeforge
from tests.support.crash import until
from tests.support.fakedrone import FakeDrone
from tests.support.fakeforge import FakeForge, Written, signed
from tests.support.running import Running, clean_environment, python_program

if TYPE_CHECKING:
    from pathlib import Path


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class Bridge:
    """A bridge, its folder, and the services around it.

    Attributes:
        folder: where its settings, secrets, queue and results are.
        extra: more lines of its table [bridge].
    """

    folder: Path
    extra: str = ""
    forge: FakeForge = attrs.field(init=False)
    drone: FakeDrone = attrs.field(init=False)
    port: int = attrs.field(init=False, factory=free_port)
    process: Running | None = None
    http: requests.Session = attrs.field(init=False, factory=requests.Session)

    def __attrs_post_init__(self) -> None:
        """Write what it needs; it is not started."""
        self.http.trust_env = False
        self.forge = FakeForge()
        self.forge.pulls[1] = fakeforge.Pull(1)
        self.drone = FakeDrone(self.folder / "runs")
        secrets = {"forge": fakeforge.TOKEN, "webhook": fakeforge.SECRET, "drone": fakedrone.TOKEN}
        for name, value in secrets.items():
            (self.folder / name).write_text(value + "\n", "utf-8")
            (self.folder / name).chmod(0o600)
        (self.folder / "recipes" / "custom-html").mkdir(parents=True)
        (self.folder / "recipes" / "custom-html" / "recipe_meta.toml").touch()
        (self.folder / "ccci.toml").write_text(self.settings(), "utf-8")

    def settings(self) -> str:
        """Return its settings file."""
        return f"""
results = "runs"
recipes = "recipes"
[bridge]
forge = "{self.forge.server.url}"
forge_token = "forge"
webhook_secret = "webhook"
drone = "{self.drone.server.url}"
drone_token = "drone"
drone_repository = "{fakedrone.REPO}"
repositories = ["{self.forge.repo}"]
organisation = "{fakeforge.ORGANISATION}"
allow = ["bert"]
listen = "127.0.0.1:{self.port}"
queue = "bridge.sqlite"
report_url = "https://ci.example.org/runs/{{run_id}}/"
{self.extra}
"""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def spawn(self, *words: str) -> Running:
        """Start it, by the words of the command line or straight as its own module."""
        env = clean_environment(
            {"CCCI_SETTINGS": str(self.folder / "ccci.toml"), "CCCI_HOME": str(self.folder / "home")}
        )
        self.process = Running(python_program(*(words or ("ccci.bridge",))), env, self.folder, None)
        return self.process

    def start(self, *words: str) -> None:
        """Start it, and wait until it answers."""
        started = self.spawn(*words)

        def is_there() -> bool:
            assert started.process.poll() is None, started.finish().all
            try:
                self.http.get(f"{self.url}/healthz", timeout=5)
            except requests.ConnectionError:
                return False
            return True

        until(is_there, "the bridge to listen", 30)

    def kill(self) -> None:
        """Kill it with -9, as a power cut would."""
        assert self.process
        self.process.process.send_signal(signal.SIGKILL)

    def dead(self) -> bool:
        """Return whether it is not running."""
        return self.process is None or self.process.process.poll() is not None

    def stop(self) -> str:
        """Stop it in order; returns its log."""
        assert self.process
        self.process.process.send_signal(signal.SIGTERM)
        done = self.process.finish(30)
        self.process = None
        assert done.code == 0, done.all
        return done.stderr

    def close(self) -> None:
        """End everything, and see that nobody was asked anything wrong."""
        if self.process:
            self.process.kill()
            self.process.finish()
        self.http.close()
        for server in (self.forge.server, self.drone.server):
            server.close()
            assert server.faults == []

    def comment(self, text: str = "!testme", author: str = "anna", number: int = 1) -> Written:
        """Let somebody write a comment, and deliver its webhook."""
        written = self.forge.write(number, author, text)
        assert self.deliver(self.forge.webhook(written)).status_code in {200, 202}
        return written

    def deliver(self, body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        """Send a webhook; signed, unless other headers are given."""
        return self.http.post(
            f"{self.url}/webhook", data=body, headers=signed(body) if headers is None else headers, timeout=20
        )

    def health(self) -> dict[str, Any]:
        """Return what /healthz says."""
        answer = self.http.get(f"{self.url}/healthz", timeout=5)
        said: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) == said["ok"]
        return said

    def rows(self) -> list[dict[str, Any]]:
        """Return the triggers in its queue, read past it."""
        path = self.folder / "bridge.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute("SELECT * FROM triggers ORDER BY id")]
        db.close()
        return found

    def states(self) -> list[str]:
        """Return the states of the triggers, oldest first."""
        return [row["state"] for row in self.rows()]

    def wait_for(self, *states: str, patience: float = 30.0) -> None:
        """Wait until the triggers have these states."""
        until(lambda: self.states() == list(states), f"{states}, not {self.states()}", patience)
