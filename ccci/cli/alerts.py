"""`ccci alerts`: what somebody should look at."""

from __future__ import annotations

import json

import click

from ccci.cli.play import settings_for
from ccci.engine.console import console_sink, plain
from ccci.engine.operator import operator_session
from ccci.engine.request import Context, make_request
from ccci.engine.start import start
from ccci.errors import UsageError
from ccci.events import Stream
from ccci.model import codec
from ccci.steps.relay import message, put_away, waiting

_host = click.option("--host", help="The host to work on, by its name in the settings.")
_name = click.argument("name")


@click.group()
def alerts() -> None:
    """List alerts, show one, send them, or acknowledge one."""


@alerts.command("list")
@_host
@click.option("--seen", is_flag=True, help="Those that were delivered or acknowledged.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(host: str | None, seen: bool, as_json: bool) -> int:
    """List the alerts that wait, oldest first."""
    with operator_session(settings_for(host), "alerts list", Stream()) as session:
        found = waiting(session, seen=seen)
    if as_json:
        click.echo(json.dumps({name: codec.to_data(alert) for name, alert in found.alerts.items()}))
    else:
        for name, alert in found.alerts.items():
            click.echo(plain(f"{name:60} {alert.title}"))
    for fault in found.faults:
        click.echo(plain(f"! {fault}"), err=True)
    if not found.alerts and not found.faults and not as_json:
        click.echo("no alert" if seen else "no alert waits")
    return 3 if found.faults else 0


@alerts.command()
@_name
@_host
def show(name: str, host: str | None) -> None:
    """Show one alert whole, waiting or seen."""
    with operator_session(settings_for(host), "alerts show", Stream()) as session:
        found = waiting(session).alerts | waiting(session, seen=True).alerts
    if name not in found:
        raise UsageError(f"there is no alert {name}", hint="`ccci alerts list` and `list --seen` show what there is")
    click.echo("\n".join(map(plain, [found[name].title, "", *message(found[name]).splitlines()])))


@alerts.command("relay")
@_host
def relay_(host: str | None) -> int:
    """Send the alerts that wait; the same as `ccci play relay_alerts`."""
    stream = Stream()
    stream.attach(console_sink(verbose=False))
    return start(Context(settings_for(host), make_request("relay_alerts", recipe="")), stream).exit_code


@alerts.command()
@_name
@_host
def ack(name: str, host: str | None) -> None:
    """Put an alert away without sending it."""
    with operator_session(settings_for(host), "alerts ack", Stream()) as session:
        put_away(session, name)
    click.echo(f"{name} is acknowledged")
