"""A session for an operator's verb: connected, with the recipe's enrolment, but without a head to test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ccci.engine.body import new_run_id
from ccci.engine.connect import connected
from ccci.engine.quiet import quiet, silence_output
from ccci.engine.request import Request
from ccci.engine.run import Run
from ccci.engine.session import Session
from ccci.events import Stream
from ccci.model import names
from ccci.model.enrolment import find_recipe
from ccci.model.run import Mode, Release, Verdict
from ccci.settings import Settings
from ccci.steps.registry import find_canonical


@contextmanager
def operator_session(settings: Settings, verb: str, stream: Stream) -> Iterator[Session]:
    """Connect for a verb of an operator.

    Raises:
        HostUnreachable: no connection.
    """
    quiet()
    silence_output()
    with connected(settings, settings.host) as (state, host):
        session = Session(state, host, settings, new_run_id(), stream)
        session.playbook = verb
        with session.active():
            yield session


def operator_run(session: Session, settings: Settings, recipe: str) -> Run:
    """Return a run whose head is known-good itself.

    Raises:
        UsageError: no such recipe.
    """
    enrolment = find_recipe(names.recipe_name(recipe), settings.recipes)
    canonical = find_canonical(session, enrolment.name)
    record = canonical.record if canonical else None
    head = Release(record.commit if record else "", record.version if record else "", released=True)

    def nowhere(_: Run, __: str) -> Verdict:
        return Verdict.SKIPPED

    return Run(
        session=session,
        request=Request(session.playbook, enrolment.name),
        recipe=enrolment,
        mode=Mode.COLD,
        head=head,
        base=None,
        canonical=canonical,
        files={},
        fall_back_to=nowhere,
    )
