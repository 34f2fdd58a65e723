"""`ccci status`: is anything stuck, full or lost?"""

from __future__ import annotations

import click

from ccci.cli.play import settings_for
from ccci.engine.operator import operator_session
from ccci.events import Stream
from ccci.steps.overview import overview


@click.command()
@click.option("--host", help="The host to look at, by its name in the settings.")
def status(host: str | None) -> int:
    """Show what runs on the host, what is locked or interrupted, and how full it is."""
    with operator_session(settings_for(host), "status", Stream()) as session:
        found = overview(session)
    click.echo("\n".join(found.lines))
    for trouble in found.troubles:
        click.echo(f"! {trouble}")
    click.echo("nothing is stuck" if not found.troubles else f"{len(found.troubles)} thing(s) to look at")
    return 0
