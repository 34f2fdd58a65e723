"""Start a run from ccci's own command line."""

from __future__ import annotations

from ccci.engine import loader
from ccci.engine.body import run_body
from ccci.engine.connect import connected
from ccci.engine.group import play_on_group
from ccci.engine.quiet import quiet, silence_output
from ccci.engine.request import Context
from ccci.engine.results import check_places
from ccci.events import Stream
from ccci.model.enrolment import find_recipe
from ccci.model.run import RunResult


def start(context: Context, stream: Stream, *, here_only: bool = False) -> RunResult:
    """Connect to the settings' host and run the playbook that was asked for.

    Args:
        context: settings and request.
        stream: is told what happens.
        here_only: whether a playbook whose work a group shares is played on the settings' host only.

    Raises:
        UsageError: no such playbook or recipe.
        HostUnreachable: no connection.
    """
    made = loader.load(context.settings, context.request.playbook)
    check_places(context)
    if context.request.recipe:
        find_recipe(context.request.recipe, context.settings.recipes)
    quiet()
    silence_output()
    group = context.settings.night_group(context.settings.host) if made.by_group else ()
    there = tuple(name for name in group if name in context.settings.hosts)
    if len(there) > 1 and not here_only:
        return play_on_group(context, there, stream)
    with connected(context.settings, context.settings.host) as (state, host):
        return run_body(made, state, host, context, stream)
