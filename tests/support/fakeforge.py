"""A forge for tests of the bridge: Gitea's API as far as the bridge uses it, checked to the letter, and its webhooks.

What the real one does is tested in tests/lab with a real Gitea; the client passes the same tests on both.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from datetime import datetime, timezone
from typing import Any

import attrs

from tests.support.strict import Asked, Route, StrictServer, Wrong

TOKEN = "forge-0123456789abcdef0123456789abcdef"  # noqa: S105  (of a fake)
SECRET = "webhook-0123456789abcdef0123456789"  # noqa: S105  (of a fake)
ORGANISATION = "coop"
BOT = "ccci-bot"
_REPO = r"/api/v1/repos/(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)"
_STATES = {"pending", "success", "error", "failure", "warning"}


def _stamp(when: float) -> str:
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@attrs.define
class Pull:
    """A pull request."""

    number: int
    sha: str = "a" * 40
    ref: str = "fix"
    title: str = "Mend it"
    state: str = "open"


@attrs.define
class Written:
    """A comment."""

    id: int
    number: int
    author: str
    body: str
    created: float
    updated: float
    is_pull: bool = True


@attrs.define
class FakeForge:
    """The forge's state, and its server.

    Attributes:
        comments: by id. pulls: by number. members: of the organisation.
        statuses: every commit status that was set, oldest first.
        edits: how often each comment was edited.
    """

    repo: str = "coop/custom-html"
    comments: dict[int, Written] = attrs.field(factory=dict)
    pulls: dict[int, Pull] = attrs.field(factory=dict)
    members: set[str] = attrs.field(factory=lambda: {"anna"})
    statuses: list[dict[str, Any]] = attrs.field(factory=list)
    edits: list[tuple[int, str]] = attrs.field(factory=list)
    server: StrictServer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the server."""
        get, post, patch = "GET", "POST", "PATCH"
        one = re.compile(_REPO + r"/issues/comments/(?P<id>\d+)")
        self.server = StrictServer(
            f"token {TOKEN}",
            [
                Route(get, re.compile("/api/v1/version"), lambda _: (200, {"version": "1.26.0"}), open=True),
                Route(get, one, self._comment),
                Route(patch, one, self._edit, body=frozenset({"body"})),
                Route(get, re.compile(_REPO + "/issues/comments"), self._since, frozenset({"since", "limit", "page"})),
                Route(post, re.compile(_REPO + r"/issues/(?P<id>\d+)/comments"), self._new, body=frozenset({"body"})),
                Route(get, re.compile(_REPO + r"/pulls/(?P<id>\d+)"), self._pull),
                Route(
                    post,
                    re.compile(_REPO + "/statuses/(?P<sha>[0-9a-f]{40})"),
                    self._status,
                    body=frozenset({"context", "state", "description", "target_url"}),
                ),
                Route(get, re.compile(r"/api/v1/orgs/(?P<org>[\w.-]+)/members/(?P<user>[\w.-]+)"), self._member),
            ],
        )

    def write(self, number: int, author: str, body: str, *, is_pull: bool = True, age: float = 0.0) -> Written:
        """Let somebody write a comment `age` seconds ago; no webhook is sent."""
        when = float(int(time.time() - age))
        made = Written(len(self.comments) + 100, number, author, body, when, when, is_pull)
        self.comments[made.id] = made
        return made

    def webhook(self, comment: Written, **changes: Any) -> bytes:
        """Return the body of the webhook that tells of a new comment, as Gitea 1.26 writes it."""
        issue: dict[str, Any] = {"number": comment.number, "title": "Mend it", "state": "open"}
        if comment.is_pull:
            issue["pull_request"] = {"merged": False}
        data = {
            "action": "created",
            "issue": issue,
            "comment": self._shown(comment),
            "repository": {"full_name": self.repo, "name": self.repo.partition("/")[2]},
            "sender": {"login": comment.author},
            "is_pull": comment.is_pull,
        }
        return json.dumps({**data, **changes}).encode()

    @property
    def own(self) -> list[Written]:
        """The comments that the bridge wrote."""
        return [comment for comment in self.comments.values() if comment.author == BOT]

    def _shown(self, comment: Written) -> dict[str, Any]:
        kind = "pulls" if comment.is_pull else "issues"
        page = f"{self.server.url}/{self.repo}/{kind}/{comment.number}"
        return {
            "id": comment.id,
            "body": comment.body,
            "user": {"login": comment.author, "id": 1},
            "created_at": _stamp(comment.created),
            "updated_at": _stamp(comment.updated),
            "pull_request_url": page if comment.is_pull else "",
            "issue_url": "" if comment.is_pull else page,
        }

    def _check(self, asked: Asked) -> None:
        if f"{asked.path['owner']}/{asked.path['name']}" != self.repo:
            raise Wrong("another repository")

    def _comment(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        found = self.comments.get(int(asked.path["id"]))
        return (200, self._shown(found)) if found else (404, {"message": "no such comment"})

    def _since(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        since = datetime.strptime(asked.query["since"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
        page, limit = int(asked.query["page"]), int(asked.query["limit"])
        found = [self._shown(c) for c in self.comments.values() if c.updated >= since]
        return 200, found[(page - 1) * limit : page * limit]

    def _new(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        if not asked.body["body"] or int(asked.path["id"]) not in self.pulls:
            raise Wrong("no text, or no such pull request")
        made = self.write(int(asked.path["id"]), BOT, asked.body["body"])
        return 201, self._shown(made)

    def _edit(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        found = self.comments.get(int(asked.path["id"]))
        if found is None:
            return 404, {"message": "no such comment"}
        if found.author != BOT:
            raise Wrong("somebody else's comment")
        found.body, found.updated = asked.body["body"], time.time()
        self.edits.append((found.id, found.body))
        return 200, self._shown(found)

    def _pull(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        found = self.pulls.get(int(asked.path["id"]))
        if found is None:
            return 404, {"message": "no such pull request"}
        head, base = {"sha": found.sha, "ref": found.ref}, {"ref": "main"}
        return 200, {
            "number": found.number,
            "head": head,
            "base": base,
            "title": found.title,
            "state": found.state,
        }

    def _status(self, asked: Asked) -> tuple[int, Any]:
        self._check(asked)
        if asked.body["state"] not in _STATES or not asked.body["context"].startswith("ccci/"):
            raise Wrong(f"status {asked.body}")
        self.statuses.append({**asked.body, "sha": asked.path["sha"]})
        return 201, {"status": asked.body["state"]}

    def _member(self, asked: Asked) -> tuple[int, Any]:
        is_one = asked.path["org"] == ORGANISATION and asked.path["user"] in self.members
        return (204, None) if is_one else (404, {"message": "no member"})


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a webhook from Gitea."""
    return {
        "Content-Type": "application/json",
        "X-Gitea-Event": "issue_comment",
        "X-Gitea-Signature": hmac.new(secret.encode(), body, "sha256").hexdigest(),
    }
