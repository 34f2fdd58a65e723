"""Call the operations on realms twice on the lab and print whether they changed something each time.

A program of its own, since it runs in pyinfra's immediate mode: `python -m tests.support.realms REALM…`. The way to
Keycloak and its password are those of a run. The realms are made, then reaped with aaa111 as the one live run.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

import requests  # noqa: E402
from typing_extensions import override  # noqa: E402

from ccci import settings as settings_module  # noqa: E402
from ccci.clients.keycloak import KeycloakAdmin  # noqa: E402
from ccci.engine.operator import operator_session  # noqa: E402
from ccci.errors import ProviderDown  # noqa: E402
from ccci.events import Stream  # noqa: E402
from ccci.model.enrolment import find_recipe  # noqa: E402
from ccci.model.realm import RealmSpec, new_spec  # noqa: E402
from ccci.operations.realm import create_realm, delete_realm, realms_reaped  # noqa: E402
from ccci.steps.realms import keycloak_admin  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccci.engine.session import Session

LIVE = "aaa111"


class GoesAway(KeycloakAdmin):
    """A Keycloak that is there when one looks and away when one wants something of it."""

    @override
    def holds(self, spec: RealmSpec) -> bool:
        return False

    @override
    def create(self, spec: RealmSpec) -> None:
        raise ProviderDown("it went away")


def tell(what: str, value: object) -> None:
    """Print a line that the test reads."""
    sys.stdout.write(f"{what}: {json.dumps(value)}\n")


def twice(session: Session, operation: Callable[..., Any], *args: Any, admin: KeycloakAdmin) -> None:
    """Call an operation twice."""
    tell(operation.__name__, [session.perform(operation, *args, admin=admin) for _ in range(2)])


def try_all(session: Session, url: str, admin: KeycloakAdmin, realms: list[str]) -> None:
    """Try the operations with these realms, the first of which is deleted by its name."""
    specs = [new_spec(name, url, [f"{url}/callback"]) for name in realms]
    twice(session, create_realm, specs[0], admin=admin)
    for spec in specs[1:]:
        admin.create(spec)
    before = admin.realms()
    tell("before", before)
    twice(session, realms_reaped, {LIVE}, admin=admin)
    tell("reaped", sorted(set(before) - set(admin.realms())))
    twice(session, delete_realm, realms[0], admin=admin)
    try:
        session.perform(create_realm, specs[0], admin=GoesAway(url, requests.Session(), "", ""))
    except ProviderDown as error:
        tell("goes away", error.what)
    for name in {*realms} & {*admin.realms()}:
        admin.delete(name)


def main() -> None:
    """Try them on the settings' host."""
    settings = settings_module.load()
    with operator_session(settings, "realms", Stream()) as session:
        where = find_recipe("keycloak", settings.recipes).app_at(session.host_settings.base_domain)
        with keycloak_admin(session, where) as admin:
            try_all(session, where.url, admin, sys.argv[1:])


if __name__ == "__main__":
    main()
