"""Operations on the realms of a live Keycloak: they look first, and change only what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from typing import Any, TypeVar

from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from ccci.clients.keycloak import KeycloakAdmin
from ccci.model.realm import RealmSpec, orphaned

Commands = Generator[FunctionCommand, None, None]
T = TypeVar("T")


def _done(work: Callable[[T], object], argument: T) -> Commands:
    """Yield a command that pyinfra runs here: the way to Keycloak is the run's, not the host's shell.

    pyinfra makes any exception of such a command a plain failure; so it is carried out of it and raised here.
    """
    raised: list[Exception] = []

    def run(state: Any, host: Any) -> bool:  # noqa: ARG001 - pyinfra calls it by these names
        try:
            work(argument)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again below
            raised.append(error)
        return True

    yield FunctionCommand(run, (), {})
    if raised:
        raise raised[0]


@operation()
def create_realm(spec: RealmSpec, *, admin: KeycloakAdmin) -> Commands:
    """Make a realm with its client and user, unless it is there and just so.

    + spec: the realm, from `ccci.model.realm.new_spec`
    + admin: the Keycloak
    """
    if admin.holds(spec):
        host.noop(f"realm {spec.name} is there")
        return
    yield from _done(admin.create, spec)


@operation()
def delete_realm(name: str, *, admin: KeycloakAdmin) -> Commands:
    """Delete a realm; one that is not there is no fault. `master` is refused.

    + name: the realm
    + admin: the Keycloak
    """
    if name in admin.realms():
        yield from _done(admin.delete, name)
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
        yield from _done(admin.delete, name)
