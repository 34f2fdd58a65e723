"""Keycloak's admin API, as far as ccci needs it (Keycloak Admin REST API, 26.x).

Every call has a time-out and says what went wrong without a word of what was sent. A realm that cannot be
looked at is never taken for one that is not there: a proxy says "404", too, while Keycloak is away.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests

from ccci.errors import InfrastructureError, ProviderDown, UsageError
from ccci.model.names import shown
from ccci.model.realm import MASTER, RealmSpec, hex_of

TIMEOUT = (10.0, 60.0)  # seconds to connect, and for an answer: making a realm takes a busy Keycloak several
_EARLY = 10.0  # seconds before a token runs out at which a new one is got
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SAID_MAX = 200  # characters of what Keycloak says that go into a message
# A realm's usual keys, but for the pair that encrypts: it takes Keycloak two seconds to make, and nothing uses it.
_KEYS = {
    "rsa-generated": {"priority": "100"},
    "hmac-generated": {"priority": "100", "algorithm": "HS512"},
    "aes-generated": {"priority": "100"},
}
_RECONCILE = "`ccci play reconcile_keycloak` looks at it, and deploys it again if it has to"
_CHANGED = "the swarm secret admin_password counts at Keycloak's first start only: was it changed in Keycloak since?"


class KeycloakAdmin:
    """An administrator's view of one Keycloak.

    Args:
        url: where it is, without a slash at the end.
        http: how to get there: proxies and certificates are the caller's.
        username, password: of an administrator in the realm master.
    """

    def __init__(self, url: str, http: requests.Session, username: str, password: str) -> None:
        self._url = url.rstrip("/")
        self._http = http
        self._login = {"username": username, "password": password}
        self._token = ""
        self._until = 0.0

    def realms(self) -> list[str]:
        """Return the names of all realms, sorted.

        Raises:
            ProviderDown: Keycloak does not answer.
            InfrastructureError: it does, but does not show all realms to this administrator.
        """
        found = _json(self._ask("GET", "/admin/realms", params={"briefRepresentation": "true"}))
        names = sorted(str(realm["realm"]) for realm in found)
        if MASTER not in names:
            raise InfrastructureError(f"Keycloak at {self._url} does not show its realms to this administrator")
        return names

    def holds(self, spec: RealmSpec) -> bool:
        """Return whether a realm is there and just as it should be: its client and its user can be used.

        Raises:
            ProviderDown: Keycloak does not answer.
        """
        if spec.name not in self.realms():
            return False
        path = f"{_path(spec.name)}/clients"
        clients = _json(self._ask("GET", path, params={"clientId": spec.client_id}))
        if not clients or sorted(clients[0].get("redirectUris", [])) != sorted(spec.redirect_uris):
            return False
        client = {"client_id": spec.client_id, "client_secret": spec.client_secret}
        login = {"username": spec.username, "password": spec.password}
        return self._grant(spec.name, {**client, **login}).status_code == HTTPStatus.OK

    def create(self, spec: RealmSpec) -> None:
        """Make a realm with its client and its user; call it again if you do not know whether it worked.

        A realm of the same name that is not just like that is made anew, but only if it is named like a run's.

        Raises:
            InfrastructureError: there is one of that name, and it is nobody's to replace.
            ProviderDown: Keycloak does not answer.
        """
        if self._post(spec) or self.holds(spec):
            return
        if hex_of(spec.name) is None:
            raise InfrastructureError(f"Keycloak at {self._url} has a realm {spec.name} already, of somebody else")
        self.delete(spec.name)
        if not self._post(spec):
            raise InfrastructureError(f"realm {spec.name} was made by somebody else at the same time")

    def delete(self, name: str) -> bool:
        """Delete a realm and all that is in it; returns whether there was one.

        Raises:
            UsageError: it is `master`, or could be: Keycloak's database may take Master for the same name.
            ProviderDown: Keycloak does not answer.
        """
        if name == MASTER:
            raise UsageError("the realm master is Keycloak's own and is never deleted")
        if not _PLAIN.fullmatch(name):
            raise UsageError(f"a realm named {shown(name)} is never deleted", hint="delete it in Keycloak's console")
        good = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
        return self._ask("DELETE", _path(name), good=good).status_code == HTTPStatus.NO_CONTENT

    def _post(self, spec: RealmSpec) -> bool:
        """Make a realm; returns whether there was none of its name."""
        good = (HTTPStatus.CREATED, HTTPStatus.CONFLICT)
        answer = self._ask("POST", "/admin/realms", json=_representation(spec), good=good)
        return answer.status_code == HTTPStatus.CREATED

    def _ask(
        self, method: str, path: str, *, good: tuple[HTTPStatus, ...] = (HTTPStatus.OK,), **arguments: Any
    ) -> requests.Response:
        answer = self._send(method, path, headers=self._bearer(), **arguments)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:  # Keycloak was restored or restarted under the token
            self._until = 0.0
            answer = self._send(method, path, headers=self._bearer(), **arguments)
        if answer.status_code not in good:
            raise InfrastructureError(
                f"Keycloak at {self._url} answers {answer.status_code} to {method} {path}{_said(answer)}"
            )
        return answer

    def _bearer(self) -> dict[str, str]:
        """Return the header that says who asks; tokens of administrators live for a minute."""
        if time.monotonic() >= self._until:
            began = time.monotonic()
            answer = self._grant(MASTER, {"client_id": "admin-cli", **self._login})
            if answer.status_code != HTTPStatus.OK:
                raise InfrastructureError(
                    f"Keycloak at {self._url} refuses the administrator's password that the host has for it:"
                    f" {answer.status_code}{_said(answer)}",
                    hint=_CHANGED,
                )
            granted = _json(answer)
            self._token, self._until = str(granted["access_token"]), began + float(granted["expires_in"]) - _EARLY
        return {"Authorization": f"Bearer {self._token}"}

    def _grant(self, realm: str, form: dict[str, str]) -> requests.Response:
        path = f"/realms/{quote(realm, safe='')}/protocol/openid-connect/token"
        return self._send("POST", path, data={"grant_type": "password", **form})

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        try:
            answer = self._http.request(method, self._url + path, timeout=TIMEOUT, allow_redirects=False, **arguments)
        except requests.RequestException as error:
            # not `from error`: its text may hold the way there, which has a password in it
            what = f"Keycloak at {self._url} does not answer: {type(error).__name__}"
            raise ProviderDown(what, hint=_RECONCILE) from None
        status = answer.status_code
        foreign = status == HTTPStatus.NOT_FOUND and not _is_json(answer)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or foreign:
            what = f"Keycloak at {self._url} does not answer: {status} to {method} {path}"
            raise ProviderDown(what, hint=_RECONCILE)
        return answer


def _path(realm: str) -> str:
    return f"/admin/realms/{quote(realm, safe='')}"


def _is_json(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() == "application/json"


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise InfrastructureError(f"{answer.url.partition('?')[0]} answers something that is no JSON") from None


def _said(answer: requests.Response) -> str:
    """Return what Keycloak says of a refusal: the words that it keeps for that, nothing else of the body."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    words = [body.get(key) for key in ("errorMessage", "error_description", "error")] if isinstance(body, dict) else []
    said = next((word for word in words if isinstance(word, str)), "")
    return f": {ascii(said)[1:-1][:_SAID_MAX]}" if said else ""


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
        "email": f"{spec.username}@example.com",  # a whole profile: Keycloak asks for what is missing before it logs in
        "emailVerified": True,
        "firstName": "Test",
        "lastName": "User",
        "credentials": [{"type": "password", "value": spec.password, "temporary": False}],
    }
    made = {"realm": spec.name, "enabled": True, "sslRequired": "external", "clients": [client], "users": [user]}
    return {
        **made,
        "components": {"org.keycloak.keys.KeyProvider": [_key(name, **more) for name, more in _KEYS.items()]},
    }


def _key(provider: str, **config: str) -> dict[str, Any]:
    """Return a component that makes a key when the realm is made."""
    return {"name": provider, "providerId": provider, "config": {key: [value] for key, value in config.items()}}


def _audience(client_id: str) -> dict[str, Any]:
    """Return the mapper that names the client in the tokens' audience: Keycloak does not do that by itself."""
    return {
        "name": "audience",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": client_id, "access.token.claim": "true", "id.token.claim": "false"},
    }
