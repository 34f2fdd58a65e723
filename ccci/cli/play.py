"""`ccci play`: run a playbook."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ccci import settings as settings_module
from ccci.engine import loader
from ccci.engine.console import console_sink
from ccci.engine.playbook import recipe_for
from ccci.engine.request import Context, make_request, skip_fetch
from ccci.engine.start import start
from ccci.errors import UsageError
from ccci.events import Stream
from ccci.model.run import Mode
from ccci.settings import Settings


def complete_recipe(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the enrolled recipes that begin with what was typed."""
    from ccci.model.enrolment import enrolled  # noqa: PLC0415

    return [name for name in enrolled(settings_module.load().recipes) if name.startswith(incomplete)]


def complete_playbook(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the playbooks that begin with what was typed."""
    return [name for name in loader.load_all(settings_module.load()) if name.startswith(incomplete)]


def settings_for(host: str | None) -> Settings:
    """Load the settings with the flags that every verb has."""
    return settings_module.load(flags={"host": host} if host else None)


@click.command()
@click.argument("playbook", required=False, shell_complete=complete_playbook)
@click.option("--recipe", shell_complete=complete_recipe, help="The recipe to test.")
@click.option("--ref", default="", help="Branch, tag or commit to test; else the lane's own choice.")
@click.option("--pr", default="", metavar="N", help="Test the head of this pull request of the recipe's repository.")
@click.option("--host", help="The host to work on, by its name in the settings.")
@click.option("--stages", default="", help="Only these stages, separated by commas.")
@click.option("--result", type=click.Path(path_type=Path, dir_okay=False), help="Write result.json here, too.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--allow", default="", metavar="A->B", help="Reconcile: release this upgrade from its hold.")
@click.option("--retry", is_flag=True, help="Reconcile: try again what was rolled back.")
@click.option("--all", "every", is_flag=True, help="Nightly: test what is known-good already, too.")
@click.option("--list", "list_", is_flag=True, help="List the playbooks.")
@click.option("-v", "--verbose", is_flag=True, help="Show what pytest prints.")
def play(  # noqa: PLR0913, PLR0917  (one parameter a flag)
    playbook: str | None, recipe: str | None, ref: str, pr: str, host: str | None, stages: str, result: Path | None,
    dry_run: bool, allow: str, retry: bool, every: bool, list_: bool, verbose: bool,
) -> int:  # fmt: skip
    """Run PLAYBOOK: `quick` upgrades warm data to the head, `cold` does everything from scratch.

    Others keep the host's providers up to date and its alerts moving: see --list.
    """
    settings = settings_for(host)
    if list_:
        for name, made in loader.load_all(settings).items():
            click.echo(f"{name:22} {made.summary}")
        return 0
    if not playbook:
        raise UsageError("which playbook?", hint="`ccci play --list` shows them")
    made = loader.load(settings, playbook)
    request = make_request(
        playbook,
        recipe=recipe_for(made, recipe),
        ref=ref,
        pull_request=pr,
        stages=stages,
        skip_fetch=skip_fetch(os.environ),
        result=result,
        dry_run=dry_run,
        allow=allow,
        retry=retry,
        every=every,
    )
    if (allow or retry) and made.mode is not Mode.RECONCILE:
        raise UsageError("--allow and --retry are for reconcile playbooks", hint="`ccci play --list` shows them")
    if every and not made.by_group:
        raise UsageError("--all is for nightly", hint="`ccci play --list` shows the playbooks")
    if pr and not made.mode.is_lane:
        raise UsageError("--pr is for the lanes, which test a head", hint="play cold or quick")
    stream = Stream()
    stream.attach(console_sink(verbose=verbose))
    return start(Context(settings, request), stream, here_only=host is not None).exit_code
