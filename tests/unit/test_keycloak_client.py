"""Keycloak's admin client where things go wrong; that it works is proven on the real one (tests/lab/test_realms.py)."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import requests

from ccci.clients import keycloak
from ccci.clients.keycloak import KeycloakAdmin
from ccci.errors import CcciError, InfrastructureError, ProviderDown, UsageError
from ccci.model.realm import new_spec
from tests.support.scripted import Answer, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "https://warm-keycloak.example.org"
PASSWORD = "the-password-of-the-administrator"  # noqa: S105 - of no administrator
TOKEN = Answer(200, {"access_token": "the-token-of-the-administrator", "expires_in": 60})
SPEC = new_spec("custom-html-aaa111", URL, ["https://cust-aaa111.example.org/cb"])
LOGIN = "POST /realms/master/protocol/openid-connect/token"
LIST = "GET /admin/realms?briefRepresentation=true"
MASTER = {"realm": "master"}
NOT_ROUTED = Answer(404, "404 page not found\n", {"Content-Type": "text/plain; charset=utf-8"})
REALM_NOT_FOUND = Answer(404, {"error": "Realm not found."})
CONFLICT = Answer(409, {"errorMessage": "Conflict detected. See logs for details"})
CALLS: list[Callable[[KeycloakAdmin], object]] = [
    KeycloakAdmin.realms,
    lambda admin: admin.holds(SPEC),
    lambda admin: admin.create(SPEC),
    lambda admin: admin.delete(SPEC.name),
]


def client(*answers: Answer | Exception) -> tuple[KeycloakAdmin, Scripted]:
    """Return an administrator's client and the script that it talks to."""
    script = Scripted(*answers)
    return KeycloakAdmin(URL, script.session(), "admin", PASSWORD), script


def everything(error: BaseException) -> str:
    """Return all that an error and its causes could show to anybody."""
    parts = []
    while True:
        ours = (error.what, error.hint, error.detail) if isinstance(error, CcciError) else ()
        parts.append(f"{error!r} {error} {ours} {getattr(error, '__notes__', '')}")
        if (cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is None:
            return " ".join(parts)
        error = cause


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "fault",
    [
        requests.ConnectionError(f"http://ccci:{PASSWORD}@127.0.0.1"),
        requests.exceptions.ProxyError(f"http://ccci:{PASSWORD}@127.0.0.1"),
        requests.exceptions.SSLError(PASSWORD),
        requests.ReadTimeout(PASSWORD),
        requests.exceptions.ChunkedEncodingError(PASSWORD),
        Answer(502, PASSWORD),
        Answer(503, {"error": PASSWORD}),
        NOT_ROUTED,
    ],
    ids=["connection", "proxy", "tls", "timeout", "cut", "502", "503", "404 of the proxy"],
)
@pytest.mark.parametrize("logged_in", [False, True])
def test_a_keycloak_that_is_away_is_down(
    call: Callable[[KeycloakAdmin], object], fault: Answer | Exception, *, logged_in: bool
) -> None:
    """Whatever keeps Keycloak from answering, before or after the log-in, is ProviderDown, and no realm is gone."""
    admin, script = client(*([TOKEN] if logged_in else []), fault)
    with pytest.raises(ProviderDown) as caught:
        call(admin)
    assert script.answers == []
    assert URL in caught.value.what
    assert caught.value.hint
    assert PASSWORD not in everything(caught.value)


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_password_is_named(status: int) -> None:
    """A refused log-in says that the host's password is not Keycloak's, without saying it."""
    refused = Answer(status, {"error": "invalid_grant", "error_description": "Invalid user credentials"})
    with pytest.raises(InfrastructureError, match="password that the host has") as caught:
        client(refused)[0].realms()
    assert not isinstance(caught.value, ProviderDown)
    assert "Invalid user credentials" in caught.value.what
    assert "admin_password" in str(caught.value.hint)
    assert PASSWORD not in everything(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "<html>"),
        Answer(200, []),
        Answer(200, [{"realm": "notes"}]),
        Answer(403, {"error": "unknown_error"}),
        REALM_NOT_FOUND,
        Answer(302, "", {"Location": "https://elsewhere.example.org/"}),
    ],
    ids=["no JSON", "none", "not all", "forbidden", "404", "redirect"],
)
def test_realms_that_cannot_be_read_are_not_none(answer: Answer) -> None:
    """A list that is no list, or without the master realm, is an error and never an empty list."""
    for call in (KeycloakAdmin.realms, CALLS[1]):
        admin, script = client(TOKEN, answer)
        with pytest.raises(InfrastructureError):
            call(admin)
        assert script.lines == [LOGIN, LIST]


@pytest.mark.parametrize("name", ["master", "Master", "master ", "m\u00e1ster", "", "../master", "a/b", "a?b=c"])
def test_master_is_refused_before_any_request(name: str) -> None:
    """The realm master, under whatever spelling a database may take for it, is refused and nothing is asked."""
    admin, script = client()
    with pytest.raises(UsageError):
        admin.delete(name)
    assert script.asked == []


def test_a_delete_is_only_done_if_keycloak_says_so() -> None:
    """204 is a realm deleted, Keycloak's own 404 is none there, and anything else is an error."""
    admin, _ = client(TOKEN, Answer(204), REALM_NOT_FOUND, Answer(400, {"errorMessage": "no"}))
    assert admin.delete(SPEC.name) is True
    assert admin.delete(SPEC.name) is False
    with pytest.raises(InfrastructureError, match=r"400 to DELETE /admin/realms/custom-html-aaa111: no"):
        admin.delete(SPEC.name)


