"""What a webhook says, and whether the forge said it. Pure.

Nothing of a body is looked at before its signature is right. What is then read is only where the comment is: author
and text are asked for at the forge once more, before anything is started.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs

from ccci.errors import UsageError
from ccci.model.names import repository, shown
from ccci.model.trigger import parse_trigger

OLDEST = timedelta(days=1)  # a comment older than that is a replay, or nobody waits for its answer any more
_SIGNATURES = ("X-Gitea-Signature", "X-Forgejo-Signature")
_EVENTS = ("X-Gitea-Event", "X-Forgejo-Event")
HEADERS = (*_SIGNATURES, *_EVENTS)
_EVENT = "issue_comment"
_HEX = re.compile(r"[0-9a-f]{64}")
_ID_MAX = 2**63 - 1


class Refused(Exception):
    """A request that is not let in.

    Args:
        why: for the log and the answer; nothing of the body but what `shown` made harmless.
        status: the HTTP status code.
        kind: one word for the metrics.
    """

    def __init__(self, why: str, status: int, kind: str) -> None:
        super().__init__(why)
        self.why, self.status, self.kind = why, status, kind


@attrs.frozen
class Delivery:
    """A comment that was just written, as far as its webhook tells.

    Attributes:
        repo: owner/name.
        comment: its id.
        number: of the issue or pull request.
        author: who wrote it.
        text: what it says.
        created: when it was written.
        is_pull: whether it is under a pull request.
    """

    repo: str
    comment: int
    number: int
    author: str
    text: str
    created: datetime
    is_pull: bool


def check_signature(secret: bytes, body: bytes, headers: Mapping[str, str]) -> None:
    """Check that somebody who knows the secret sent the body; takes the same time for every wrong signature.

    Args:
        secret: of the webhook.
        body: as it came, byte for byte.
        headers: those of `HEADERS` that the request has, spelled like that.

    Raises:
        Refused: there is no signature, two that differ, or a wrong one.
    """
    given = {headers[name] for name in _SIGNATURES if name in headers}
    if not given:
        raise Refused("no signature", 401, "unsigned")
    wanted = hmac.new(secret, body, "sha256").hexdigest()
    good = [hmac.compare_digest(wanted.encode(), each.encode()) for each in given]
    if not all(good):
        form = "" if all(_HEX.fullmatch(each) for each in given) else " (it is none)"
        raise Refused(f"wrong signature{form}", 401, "forged")


def read_delivery(body: bytes, headers: Mapping[str, str]) -> Delivery | None:
    """Read a body whose signature is right.

    Args:
        body: as it came.
        headers: as above.

    Returns:
        The new comment; None for an event that does not concern us, such as an edited comment.

    Raises:
        Refused: it is no JSON, or not what such an event holds.
    """
    event = next((headers[name] for name in _EVENTS if name in headers), "")
    if event != _EVENT:
        return None
    data = _object(body)
    if data.get("action") != "created":
        return None
    comment, issue = _part(data, "comment"), _part(data, "issue")
    return Delivery(
        repo=_repo(_part(data, "repository").get("full_name")),
        comment=_number(comment.get("id"), "comment.id"),
        number=_number(issue.get("number"), "issue.number"),
        author=_text(_part(comment, "user").get("login"), "comment.user.login"),
        text=_text(comment.get("body"), "comment.body"),
        created=_time(comment.get("created_at")),
        is_pull=data.get("is_pull") is True or isinstance(issue.get("pull_request"), dict),
    )


def wanted(delivery: Delivery, repositories: tuple[str, ...], now: datetime) -> bool:
    """Tell whether a new comment asks for a run, and the lane: True for quick.

    Args:
        delivery: the comment.
        repositories: those that are enrolled.
        now: the time, with its zone.

    Raises:
        Refused: it asks for nothing, or may not here.
    """
    triggered, quick = parse_trigger(delivery.text)
    if not triggered:
        raise Refused("the comment asks for nothing", 200, "other")
    if delivery.repo not in repositories:
        raise Refused(f"repository {shown(delivery.repo)} is not enrolled", 200, "not-enrolled")
    if not delivery.is_pull:
        raise Refused(f"{delivery.repo}#{delivery.number} is no pull request", 200, "no-pull-request")
    if not now - OLDEST <= delivery.created <= now + OLDEST:
        raise Refused(f"comment {delivery.comment} is of {delivery.created:%Y-%m-%d %H:%M}: too old", 200, "old")
    return quick


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_twice)
    except (ValueError, RecursionError):
        raise Refused("the body is no JSON of a webhook", 400, "bad") from None
    if not isinstance(data, dict):
        raise Refused("the body is no JSON object", 400, "bad")
    return data


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice: readers differ in which one they take")
    return made


def _part(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise Refused(f"{key} is missing", 400, "bad")
    return value


def _number(value: Any, what: str) -> int:
    if type(value) is not int or not 0 < value <= _ID_MAX:
        raise Refused(f"{what} is no number", 400, "bad")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Refused(f"{what} is no text", 400, "bad")
    return value


def _repo(value: Any) -> str:
    try:
        return repository(value if isinstance(value, str) else "")
    except UsageError:
        raise Refused("repository.full_name is none", 400, "bad") from None


def _time(value: Any) -> datetime:
    try:
        made = datetime.fromisoformat(value.replace("Z", "+00:00") if isinstance(value, str) else "")
    except ValueError:
        made = datetime.min  # noqa: DTZ901  (refused below)
    if made.tzinfo is None:
        raise Refused("comment.created_at is no time", 400, "bad")
    return made.astimezone(timezone.utc)
