"""Look for new comments at a forge whose webhooks cannot reach this machine, or that has lost one."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone

from typing_extensions import override

from ccci.bridge.health import FORGE, Health
from ccci.bridge.loop import Loop
from ccci.bridge.queue import Queue
from ccci.bridge.webhook import OLDEST
from ccci.clients.forge import Comment, Forge
from ccci.errors import CcciError
from ccci.model.names import shown
from ccci.model.trigger import parse_trigger

LOG = logging.getLogger("ccci.bridge")
_AT_FIRST = 60.0  # seconds before the first start of all that are still looked at


class Poller(Loop):
    """Asks every repository for comments again and again, until it is stopped.

    Args:
        repositories: those that are enrolled.
        every: seconds between two looks.
        forge, queue, health: what it works with.
    """

    def __init__(self, repositories: tuple[str, ...], every: float, forge: Forge, queue: Queue, health: Health) -> None:
        super().__init__("poll")
        self._repositories, self._every = repositories, every
        self._forge, self._queue, self._health = forge, queue, health
        self._said: set[int] = set()

    @override
    def run(self) -> None:
        """Look until stopped."""
        while not self.ending.is_set():
            for repo in self._repositories:
                self._try(repo)
            self.ending.wait(max(self._every, self._health.wait(FORGE)))

    def _try(self, repo: str) -> None:
        if self._health.wait(FORGE) > 0:
            return
        try:
            self.look(repo)
        except CcciError as error:
            LOG.warning("%s cannot be polled: %s", repo, error.what)
        except Exception:
            LOG.exception("polling %s failed in a way that nobody thought of", repo)

    def look(self, repo: str) -> None:
        """Take the triggers among a repository's new comments into the queue.

        The mark moves only after they are in it, and to what the forge itself says of time, so nothing is passed over.

        Raises:
            CcciError: the forge is away, or refuses; the same comments are looked at again.
        """
        name = f"polled {repo}"
        mark = self._queue.mark(name)
        if mark is None:
            mark = time.time() - _AT_FIRST
            self._queue.set_mark(name, mark)
        comments = self._forge.comments_since(repo, datetime.fromtimestamp(mark, timezone.utc))
        for comment in comments:
            self._take(repo, comment, mark)
        newest = max((comment.updated.timestamp() for comment in comments), default=mark)
        if newest > mark:
            self._queue.set_mark(name, newest)

    def _take(self, repo: str, comment: Comment, mark: float) -> None:
        triggered, quick = parse_trigger(comment.body)
        if not triggered or self._queue.knows(repo, comment.id):
            return
        if why := self._why_not(comment, mark):
            if comment.id not in self._said:
                LOG.warning("%s comment %d by %s: refused: %s", repo, comment.id, shown(comment.author), why)
            self._said.add(comment.id)
            return
        if comment.pull_request is not None and self._queue.add(
            repo, comment.id, comment.pull_request, comment.author, quick=quick
        ):
            LOG.info("%s#%d comment %d: found by polling", repo, comment.pull_request, comment.id)

    def _why_not(self, comment: Comment, mark: float) -> str:
        if comment.edited:
            return "it was edited"
        if comment.pull_request is None:
            return "it is on no pull request"
        if comment.created.timestamp() < max(int(mark), time.time() - OLDEST.total_seconds()):
            return "it is too old"
        return ""
