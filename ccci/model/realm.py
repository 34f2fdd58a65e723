"""Realms of runs: how they are named, which of them nobody owns any more, and what is in a new one. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable, Sequence

import attrs

from ccci.errors import UsageError
from ccci.model.names import recipe_name, shown

MASTER = "master"  # Keycloak's own realm: never a run's
CLIENT = "ccci"
USER = "ccci-user"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,2}[a-z0-9])?-([0-9a-f]{6})")
_REALM = re.compile(r"[a-z0-9][a-z0-9-]*-([0-9a-f]{6})")  # no upper case, no other letters: master can never match


@attrs.frozen
class RealmSpec:
    """A realm to be made.

    Attributes:
        name: its name.
        issuer: its issuer, a URL.
        client_id, client_secret: of its one confidential client.
        redirect_uris: where that client may send a browser back to.
        username, password: of its one user.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    redirect_uris: tuple[str, ...]
    username: str
    password: str = attrs.field(repr=False)


def realm_for(recipe: str, label: str) -> str:
    """Name the realm of a run: `realm_for("lasuite-docs", "lasu-aaa111")` is `lasuite-docs-aaa111`.

    Args:
        recipe: the recipe that is tested.
        label: the first label of the run's cold app: `<recipe[:4]>-<6 hex>`.

    Raises:
        UsageError: one of them is none.
    """
    found = _LABEL.fullmatch(label)
    if not found:
        raise UsageError(f"{shown(label)} is no label of a run's app", hint="it looks like lasu-aaa111")
    return f"{recipe_name(recipe)}-{found[1]}"


def hex_of(realm: str) -> str | None:
    """Return the six hex digits at the end of a realm that is named like a run's, else None."""
    found = _REALM.fullmatch(realm)
    return found[1] if found else None


def orphaned(realms: Iterable[str], live_hexes: Collection[str]) -> list[str]:
    """Return the realms of runs that do not live any more, sorted.

    Args:
        realms: names of realms; one that is not named like a run's is nobody's to take away.
        live_hexes: hex digits of the runs that live.
    """
    return sorted(name for name in realms if (found := hex_of(name)) and found not in live_hexes)


def new_spec(name: str, provider_url: str, redirect_uris: Sequence[str]) -> RealmSpec:
    """Describe a new realm, with a random client secret and password.

    Args:
        name: its name.
        provider_url: where Keycloak is.
        redirect_uris: where its client may send a browser back to.
    """
    return RealmSpec(
        name=name,
        issuer=f"{provider_url.rstrip('/')}/realms/{name}",
        client_id=CLIENT,
        client_secret=secrets.token_urlsafe(24),
        redirect_uris=tuple(redirect_uris),
        username=USER,
        password=secrets.token_urlsafe(18),
    )
