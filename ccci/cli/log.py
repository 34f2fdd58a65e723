"""`ccci log`: who changed what on the host, when, in which run."""

from __future__ import annotations

import json

import click

from ccci.cli.play import settings_for
from ccci.engine.console import plain
from ccci.engine.operator import operator_session
from ccci.events import Stream
from ccci.model import codec
from ccci.model.audit import chosen, read_entries
from ccci.steps.overview import audit_text

LAST = 50  # entries, where nothing else is asked for


@click.command()
@click.option("--host", help="The host to look at, by its name in the settings.")
@click.option("--run", default="", help="Only this run: its id, or how that begins.")
@click.option("--app", default="", help="Only this app: its domain, or the first label of it.")
@click.option("--last", default=LAST, show_default=True, type=click.IntRange(0), help="The last so many; 0 for all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each entry.")
def log(host: str | None, run: str, app: str, last: int, as_json: bool) -> int:
    """Show the changes of the host, oldest first: one line for each operation that changed something."""
    with operator_session(settings_for(host), "log", Stream()) as session:
        entries, bad = read_entries(audit_text(session))
    for entry in chosen(entries, run=run, app=app, last=last):
        if as_json:
            click.echo(json.dumps(codec.to_data(entry)))
        else:
            app = f" [{entry.app}]" if entry.app and entry.app not in entry.step else ""
            what = f"{entry.operation:17} {entry.step}{app}".rstrip()
            click.echo(plain(f"{entry.at} {entry.run} {entry.playbook:8} {entry.who}: {what}"))
    if bad:
        click.echo(f"! {bad} line(s) of the log cannot be read", err=True)
    return 3 if bad else 0
