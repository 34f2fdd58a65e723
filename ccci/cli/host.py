"""`ccci host`: ccci on the host itself, so that providers are kept up and alerts are sent while nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ccci.cli.play import settings_for
from ccci.clients.notify import read_addresses
from ccci.engine.console import console_sink
from ccci.engine.operator import operator_session
from ccci.engine.session import Session
from ccci.events import Stream
from ccci.hosting import install as hosting

_host = click.option("--host", "name", help="The host to work on, by its name in the settings.")


@click.group()
def host() -> None:
    """Put ccci and its services on the host, take them away, or see how they are."""


@contextmanager
def _session(verb: str, name: str | None, *, told: bool = True) -> Iterator[Session]:
    stream = Stream()
    if told:
        stream.attach(console_sink(verbose=False))
    with operator_session(settings_for(name), f"host {verb}", stream) as session:
        yield session


@host.command()
@_host
@click.option(
    "--alerts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of addresses for alerts, one a line, mode 0600; else the host's own is left as it is.",
)
def install(name: str | None, alerts: Path | None) -> None:
    """Put ccci on the host, or bring it up to date there, with the recipes enrolled here; start its services."""
    if alerts is not None:
        read_addresses(alerts)
    with _session("install", name) as session:
        said = hosting.install(session, alerts=alerts)
    click.echo("\n".join(said))


@host.command()
@_host
@click.option("--yes", is_flag=True, help="Do not ask.")
def uninstall(name: str | None, yes: bool) -> None:
    """Take ccci and its services off the host; what they keep up goes on running, data and alerts stay."""
    if not yes:
        click.confirm("Nobody keeps providers up or sends alerts then. Go on?", abort=True)
    with _session("uninstall", name) as session:
        said = hosting.uninstall(session)
    click.echo("\n".join(said))


@host.command()
@_host
def status(name: str | None) -> int:
    """Show ccci's services on the host and when each timer is next; exit code 3 if one of them failed or is missing."""
    with _session("status", name, told=False) as session:
        units, missing = hosting.unit_states(session), hosting.missing_units(session)
    table = Table("unit", "state", "next", box=None)
    for unit in units:
        table.add_row(unit.name, "FAILED" if unit.failed else unit.active, unit.next_run)
    Console().print(table)
    for unit_name in missing:
        click.echo(f"! {unit_name} is not there: `ccci host install`")
    return 3 if missing or any(unit.failed for unit in units) else 0
