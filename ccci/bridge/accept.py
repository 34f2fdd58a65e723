"""Whether a comment may start a run, asked at the forge whatever the webhook has said; no clear yes is a no."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from ccci.bridge.queue import Trigger
from ccci.clients.forge import Comment, Forge, PullRequest
from ccci.errors import ServiceRefused, UsageError
from ccci.model.bridge import BridgeOptions
from ccci.model.names import git_ref, shown
from ccci.model.trigger import parse_trigger

T = TypeVar("T")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class NotAccepted(Exception):
    """The comment starts nothing; the text says why, for the log."""


def accept(trigger: Trigger, forge: Forge, options: BridgeOptions, asked_lately: int) -> PullRequest:
    """Check a trigger.

    Args:
        trigger: as it came in.
        forge: where it comes from.
        options: who may, and how often.
        asked_lately: accepted triggers of its author within the last hour.

    Returns:
        The pull request as it is now; its head is what will be tested.

    Raises:
        NotAccepted: it may not start anything.
        ServiceDown: the forge is away; ask again later.
    """
    comment = _there(lambda: forge.comment(trigger.repo, trigger.comment), "the comment is gone")
    _check_comment(trigger, comment)
    if not _may(comment.author, forge, options):
        raise NotAccepted(f"{shown(comment.author)} is no member of the organisation, and not on the list of others")
    if asked_lately >= options.hourly:
        raise NotAccepted(f"{shown(comment.author)} has asked for {asked_lately} runs within the hour")
    pull = _there(lambda: forge.pull_request(trigger.repo, trigger.number), "there is no such pull request")
    _check_pull(pull)
    return pull


def _there(ask: Callable[[], T], otherwise: str) -> T:
    try:
        return ask()
    except ServiceRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise NotAccepted(otherwise) from None
        raise


def _check_comment(trigger: Trigger, comment: Comment) -> None:
    if comment.pull_request != trigger.number:
        raise NotAccepted(f"the comment is not on pull request {trigger.number}")
    if comment.author != trigger.author:
        raise NotAccepted(f"the forge says that the comment is by {shown(comment.author)}")
    if comment.edited or parse_trigger(comment.body) != (True, trigger.quick):
        raise NotAccepted("the comment was edited")


def _may(author: str, forge: Forge, options: BridgeOptions) -> bool:
    if author.casefold() in {name.casefold() for name in options.allow}:
        return True
    return bool(options.organisation) and forge.is_member(options.organisation, author)


def _check_pull(pull: PullRequest) -> None:
    if not pull.open:
        raise NotAccepted(f"pull request {pull.number} is not open")
    if not _SHA.fullmatch(pull.head_sha):
        raise NotAccepted(f"its head {shown(pull.head_sha)} is no commit")
    try:
        git_ref(pull.head_ref, what="branch")
    except UsageError as error:
        raise NotAccepted(error.what) from None
    if not pull.title.isprintable():
        raise NotAccepted(f"its title {shown(pull.title)} has control characters")
