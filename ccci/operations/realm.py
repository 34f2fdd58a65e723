"""Operations on the realms of a live Keycloak: they look first, and change only what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from ccci.clients.keycloak import KeycloakAdmin
from ccci.model.realm import RealmSpec, orphaned

Commands = Generator[FunctionCommand, None, None]


def _do(work: Callable[[Any], object], argument: object) -> FunctionCommand:
    """Return a command that pyinfra runs here: the way to Keycloak is the run's, not the host's shell."""

    def run(_state: Any, _host: Any) -> bool:
        work(argument)
        return True

    return FunctionCommand(run, (), {})


@operation()
def create_realm(spec: RealmSpec, *, admin: KeycloakAdmin) -> Commands:
    """Make a realm with its client and user, if there is none of its name.

    + spec: the realm, from `ccci.model.realm.new_spec`
    + admin: the Keycloak
    """
    if spec.name in admin.realms():
        host.noop(f"realm {spec.name} is there")
        return
    yield _do(admin.create, spec)


@operation()
def delete_realm(name: str, *, admin: KeycloakAdmin) -> Commands:
    """Delete a realm; one that is not there is no fault. `master` is refused.

    + name: the realm
    + admin: the Keycloak
    """
    if name in admin.realms():
        yield _do(admin.delete, name)
    else:
        host.noop(f"there is no realm {name}")


@operation()
def realms_reaped(live_hexes: Collection[str], *, admin: KeycloakAdmin) -> Commands:
    """Delete the realms of runs that do not live any more, and no other.

    + live_hexes: hex digits of the runs that live
    + admin: the Keycloak
    """
    orphans = orphaned(admin.realms(), live_hexes)
    if not orphans:
        host.noop("no realm of a dead run")
    for name in orphans:
        yield _do(admin.delete, name)
