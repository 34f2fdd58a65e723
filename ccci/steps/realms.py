"""A realm for a run on the live Keycloak: made before its app comes up, gone afterwards; orphans are reaped."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import requests

from ccci.clients.keycloak import KeycloakAdmin
from ccci.commands import docker
from ccci.commands.shell import command
from ccci.engine.proxy import AppProxy
from ccci.engine.run import Run
from ccci.engine.session import Session, current
from ccci.engine.steps import cleaned_up, step
from ccci.errors import InfrastructureError, ProviderDown
from ccci.facts.docker import Stack
from ccci.facts.http import Served
from ccci.facts.warm import File
from ccci.model import envfile
from ccci.model.app import App
from ccci.model.realm import RealmSpec, new_spec, orphaned, realm_for
from ccci.model.recipe import Recipe
from ccci.operations.realm import create_realm, delete_realm, realms_reaped
from ccci.operations.stack import container_of
from ccci.steps.providers import forget_dead_leases, live_hexes
from ccci.testing.context import SsoContext

KEYCLOAK = "keycloak"


@contextmanager
def realm_of(run: Run, app: App, provider: Recipe) -> Iterator[None]:
    """Give a run a realm of its own: its app and its tests are told of it, and it is deleted at the end.

    Raises:
        ProviderDown: Keycloak is not there or not healthy.
    """
    session, where = run.session, provider.app_at(run.session.host_settings.base_domain)
    check_up(where, provider)
    session.say(f"dep: using live-warm {provider.name} @ {where.domain}", keep=True)
    paths = run.recipe.meta.sso.redirect_paths
    name = realm_for(run.recipe.name, app_label(run))
    spec = new_spec(name, where.url, [app.url + path for path in paths])
    with cleaned_up(functools.partial(drop_realm, where, name)):
        make_realm(where, spec)
        _tell(run, app, spec, where)
        try:
            yield
        finally:
            run.overlay.pop(app.domain, None)
            run.sso = None


def app_label(run: Run) -> str:
    """Return the first label that a cold app of this run has."""
    return f"{run.recipe.name[:4].rstrip('-')}-{run.hex}"


@step("looking whether {0.domain} is up")
def check_up(where: App, provider: Recipe) -> None:
    """See that a provider answers as it should.

    Raises:
        ProviderDown: it does not.
    """
    health = provider.meta.health
    answer = current().read(Served, domain=where.domain, path=health.path)
    if answer.status not in health.status:
        said = f"answers {answer.status}" if answer.status else f"does not answer: {answer.error or 'nothing came'}"
        raise ProviderDown(
            f"the live {provider.name} at {where.domain} {said}",
            hint=f"`ccci play reconcile_{provider.name}` brings it up, or says why it cannot",
        )


@step("making realm {1.name} on {0.domain}")
def make_realm(where: App, spec: RealmSpec) -> None:
    """Make a realm; first those of runs that died are reaped."""
    session = current()
    with keycloak_admin(session, where) as admin:
        session.perform(realms_reaped, live_hexes(session, where), admin=admin)
        session.perform(create_realm, spec, admin=admin)
    forget_dead_leases(session, where)


@step("deleting realm {1} on {0.domain}")
def drop_realm(where: App, name: str) -> None:
    """Delete the run's realm."""
    session = current()
    with keycloak_admin(session, where) as admin:
        session.perform(delete_realm, name, admin=admin)
    session.say(f"dep: deleted per-run realm {name} on warm keycloak", keep=True)


@step("reaping realms of dead runs on {0.domain}")
def reap(where: App, live: Collection[str]) -> list[str]:
    """Delete the realms of runs that do not live any more; returns their names."""
    session = current()
    with keycloak_admin(session, where) as admin:
        gone = orphaned(admin.realms(), live)
        session.perform(realms_reaped, live, admin=admin)
    return gone


def list_realms(session: Session, where: App) -> list[str]:
    """Return the names of all realms."""
    with keycloak_admin(session, where) as admin:
        return admin.realms()


@contextmanager
def keycloak_admin(session: Session, where: App) -> Iterator[KeycloakAdmin]:
    """Reach a live Keycloak as its administrator, over the run's SSH connection.

    The password is read in Keycloak's own container, where Swarm has put it: there is no second copy.

    Raises:
        ProviderDown: it does not run.
    """
    username, password = _credentials(session, where)
    with AppProxy(session.connector, session.host_settings.base_domain) as proxy, requests.Session() as http:
        http.trust_env = False
        http.proxies = {"https": proxy.url}
        http.verify = str(session.host_settings.ca) if session.host_settings.ca else True
        yield KeycloakAdmin(where.url, http, username, password)


def _credentials(session: Session, where: App) -> tuple[str, str]:
    text = session.read(File, path=where.env_file)
    username = envfile.parse(text, where=str(where.env_file)).get("ADMIN_USERNAME", "") if text else ""
    try:
        container = container_of(session.read(Stack, stack=where.stack), "app")
    except InfrastructureError as error:
        raise ProviderDown(
            f"the live Keycloak at {where.domain} is down: {error.what}", hint="`ccci play reconcile_keycloak`"
        ) from error
    words = docker.execute(container, ["cat", "/run/secrets/admin_password"], stdin=False)
    code, output = session.ask(command(words, timeout=20))
    if code or not output.stdout.strip():
        raise ProviderDown(f"the administrator's password of {where.domain} cannot be read in its container")
    session.stream.hide([output.stdout.strip()])
    return username or "admin", output.stdout.strip()


def _tell(run: Run, app: App, spec: RealmSpec, where: App) -> None:
    """Lay the realm over the app's env file and secrets, for this run only."""
    run.session.stream.hide([spec.client_secret, spec.password])
    sso = run.recipe.meta.sso
    words = {"issuer": spec.issuer, "realm": spec.name, "client_id": spec.client_id, "provider_url": where.url}
    overlay = {key: _filled(value, words) for key, value in sso.env.items()}
    for name, value in sso.secrets.items():
        # a version of the run's own: swarm secrets never change, and the canonical's stay as they are
        overlay[f"SECRET_{name.upper().replace('-', '_')}_VERSION"] = run.hex
        secret = _filled(value, {**words, "client_secret": spec.client_secret})
        run.given_secrets[f"{app.stack}_{name}_{run.hex}"] = secret
    run.overlay[app.domain] = overlay
    run.sso = SsoContext(spec.issuer, spec.name, spec.client_id, spec.client_secret, spec.username, spec.password)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text
