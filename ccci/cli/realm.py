"""`ccci realm`: the realms of runs on the live Keycloak."""

from __future__ import annotations

import json

import click

from ccci.cli.play import settings_for
from ccci.engine.operator import operator_session
from ccci.engine.session import Session
from ccci.errors import UsageError
from ccci.events import Stream
from ccci.model.app import App
from ccci.model.enrolment import providers_in
from ccci.model.realm import hex_of
from ccci.steps.providers import forget_dead_leases, lease_holders, live_hexes
from ccci.steps.realms import KEYCLOAK, list_realms, reap

_host = click.option("--host", help="The host to work on, by its name in the settings.")
_domain = click.option("--domain", help="Where the Keycloak is; else where the recipe keycloak says.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def realm() -> None:
    """Look at the realms on the live Keycloak, and reap those of runs that died."""


@realm.command("list")
@_host
@_domain
@_json
def list_(host: str | None, domain: str | None, as_json: bool) -> None:
    """List every realm, and whose it is."""
    with operator_session(settings_for(host), "realm list", Stream()) as session:
        where = _provider(session, domain)
        names, holders = list_realms(session, where), lease_holders(session, where)
    if as_json:
        click.echo(json.dumps(names))
        return
    for name in names:
        hex6 = hex_of(name)
        whose = "not a run's" if hex6 is None else holders.get(hex6, "of a run that is over")
        click.echo(f"{name:32} {whose}")


@realm.command("reap")
@_host
@_domain
@click.option("--live", help="Hex digits of the runs that live, separated by commas; else those that hold a lease.")
@_json
def reap_(host: str | None, domain: str | None, live: str | None, as_json: bool) -> None:
    """Delete the realms of runs that died, and no other."""
    with operator_session(settings_for(host), "realm reap", Stream()) as session:
        where = _provider(session, domain)
        hexes = live_hexes(session, where) if live is None else {part for part in live.split(",") if part}
        gone = reap(where, hexes)
        forget_dead_leases(session, where)
    if as_json:
        click.echo(json.dumps(gone))
    else:
        click.echo("\n".join(f"deleted {name}" for name in gone) or "no realm of a dead run")


def _provider(session: Session, domain: str | None) -> App:
    base = session.host_settings.base_domain
    known = [p.app_at(base) for p in providers_in(session.settings.recipes) if p.name == KEYCLOAK]
    found = [app for app in known if domain in (None, app.domain)]
    if not found:
        at = ", ".join(app.domain for app in known) or "nowhere"
        raise UsageError(f"no live Keycloak is at {domain or 'this host'}", hint=f"known: {at}; see recipes/keycloak")
    return found[0]
