"""Keycloak's admin API, as far as ccci needs it (Keycloak Admin REST API, 26.x).

Every call has a time-out and says what went wrong without a word of what was sent. A realm that cannot be
looked at is never taken for one that is not there.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests

from ccci.errors import InfrastructureError, ProviderDown, UsageError
from ccci.model.realm import MASTER, RealmSpec

TIMEOUT = 30.0  # seconds for one answer: making a realm takes Keycloak several
_EARLY = 10.0  # seconds before a token runs out at which a new one is got


class KeycloakAdmin:
    """An administrator's view of one Keycloak.

    Args:
        url: where it is, without a slash at the end.
        http: how to get there: proxies and certificates are the caller's.
        username, password: of an administrator in the realm master.
    """

    def __init__(self, url: str, http: requests.Session, username: str, password: str) -> None:
        self._url = url
        self._http = http
        self._login = {"username": username, "password": password}
        self._token = ""
        self._until = 0.0

    def realms(self) -> list[str]:
        """Return the names of all realms, sorted.

        Raises:
            ProviderDown: Keycloak does not answer.
        """
        answer = self._ask("GET", "/admin/realms?briefRepresentation=true")
        return sorted(str(realm["realm"]) for realm in _json(answer))

    def create(self, spec: RealmSpec) -> None:
        """Make a realm with its client and its user.

        Raises:
            InfrastructureError: there is one of that name.
            ProviderDown: Keycloak does not answer.
        """
        self._ask("POST", "/admin/realms", json=_representation(spec), good=(HTTPStatus.CREATED,))

    def delete(self, name: str) -> bool:
        """Delete a realm and all that is in it; returns whether there was one.

        Raises:
            UsageError: it is `master`.
            ProviderDown: Keycloak does not answer.
        """
        if name == MASTER:
            raise UsageError("the realm master is Keycloak's own and is never deleted")
        good = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
        path = f"/admin/realms/{quote(name, safe='')}"
        return self._ask("DELETE", path, good=good).status_code == HTTPStatus.NO_CONTENT

    def _ask(
        self, method: str, path: str, *, json: Any = None, good: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._bearer()}"}
        answer = self._send(method, path, headers=headers, json=json)
        if answer.status_code not in good:
            raise InfrastructureError(
                f"Keycloak at {self._url} answers {answer.status_code} to {method} {path.partition('?')[0]}",
                hint="see its log on the host",
            )
        return answer

    def _bearer(self) -> str:
        if time.monotonic() < self._until:
            return self._token
        form = {"grant_type": "password", "client_id": "admin-cli", **self._login}
        answer = self._send("POST", f"/realms/{MASTER}/protocol/openid-connect/token", data=form)
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
            raise InfrastructureError(
                f"Keycloak at {self._url} refuses the administrator's password that the host has for it",
                hint="was it changed by hand? the swarm secret admin_password counts at Keycloak's first start only",
            )
        if answer.status_code != HTTPStatus.OK:
            raise ProviderDown(f"Keycloak at {self._url} answers {answer.status_code} to a log-in")
        granted = _json(answer)
        self._token, self._until = granted["access_token"], time.monotonic() + granted["expires_in"] - _EARLY
        return self._token

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            answer = self._http.request(method, self._url + path, timeout=TIMEOUT, **arguments)
        except requests.RequestException as error:
            # the error's own text may hold the address of the way there, which has a password in it
            raise ProviderDown(f"Keycloak at {self._url} does not answer: {type(error).__name__}") from None
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ProviderDown(f"Keycloak at {self._url} answers {answer.status_code}")
        return answer


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise InfrastructureError(f"{answer.url.partition('?')[0]} answered something that is no JSON") from None


def _representation(spec: RealmSpec) -> dict[str, Any]:
    """Return Keycloak's RealmRepresentation of a realm with one client and one user."""
    client = {
        "clientId": spec.client_id,
        "secret": spec.client_secret,
        "publicClient": False,
        "standardFlowEnabled": True,
        "directAccessGrantsEnabled": True,
        "redirectUris": list(spec.redirect_uris),
        "protocolMappers": [_audience(spec.client_id)],
    }
    user = {
        "username": spec.username,
        "enabled": True,
        "email": f"{spec.username}@example.com",
        "emailVerified": True,
        "firstName": "Test",
        "lastName": "User",
        "credentials": [{"type": "password", "value": spec.password, "temporary": False}],
    }
    return {"realm": spec.name, "enabled": True, "sslRequired": "external", "clients": [client], "users": [user]}


def _audience(client_id: str) -> dict[str, Any]:
    """Return the mapper that names the client in the tokens' audience: Keycloak does not do that by itself."""
    return {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": client_id, "access.token.claim": "true", "id.token.claim": "false"},
    }
