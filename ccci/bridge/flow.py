"""What happens to a trigger, one step at a time. Each step may be cut off anywhere and be done again.

    received -> accepted -> announced -> running -> done, or refused

What cannot be done twice without harm is making our comment and making the build. Both carry the trigger's token; the
queue knows that one may be there before it can be, and then it is looked for first.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from http import HTTPStatus
from pathlib import Path

import attrs

from ccci.bridge import render
from ccci.bridge.accept import NotAccepted, accept
from ccci.bridge.queue import Queue, State, Trigger
from ccci.bridge.results import read_progress
from ccci.bridge.verdict import judge
from ccci.clients.drone import Build, Drone
from ccci.clients.forge import Forge
from ccci.errors import ServiceRefused
from ccci.model.bridge import BridgeOptions
from ccci.model.names import shown
from ccci.model.progress import VARIABLE
from ccci.model.run import Verdict

LOG = logging.getLogger("ccci.bridge")
SETTLE = 2.0  # seconds for what was sent by a process that died to arrive, before it is looked for
LOOK = 1.0  # seconds between two looks at a build
GIVE_UP = 86_400.0  # seconds after which nobody waits for an answer any more
_BACK = 300.0  # seconds that the forge's clock may be behind ours
_COLD, _QUICK = "ccci/cold", "ccci/quick"


@attrs.define
class Flow:
    """The steps, and what they need.

    Attributes:
        options: the settings of the bridge.
        queue, forge, drone: what they work on.
        results: the results folder, which the runner shares.
        known: secrets that must not get into a comment.
        ended: told of every verdict.
    """

    options: BridgeOptions
    queue: Queue
    forge: Forge
    drone: Drone
    results: Path
    known: Sequence[str]
    ended: Callable[[str], object]

    def accept(self, trigger: Trigger) -> None:
        """Look at the forge whether the comment is what the webhook said, and whether its author may."""
        if self._is_too_old(trigger):
            return
        asked_lately = self.queue.accepted_of(trigger.author, time.time() - 3600)
        try:
            pull = accept(trigger, self.forge, self.options, asked_lately)
        except NotAccepted as error:
            self.refuse(trigger, str(error))
            return
        LOG.info("%s: accepted, at %s", _name(trigger), pull.head_sha[:10])
        self.queue.move(trigger, State.ACCEPTED, sha=pull.head_sha)

    def refuse(self, trigger: Trigger, why: str) -> None:
        """Start nothing, and say why in the log."""
        LOG.warning("%s: refused: %s", _name(trigger), why)
        self.queue.move(trigger, State.REFUSED, reason=why)
        self.ended("refused")

    def announce(self, trigger: Trigger) -> None:
        """Put our comment under the pull request, once, and the commit status beside it."""
        if self._is_too_old(trigger):
            return
        text = render.queued(self._asked(trigger), self.known)
        if not trigger.feedback:
            found = self._own_comment(trigger) if trigger.began else 0
            if not found:
                trigger = self.queue.begin(trigger)
                found = self.forge.create_comment(trigger.repo, trigger.number, text)
            trigger = self.queue.keep(trigger, feedback=found, shown=_digest(text))
        self._status(trigger, None)
        self.queue.move(trigger, State.ANNOUNCED)
        LOG.info("%s: announced", _name(trigger))

    def start(self, trigger: Trigger) -> None:
        """Start the build, once."""
        if self._is_too_old(trigger):
            return
        options, params = self.options, self._params(trigger)
        build = self.drone.find_build(options.drone_repository, {VARIABLE: trigger.token}) if trigger.began else None
        if build is None:
            trigger = self.queue.begin(trigger)
            build = self.drone.create_build(options.drone_repository, params, branch=options.drone_branch)
        LOG.info("%s: build %d", _name(trigger), build.number)
        self.queue.move(trigger, State.RUNNING, build=build.number, began=time.time(), due=time.time())

    def watch(self, trigger: Trigger) -> None:
        """Look at the build; say how far it is, or the verdict if it is over."""
        build = self.drone.build(self.options.drone_repository, trigger.build)
        overdue = time.time() > trigger.began + self.options.build_timeout
        if not build.ended and not overdue:
            self._say_progress(trigger, build)
            return
        if not build.ended:
            LOG.warning("%s: build %d takes too long and is cancelled", _name(trigger), build.number)
            self.drone.cancel(self.options.drone_repository, build.number)
        ended = judge(trigger, build, self.results, self.options)
        self._conclude(trigger, ended)

    def _say_progress(self, trigger: Trigger, build: Build) -> None:
        asked = self._asked(trigger)
        text = render.queued(asked, self.known)
        if build.status == "running":
            found = read_progress(self.results, trigger.token)
            progress = render.Progress(found.stages, found.doing) if found else render.Progress()
            text = render.running(asked, progress, self.known)
        changes: dict[str, object] = {}
        if _digest(text) != trigger.shown:
            self._edit(trigger, text)
            changes = {"shown": _digest(text)}
        self.queue.keep(trigger, due=time.time() + LOOK, tries=0, **changes)

    def _conclude(self, trigger: Trigger, ended: render.Ended) -> None:
        self._status(trigger, ended)  # before the comment: who has read that may merge at once
        self._edit(trigger, render.verdict(self._asked(trigger), ended, self.known))
        self.queue.move(trigger, State.DONE, reason=ended.verdict.value)
        LOG.info("%s: %s", _name(trigger), ended.verdict.value)
        self.ended(ended.verdict.value)

    def _is_too_old(self, trigger: Trigger) -> bool:
        """End a trigger for which a service was away for a day."""
        if time.time() - trigger.received < GIVE_UP:
            return False
        why = "the forge or Drone was away for a day; write another comment to try again"
        if trigger.feedback:
            self._conclude(trigger, render.Ended(Verdict.ERRORED, why))
        else:
            self.refuse(trigger, why)
        return True

    def _edit(self, trigger: Trigger, text: str) -> None:
        try:
            self.forge.edit_comment(trigger.repo, trigger.feedback, text)
        except ServiceRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            LOG.warning("%s: somebody has deleted our comment", _name(trigger))

    def _status(self, trigger: Trigger, ended: render.Ended | None) -> None:
        asked = self._asked(trigger)
        self.forge.set_status(
            trigger.repo,
            trigger.sha,
            context=_QUICK if trigger.quick else _COLD,
            state=_state(trigger, ended),
            description=render.status_words(asked, ended, self.known),
            target_url=(ended.report if ended else "") or asked.build,
        )

    def _own_comment(self, trigger: Trigger) -> int:
        """Look for our comment, which a process that died may have written."""
        since = datetime.fromtimestamp(trigger.received - _BACK, timezone.utc)
        mark = render.marker(trigger.token)
        comments = self.forge.comments_since(trigger.repo, since)
        return next((c.id for c in comments if mark in c.body and c.pull_request == trigger.number), 0)

    def _params(self, trigger: Trigger) -> dict[str, str]:
        recipe = trigger.repo.partition("/")[2]
        params = {"RECIPE": recipe, "REF": trigger.sha, "PR": str(trigger.number), VARIABLE: trigger.token}
        return {**params, "CCCI_QUICK": "1"} if trigger.quick else params

    def _asked(self, trigger: Trigger) -> render.Asked:
        link = self.drone.link(self.options.drone_repository, trigger.build) if trigger.build else ""
        recipe = trigger.repo.partition("/")[2]
        return render.Asked(recipe, trigger.quick, trigger.sha, trigger.token, link)


def settled(trigger: Trigger) -> float:
    """Return when a trigger may be looked at: not while what was begun may still be on its way."""
    is_begun = trigger.began and trigger.state in {State.ACCEPTED, State.ANNOUNCED}
    return trigger.began + SETTLE if is_begun and not trigger.feedback else 0.0


def _state(trigger: Trigger, ended: render.Ended | None) -> str:
    """Return the commit status's state. A quick pass is a warning: no rule of a forge takes that for a success."""
    if ended is None:
        return "pending"
    if ended.verdict is Verdict.PASSED:
        return "warning" if trigger.quick else "success"
    return "failure" if ended.verdict is Verdict.FAILED else "error"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _name(trigger: Trigger) -> str:
    lane = "quick" if trigger.quick else "cold"
    return f"{trigger.repo}#{trigger.number} comment {trigger.comment} ({lane}, by {shown(trigger.author)})"
