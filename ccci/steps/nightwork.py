"""The recipes of a night: which are left out, which are tested when, and never beside a pull request's run."""

from __future__ import annotations

import attrs
import gevent

from ccci import paths
from ccci.engine.children import Child, stop_all
from ccci.engine.request import Request
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import EXIT_LOCKED, CcciError
from ccci.facts.warm import ColdApps, Lock
from ccci.model.app import App
from ccci.model.canonical import Status
from ccci.model.enrolment import find_recipe
from ccci.model.night import Work, last_done, oldest_first
from ccci.model.run import Mode, Release
from ccci.steps.head import fetch_recipe, find_head, read_source
from ccci.steps.night import Tonight
from ccci.steps.providers import POLL
from ccci.steps.recover import app_of
from ccci.steps.registry import find_canonical, read_journal

TRIES = 3  # of a recipe whose run finds that another one has taken its app meanwhile


@attrs.define
class _Queue:
    """Recipes that wait, oldest result first; their newest versions; how often each was begun; those that run."""

    waiting: list[str]
    versions: dict[str, str] = attrs.field(factory=dict)
    tries: dict[str, int] = attrs.field(factory=dict)
    running: dict[str, Child] = attrs.field(factory=dict)


def sweep_recipes(tonight: Tonight) -> None:
    """Test this host's share of the enrolled recipes cold, each in a process of its own, `max_tests` at a time.

    Left out, with the reason, is what is known-good at its newest release already (unless all were asked for), and
    what the night has no time for; that comes first the next night.
    """
    queue = _Queue(oldest_first(tonight.mine, last_done(tonight.before, Work.COLD)))
    _leave_out(tonight, queue)
    if tonight.dry:
        for recipe in queue.waiting:
            tonight.skip(Work.COLD, recipe, because="would be tested", version=queue.versions.get(recipe, ""))
        return
    try:
        while queue.waiting or queue.running:
            _begin(tonight, queue)
            _collect(tonight, queue)
    except BaseException:
        stop_all(list(queue.running.values()))
        raise


def _leave_out(tonight: Tonight, queue: _Queue) -> None:
    session = tonight.run.session
    for recipe in list(queue.waiting):
        try:
            newest = newest_release(session, recipe)
            known = find_canonical(session, recipe)
        except CcciError:
            continue  # its own run says what is wrong with it
        queue.versions[recipe] = newest.version
        idle = known is not None and known.record.status is Status.IDLE
        if idle and known is not None and known.record.commit == newest.commit and not tonight.run.request.every:
            queue.waiting.remove(recipe)
            tonight.skip(Work.COLD, recipe, because="known-good at this release already", version=newest.version)


@step("looking for the newest release of {1}")
def newest_release(session: Session, recipe: str) -> Release:
    """Return what the cold lane would test.

    Raises:
        UsageError: the recipe cannot be fetched, or has no release.
    """
    request = Request("cold", recipe)
    fetch_recipe(session, recipe, request)
    source = read_source(session, find_recipe(recipe, session.settings.recipes))
    return find_head(session, source, request, Mode.COLD)


def _begin(tonight: Tonight, queue: _Queue) -> None:
    """Begin what is free, as long as there is room and time."""
    session = tonight.run.session
    if tonight.left <= 0:
        for recipe in queue.waiting:
            tonight.skip(Work.COLD, recipe, because="the night was over before its turn: it is the first of the next")
        queue.waiting.clear()
    for recipe in list(queue.waiting):
        if len(queue.running) >= session.settings.max_tests:
            return
        if who := in_use(session, recipe):
            session.waiting(f"{recipe} is in use by {who}")
            continue
        queue.waiting.remove(recipe)
        queue.tries[recipe] = queue.tries.get(recipe, 0) + 1
        queue.running[recipe] = tonight.started(f"cold {recipe}", "cold", "--recipe", recipe)


def in_use(session: Session, recipe: str) -> str:
    """Return which run works on a recipe now, on its canonical or on a cold app; empty if none does."""
    holder = session.read(Lock, home=app_of(session, recipe).home).holder
    if holder is not None:
        return holder
    for domain in session.read(ColdApps):
        app = App(recipe, domain, paths.COLD / domain)
        journal = read_journal(session, app)
        if journal is not None and journal.recipe == recipe:
            holder = session.read(Lock, home=app.home).holder
            if holder is not None:
                return holder
    return ""


def _collect(tonight: Tonight, queue: _Queue) -> None:
    """Wait until a run ends or, if somebody is waited for, a moment; write down those that ended."""
    ends = [child.waited_for for child in queue.running.values()]
    room = len(queue.running) < tonight.run.session.settings.max_tests
    if ends:
        gevent.wait(ends, count=1, timeout=POLL if queue.waiting and room else None)
    elif queue.waiting:
        gevent.sleep(POLL)
    for recipe in [name for name, child in queue.running.items() if child.over]:
        ended = queue.running.pop(recipe).end()
        if ended.code == EXIT_LOCKED and queue.tries[recipe] < TRIES:
            tonight.run.session.say(f"cold {recipe}: another run has its app; it is tried again")
            queue.waiting.append(recipe)
        else:
            tonight.add_ended(Work.COLD, recipe, ended, version=queue.versions.get(recipe, ""))
