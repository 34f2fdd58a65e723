"""What the contract of the forge client needs of a forge, whichever it is: done by other people than the client."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from tests.support import fakeforge
from tests.support.gitea import SCOPES, Gitea

if TYPE_CHECKING:
    from pathlib import Path

BOT, MEMBER, STRANGER = "ccci-bot", "anna", "stranger"
ORGANISATION = "coop"
TITLE = "Mend it\x1b[31m **now** <script> @anna `x`"
_COMMIT = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "commit", "-q")


class Subject(Protocol):
    """A forge with a pull request on a repository of an organisation."""

    token: str
    number: int
    sha: str
    branch: str
    title: str

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def repo(self) -> str:
        """The repository, as `owner/name`."""

    def write(self, text: str, user: str) -> int:
        """Let a user write a comment on the pull request."""

    def edit(self, comment: int, text: str) -> None:
        """Let an administrator edit a comment."""

    def delete(self, comment: int) -> None:
        """Let an administrator delete a comment."""

    def texts(self) -> dict[int, str]:
        """Return the comments on the pull request, by id."""

    def status(self, context: str) -> dict[str, Any]:
        """Return the newest status of the head in a context."""


@attrs.define
class RealForge:
    """A Gitea of the tests' own, with a pull request from a stranger's fork."""

    gitea: Gitea
    folder: Path
    token: str = ""
    repo: str = ""
    number: int = 0
    sha: str = ""
    branch: str = "mend"
    title: str = TITLE

    @property
    def url(self) -> str:
        """Where it is."""
        return self.gitea.url

    def make(self) -> None:
        """Make people, an organisation, a repository and the pull request."""
        for user in (BOT, MEMBER, STRANGER):
            self.gitea.user(user)
        self.gitea.organisation(ORGANISATION, BOT, MEMBER)
        source = self.folder / "source"
        _git(self.folder, "init", "-q", "-b", "main", str(source))
        _git(source, *_COMMIT, "--allow-empty", "-m", "first")
        self.repo = self.gitea.repository(ORGANISATION, "custom-html", source)
        _git(source, *_COMMIT, "--allow-empty", "-m", "second")
        self.sha = _git(source, "rev-parse", "HEAD")
        fork = self.gitea.fork(self.repo, STRANGER)
        self.gitea.push(fork, source, f"HEAD:refs/heads/{self.branch}", user=STRANGER)
        self.number = self.gitea.pull_request(self.repo, f"{STRANGER}:{self.branch}", title=TITLE, user=STRANGER)
        self.token = self.gitea.token(BOT, *SCOPES)

    def write(self, text: str, user: str) -> int:
        """Let a user write a comment on the pull request."""
        return self.gitea.comment(self.repo, self.number, text, user=user)

    def edit(self, comment: int, text: str) -> None:
        """Let an administrator edit a comment."""
        self.gitea.ask("PATCH", f"/repos/{self.repo}/issues/comments/{comment}", {"body": text})

    def delete(self, comment: int) -> None:
        """Let an administrator delete a comment."""
        self.gitea.ask("DELETE", f"/repos/{self.repo}/issues/comments/{comment}")

    def texts(self) -> dict[int, str]:
        """Return the comments on the pull request, by id."""
        return {each["id"]: each["body"] for each in self.gitea.comments(self.repo, self.number)}

    def status(self, context: str) -> dict[str, Any]:
        """Return the newest status of the head in a context."""
        return self.gitea.statuses(self.repo, self.sha)[context]

    def close_pull(self) -> None:
        """Close the pull request."""
        self.gitea.ask("PATCH", f"/repos/{self.repo}/pulls/{self.number}", {"state": "closed"})


@attrs.define
class StrictForge:
    """The strict forge of the bridge's tests, which refuses every request that is not to the letter."""

    forge: fakeforge.FakeForge = attrs.field(factory=fakeforge.FakeForge)
    token: str = fakeforge.TOKEN
    number: int = 1
    sha: str = "b" * 40
    branch: str = "mend"
    title: str = TITLE

    def __attrs_post_init__(self) -> None:
        """Open the pull request."""
        self.forge.pulls[self.number] = fakeforge.Pull(self.number, self.sha, self.branch, self.title)

    @property
    def repo(self) -> str:
        """The repository."""
        return self.forge.repo

    @property
    def url(self) -> str:
        """Where it is."""
        return self.forge.server.url

    def write(self, text: str, user: str) -> int:
        """Let a user write a comment on the pull request."""
        return self.forge.write(self.number, user, text).id

    def edit(self, comment: int, text: str) -> None:
        """Let an administrator edit a comment."""
        self.forge.comments[comment].body, self.forge.comments[comment].updated = text, time.time()

    def delete(self, comment: int) -> None:
        """Let an administrator delete a comment."""
        del self.forge.comments[comment]

    def texts(self) -> dict[int, str]:
        """Return the comments on the pull request, by id."""
        return {number: comment.body for number, comment in self.forge.comments.items()}

    def status(self, context: str) -> dict[str, Any]:
        """Return the newest status of the head in a context."""
        found = [each for each in self.forge.statuses if (each["context"], each["sha"]) == (context, self.sha)]
        return {**found[-1], "status": found[-1]["state"]}


def _git(folder: Path, *words: str) -> str:
    full = ["git", *words]
    done = subprocess.run(full, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()
