"""A real Gitea on loopback: users, an organisation, repositories, pull requests, webhooks, tokens of least scopes."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import requests

from tests.support.giteabuild import ensure_gitea

if TYPE_CHECKING:
    from collections.abc import Mapping

ADMIN = "admin-of-the-tests"
SCOPES = ("write:issue", "write:repository", "read:organization")  # what the bridge's token needs, and no more
PATIENCE = 120.0  # seconds until it answers; two on an idle machine
_SETTINGS = """\
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = {url}/
STATIC_ROOT_PATH = {served}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1$1
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
[log]
MODE = file
LEVEL = Warn
[actions]
ENABLED = false
[packages]
ENABLED = false
[cron]
ENABLED = false
"""


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@attrs.define
class Gitea:
    """A forge.

    Attributes:
        folder: its data, and nothing else's.
        port: where it listens on loopback.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    passwords: dict[str, str] = attrs.field(factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Where it is, for this machine."""
        return f"http://127.0.0.1:{self.port}"

    def make(self) -> None:
        """Set it up with an administrator, and start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        served = ensure_gitea()
        settings = _SETTINGS.format(port=self.port, url=self.url, served=served)
        self._settings.write_text(settings, "utf-8")
        self._gitea("migrate")
        self.passwords[ADMIN] = secrets.token_urlsafe(16)
        words = ("--username", ADMIN, "--password", self.passwords[ADMIN], "--email", f"{ADMIN}@example.com")
        self._gitea("admin", "user", "create", "--admin", "--must-change-password=false", *words)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self.folder / "output").open("ab")
        with log:
            self.process = subprocess.Popen(
                [*self._words(), "web"],
                env=self._env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if requests.get(f"{self.url}/api/healthz", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            assert self.process.poll() is None, (self.folder / "output").read_text("utf-8")
            assert time.monotonic() < deadline, "Gitea does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it; its data stay."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, user: str = ADMIN) -> Any:
        """Ask its API as a user, by name and password; returns the JSON, or None."""
        answer = requests.request(
            method, f"{self.url}/api/v1{path}", json=body, auth=(user, self.passwords[user]), timeout=60
        )
        assert answer.ok, f"{method} {path} as {user}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def user(self, name: str) -> str:
        """Make a user; returns the name."""
        self.passwords[name] = secrets.token_urlsafe(16)
        body = {"username": name, "email": f"{name}@example.com", "password": self.passwords[name]}
        self.ask("POST", "/admin/users", {**body, "must_change_password": False})
        return name

    def token(self, user: str, *scopes: str) -> str:
        """Make a token of a user that may do no more than the scopes say."""
        body = {"name": secrets.token_hex(4), "scopes": list(scopes)}
        return str(self.ask("POST", f"/users/{user}/tokens", body, user=user)["sha1"])

    def organisation(self, name: str, *members: str) -> str:
        """Make an organisation whose members, as a team of it, may write to its repositories."""
        self.ask("POST", "/orgs", {"username": name, "visibility": "public"})
        units = dict.fromkeys(("repo.code", "repo.issues", "repo.pulls"), "write")
        team = {"name": "writers", "permission": "write", "includes_all_repositories": True, "units_map": units}
        number = self.ask("POST", f"/orgs/{name}/teams", team)["id"]
        for member in members:
            self.ask("PUT", f"/teams/{number}/members/{member}")
        return name

    def repository(self, owner: str, name: str, source: Path) -> str:
        """Make a repository of an organisation with all branches and tags of another; returns `owner/name`."""
        self.ask("POST", f"/orgs/{owner}/repos", {"name": name, "default_branch": "main"})
        self.push(f"{owner}/{name}", source, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        return f"{owner}/{name}"

    def push(self, repo: str, source: Path, *refs: str, user: str = ADMIN) -> None:
        """Push from a repository of this machine, as a user."""
        there = f"http://{user}:{self.passwords[user]}@127.0.0.1:{self.port}/{repo}.git"
        words = ["git", "-C", str(source), "push", "-q", there, *refs]
        subprocess.run(
            words, check=True, capture_output=True, timeout=120, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        )

    def fork(self, repo: str, user: str) -> str:
        """Let a user fork a repository; returns the fork's name."""
        return str(self.ask("POST", f"/repos/{repo}/forks", {}, user=user)["full_name"])

    def pull_request(self, repo: str, head: str, *, title: str = "Mend it", user: str = ADMIN) -> int:
        """Open a pull request of a branch (`branch`, or `user:branch` of a fork) for main; returns its number."""
        body = {"head": head, "base": "main", "title": title}
        return int(self.ask("POST", f"/repos/{repo}/pulls", body, user=user)["number"])

    def comment(self, repo: str, number: int, text: str, *, user: str) -> int:
        """Write a comment as a user; returns its id."""
        path = f"/repos/{repo}/issues/{number}/comments"
        return int(self.ask("POST", path, {"body": text}, user=user)["id"])

    def comments(self, repo: str, number: int) -> list[dict[str, Any]]:
        """Return the comments under an issue or a pull request, as the API tells them."""
        found: list[dict[str, Any]] = self.ask("GET", f"/repos/{repo}/issues/{number}/comments")
        return found

    def statuses(self, repo: str, sha: str) -> dict[str, dict[str, Any]]:
        """Return the newest status of a commit in each context."""
        found = self.ask("GET", f"/repos/{repo}/commits/{sha}/status")["statuses"] or []
        return {str(each["context"]): each for each in found}

    def webhook(self, repo: str, url: str, secret: str) -> int:
        """Let it tell a URL of every comment; returns the webhook's id."""
        config = {"url": url, "content_type": "json", "secret": secret}
        body = {"type": "gitea", "config": config, "active": True, "events": ["issue_comment", "pull_request_comment"]}
        return int(self.ask("POST", f"/repos/{repo}/hooks", body)["id"])

    @property
    def _settings(self) -> Path:
        return self.folder / "app.ini"

    @property
    def _env(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        # as root it asks for the word in its settings and here
        root = {"GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true", "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true"}
        return {**kept, **root, "HOME": str(self.folder)}

    def _words(self) -> list[str]:
        return [str(ensure_gitea() / "gitea"), "--work-path", str(self.folder), "--config", str(self._settings)]

    def _gitea(self, *words: str) -> None:
        done = subprocess.run(
            [*self._words(), *words],
            env=self._env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{words[0]}\n{done.stdout}\n{done.stderr}"
