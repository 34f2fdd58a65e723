"""A forge's API, as far as ccci needs it: Gitea's and Forgejo's /api/v1 (tried on Gitea 1.26).

The token needs the scopes write:issue (comments), write:repository (statuses) and read:organization (members). Its
user must be a member of the organisation, for others are not told who is, and may write to the recipes' repositories.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import requests

from ccci.clients.service import Bearer, Fields, Service
from ccci.errors import InfrastructureError, ServiceRefused
from ccci.model.names import repository

STATES = ("pending", "success", "error", "failure", "warning")
_PAGE = 50  # comments; the most that a forge gives by default
_PAGES = 200
_PULL = re.compile(r".*/pulls/([1-9][0-9]{0,9})")


@attrs.frozen
class Comment:
    """A comment on an issue or a pull request.

    Attributes:
        id: its number in the whole forge.
        author: the user who wrote it.
        body: its text, as it is now.
        created, updated: when it was written, and when it was last edited.
        pull_request: the number of the pull request; None if it is on an issue.
    """

    id: int
    author: str
    body: str
    created: datetime
    updated: datetime
    pull_request: int | None

    @property
    def edited(self) -> bool:
        """Whether it says something else than when it was written."""
        return self.updated > self.created


@attrs.frozen
class PullRequest:
    """A pull request.

    Attributes:
        number: its number in the repository.
        head_sha: the commit that it proposes.
        head_ref: that commit's branch; text of a stranger's choice.
        base: the branch that it is for.
        title: its title; text of a stranger's choice.
        open: whether it is neither merged nor closed.
    """

    number: int
    head_sha: str
    head_ref: str
    base: str
    title: str
    open: bool


class Forge:
    """A forge, seen by the user of a token. Every method raises ServiceDown, ServiceRefused or StateUnreadable.

    Args:
        url: where it is, without `/api/v1`.
        token: of that user.
        http: how to get there: proxies and certificates are the caller's.
    """

    def __init__(self, url: str, token: str, http: requests.Session) -> None:
        self._service = Service("the forge", f"{url.rstrip('/')}/api/v1", http, Bearer("token", token))

    def comment(self, repo: str, number: int) -> Comment:
        """Return a comment as it is now.

        Args:
            repo: `owner/name`.
            number: the comment's id.
        """
        _, data = self._service.ask("GET", f"{_repo(repo)}/issues/comments/{number:d}")
        return self._comment(data)

    def comments_since(self, repo: str, since: datetime) -> list[Comment]:
        """Return the comments of a repository that were written or edited since a time, oldest first.

        Args:
            repo: `owner/name`.
            since: with its time zone; whole seconds count, so comments of that second are among them.
        """
        stamp = since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        found: dict[int, Comment] = {}
        for page in range(1, _PAGES + 1):
            params = {"since": stamp, "limit": str(_PAGE), "page": str(page)}
            _, data = self._service.ask("GET", f"{_repo(repo)}/issues/comments", params=params)
            if not isinstance(data, list):
                raise self._service.unreadable("a list of comments", data)
            found |= {comment.id: comment for comment in map(self._comment, data)}
            if not data:
                return [found[number] for number in sorted(found)]
        raise InfrastructureError(
            f"{repo} has more than {_PAGES * _PAGE} new comments", hint="poll more often, or look who writes them"
        )

    def create_comment(self, repo: str, number: int, text: str) -> int:
        """Write a comment under an issue or a pull request; returns its id.

        Args:
            repo: `owner/name`.
            number: of the issue or pull request.
            text: Markdown.
        """
        path = f"{_repo(repo)}/issues/{number:d}/comments"
        _, data = self._service.ask("POST", path, body={"body": text}, good=(HTTPStatus.CREATED,))
        return self._fields("a new comment", data).get(int, "id")

    def edit_comment(self, repo: str, number: int, text: str) -> None:
        """Replace the text of a comment of ours; `ServiceRefused.status` is 404 if somebody has deleted it.

        Args:
            repo: `owner/name`.
            number: the comment's id.
            text: Markdown.
        """
        self._service.ask("PATCH", f"{_repo(repo)}/issues/comments/{number:d}", body={"body": text})

    def set_status(
        self, repo: str, sha: str, *, context: str, state: str, description: str, target_url: str = ""
    ) -> None:
        """Set a commit's status in one context.

        Args:
            repo: `owner/name`.
            sha: the whole id of the commit.
            context: whose status it is, such as `ccci/cold`.
            state: one of `STATES`.
            description: one line of plain text.
            target_url: where to read more, or empty.
        """
        if state not in STATES:
            raise ValueError(f"{state!r} is no state of a commit")
        body = {"context": context, "state": state, "description": description, "target_url": target_url}
        path = f"{_repo(repo)}/statuses/{quote(sha, safe='')}"
        self._service.ask("POST", path, body=body, good=(HTTPStatus.CREATED,))

    def pull_request(self, repo: str, number: int) -> PullRequest:
        """Return a pull request as it is now.

        Args:
            repo: `owner/name`.
            number: its number.
        """
        _, data = self._service.ask("GET", f"{_repo(repo)}/pulls/{number:d}")
        got = self._fields("a pull request", data)
        return PullRequest(
            number=got.get(int, "number"),
            head_sha=got.get(str, "head", "sha"),
            head_ref=got.get(str, "head", "ref"),
            base=got.get(str, "base", "ref"),
            title=got.get(str, "title"),
            open=got.get(str, "state") == "open",
        )

    def is_member(self, organisation: str, user: str) -> bool:
        """Return whether a user is a member of an organisation, publicly or not.

        Raises:
            ServiceRefused: the forge does not tell this token: its user is no member.
        """
        path = f"/orgs/{quote(organisation, safe='')}/members/{quote(user, safe='')}"
        try:
            status, _ = self._service.ask("GET", path, good=(HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND))
        except ServiceRefused as error:
            if error.status // 100 == 3:  # noqa: PLR2004 - it sends us to where the public members are
                error.hint = f"make the token's user a member of {organisation}: others see public members only"
            raise
        return status is HTTPStatus.NO_CONTENT

    def _fields(self, what: str, data: Any) -> Fields:
        return Fields(self._service, what, data)

    def _comment(self, data: Any) -> Comment:
        got = self._fields("a comment", data)
        where = got.maybe(str, "pull_request_url") or ""
        pull = _PULL.fullmatch(_path_of(where))
        if where and not pull:
            raise self._service.unreadable("a comment, pull_request_url", where)
        return Comment(
            id=got.get(int, "id"),
            author=got.get(str, "user", "login"),
            body=got.get(str, "body"),
            created=self._time(got.get(str, "created_at")),
            updated=self._time(got.get(str, "updated_at")),
            pull_request=int(pull[1]) if pull else None,
        )

    def _time(self, text: str) -> datetime:
        try:
            made = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise self._service.unreadable("a time", text) from None
        if made.tzinfo is None:
            raise self._service.unreadable("a time", text)
        return made.astimezone(timezone.utc)


def _repo(repo: str) -> str:
    return f"/repos/{repository(repo)}"


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""
