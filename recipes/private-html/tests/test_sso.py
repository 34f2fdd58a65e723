"""What private-html promises: in with Keycloak's blessing, out without."""

import pytest

from ccci.testing.plugin import App
from ccci.testing.sso import LoginRefused, Sso

API = "/api/"


def test_health_is_public(app: App) -> None:
    """The health check answers without any log-in."""
    assert app.get("/healthz").text == "ok\n"


@pytest.mark.requires_deps
def test_strangers_are_sent_to_keycloak(app: App, sso: Sso) -> None:
    """Who is not logged in sees Keycloak's form, not the page."""
    answer = app.get("/", allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(sso.discovery["authorization_endpoint"])


@pytest.mark.requires_deps
def test_browser_login(app: App, sso: Sso) -> None:
    """The whole way of a browser through Keycloak's form ends on the page, as the user who logged in."""
    page = sso.browser_login(app.url + "/")
    assert page.status_code == 200
    assert page.url == app.url + "/"
    assert page.headers["X-User"] == sso.username


@pytest.mark.requires_deps
def test_token_is_accepted(app: App, sso: Sso) -> None:
    """A token of the password grant is the realm's own, by signature, issuer and audience, and the app takes it."""
    token = sso.password_grant()["access_token"]
    assert sso.verify(token)["preferred_username"] == sso.username
    answer = app.get(API, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 404, "past the guard there is nothing at this path"
    assert answer.headers["X-User"] == sso.username


@pytest.mark.requires_deps
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer e30.e30.e30"}], ids=["none", "garbage"])
def test_other_tokens_are_refused(app: App, sso: Sso, header: dict[str, str]) -> None:
    """Without a token, or with one that Keycloak did not sign, the guarded path answers 401."""
    assert sso.discovery["issuer"] == sso.issuer
    assert app.get(API, headers=header).status_code == 401


@pytest.mark.requires_deps
def test_wrong_password_is_refused(app: App, sso: Sso) -> None:
    """A wrong password gets neither a token nor past the form."""
    with pytest.raises(LoginRefused, match="Invalid user credentials"):
        sso.password_grant(password="wrong")
    with pytest.raises(LoginRefused, match="Invalid username or password"):
        sso.browser_login(app.url + "/", password="wrong")