def test_a_token_is_renewed_before_it_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One log-in serves for as long as its token lives, less a reserve; then there is another one."""
    now = 1000.0
    monkeypatch.setattr("ccci.clients.keycloak.time.monotonic", lambda: now)
    admin, script = client(TOKEN, *[Answer(200, [MASTER])] * 2, TOKEN, Answer(200, [MASTER]))
    admin.realms()
    now += 49
    admin.realms()
    now += 2
    admin.realms()
    assert script.lines == [LOGIN, LIST, LIST, LOGIN, LIST]


def test_a_token_that_keycloak_does_not_take_any_more_is_renewed_once() -> None:
    """A 401 in the middle, as after a restore of Keycloak's data, means one more log-in; a second one is an error."""
    unauthorized = Answer(401, {"error": "HTTP 401 Unauthorized"})
    admin, script = client(TOKEN, unauthorized, TOKEN, Answer(200, [MASTER]), unauthorized, TOKEN, unauthorized)
    assert admin.realms() == ["master"]
    with pytest.raises(InfrastructureError, match="401"):
        admin.realms()
    assert script.lines == [LOGIN, LIST, LOGIN, LIST, LIST, LOGIN, LIST]


def sent(request: requests.PreparedRequest) -> dict[str, Any]:
    """Return the JSON or the form that a request sent."""
    text = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
    if request.headers["Content-Type"] == "application/json":
        data: dict[str, Any] = json.loads(text)
        return data
    return {key: values[0] for key, values in parse_qs(text).items()}


def test_a_realm_is_made_in_one_request() -> None:
    """Realm, client and user come or do not come together; the redirect URIs are those given and no more."""
    admin, script = client(TOKEN, Answer(201))
    admin.create(SPEC)
    assert script.lines == [LOGIN, "POST /admin/realms"]
    assert "Authorization" not in script.asked[0].headers
    assert sent(script.asked[0])["client_id"] == "admin-cli"
    realm = sent(script.asked[1])
    [made], [user] = realm["clients"], realm["users"]
    assert (realm["realm"], realm["enabled"]) == (SPEC.name, True)
    assert (made["clientId"], made["redirectUris"]) == ("ccci", ["https://cust-aaa111.example.org/cb"])
    assert (made["publicClient"], made["standardFlowEnabled"], made["directAccessGrantsEnabled"]) == (False, True, True)
    assert user["credentials"] == [{"type": "password", "value": SPEC.password, "temporary": False}]
    assert all(user[key] for key in ("enabled", "email", "firstName", "lastName"))


def there(*, grant: Answer) -> list[Answer]:
    """Return the answers of a Keycloak that has the realm, with the right client."""
    clients = Answer(200, [{"clientId": "ccci", "redirectUris": list(SPEC.redirect_uris)}])
    return [Answer(200, [MASTER, {"realm": SPEC.name}]), clients, grant]


def test_a_create_that_worked_unseen_is_left_alone() -> None:
    """If the answer to the first call was lost, the second finds the realm just as it should be and changes nothing."""
    admin, script = client(TOKEN, requests.ConnectionError(), CONFLICT, *there(grant=Answer(200, {})))
    with pytest.raises(ProviderDown):
        admin.create(SPEC)
    admin.create(SPEC)
    assert not [line for line in script.lines if line.startswith(("DELETE", "PUT"))]
    assert script.answers == []


def test_a_run_s_realm_that_is_not_so_is_made_anew() -> None:
    """A realm of the run's name with other secrets is replaced whole."""
    refused = Answer(401, {"error": "unauthorized_client"})
    admin, script = client(TOKEN, CONFLICT, *there(grant=refused), Answer(204), Answer(201))
    admin.create(SPEC)
    assert script.lines[-2:] == ["DELETE /admin/realms/custom-html-aaa111", "POST /admin/realms"]


def test_nobody_else_s_realm_is_replaced() -> None:
    """A realm that is not named like a run's is never deleted to make room for one."""
    spec = new_spec("notes", URL, [])
    admin, script = client(TOKEN, CONFLICT, Answer(200, [MASTER, {"realm": "notes"}]), Answer(200, []))
    with pytest.raises(InfrastructureError, match="of somebody else"):
        admin.create(spec)
    assert script.answers == []


@pytest.mark.parametrize(
    "body", [{"errorMessage": "x" * 900}, "y" * 900, {"other": PASSWORD}, [PASSWORD], {"error": 1}]
)
def test_no_more_is_told_than_what_keycloak_says_is_wrong(body: object) -> None:
    """A message holds what Keycloak calls an error, cut, and nothing else that it answered or was sent."""
    with pytest.raises(InfrastructureError) as caught:
        client(TOKEN, Answer(418, body))[0].create(SPEC)
    told = everything(caught.value)
    assert "418" in told
    assert "x" * 201 not in told
    assert "yyyy" not in told
    assert not [secret for secret in (PASSWORD, SPEC.password, SPEC.client_secret) if secret in told]


def test_every_request_has_a_time_out() -> None:
    """A Keycloak that takes the connection and says nothing is down when the time-out has passed, not for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent, requests.Session() as http:
        http.trust_env = False
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(keycloak, "TIMEOUT", (1.0, 0.2))
            with pytest.raises(ProviderDown, match="ReadTimeout"):
                KeycloakAdmin(url, http, "admin", PASSWORD).realms()
            silent.close()
            with pytest.raises(ProviderDown, match="ConnectionError"):
                KeycloakAdmin(url, http, "admin", PASSWORD).realms()


def test_the_client_shows_no_secret_of_its_own() -> None:
    """Printed by accident, the client does not say its password."""
    admin, _ = client(TOKEN, Answer(200, [MASTER]))
    admin.realms()
    assert PASSWORD not in f"{admin!r}"
