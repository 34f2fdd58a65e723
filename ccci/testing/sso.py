"""Single sign-on for tests: log in as a browser does and as a program does, and verify what comes of it."""

from __future__ import annotations

from functools import cached_property
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs
import jwt
import requests
from typing_extensions import override

from ccci.testing.context import SsoContext

TIMEOUT = 30.0  # seconds for one answer
LEEWAY = 5.0  # seconds by which this machine's clock and the host's may differ
# Those with a public key: one with a shared key, or none at all, could be made by anybody who reads the realm's JWKS.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
_SAID_MAX = 200  # characters of a page that go into a message
_ERRORS = ("input-error", "kc-error-message")  # ids of what Keycloak's pages say is wrong begin with one of these


class SsoError(AssertionError):
    """Single sign-on did not go as it should."""


class LoginRefused(SsoError):
    """Keycloak knows no such user with this password."""


class TokenRefused(SsoError):
    """A token is not one that the realm made for the run's client, or is one no more."""


class Sso:
    """The run's realm on the live Keycloak.

    Attributes:
        issuer: the realm's issuer, a URL.
        realm: its name.
        client_id, client_secret: of the confidential client that the app uses.
        username, password: of the realm's test user.
    """

    def __init__(self, context: SsoContext, http: requests.Session) -> None:
        self._http = http
        self.issuer, self.realm = context.issuer, context.realm
        self.client_id, self.client_secret = context.client_id, context.client_secret
        self.username, self.password = context.username, context.password

    @cached_property
    def discovery(self) -> dict[str, Any]:
        """The realm's OpenID configuration; its issuer is the realm's public URL.

        Raises:
            SsoError: it cannot be had, or speaks of another issuer.
        """
        found = self._get(f"{self.issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise SsoError(f"discovery at {self.issuer} says that the issuer is {found.get('issuer')}")
        return found

    @property
    def jwks_uri(self) -> str:
        """Where the realm's public keys are."""
        return self._endpoint("jwks_uri")

    @cached_property
    def jwks(self) -> dict[str, Any]:
        """The realm's public keys.

        Raises:
            SsoError: they cannot be had.
        """
        return self._get(self.jwks_uri)

    def password_grant(self, username: str | None = None, password: str | None = None) -> dict[str, Any]:
        """Log in as a program: return the token endpoint's answer, with `access_token` and `id_token`.

        Args:
            username: of a user of the realm; the test user's if it is left out.
            password: the same.

        Raises:
            LoginRefused: the name or the password is wrong.
            SsoError: something else is.
        """
        form = {
            "grant_type": "password",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": self.username if username is None else username,
            "password": self.password if password is None else password,
            "scope": "openid",
        }
        url = self._endpoint("token_endpoint")
        answer = self._http.post(url, data=form, timeout=TIMEOUT, allow_redirects=False)
        body = _body(answer)
        if answer.status_code == HTTPStatus.OK:
            return body
        said = f"{body.get('error', 'nothing')}: {body.get('error_description', '')}"[:_SAID_MAX]
        kind = LoginRefused if body.get("error") == "invalid_grant" else SsoError
        raise kind(f"{url} answers {answer.status_code} to a password grant: {said}")

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of an access or ID token that this realm made for the run's client and that is valid now.

        Raises:
            TokenRefused: its signature, issuer, audience or time is wrong, or its algorithm is not the key's.
            SsoError: the realm's keys cannot be had.
        """
        issuer, keys = self.discovery["issuer"], self.jwks
        try:
            key = _signing_key(token, keys)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self.client_id,
                issuer=issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(f"the token is not to be trusted: {error}") from None
        if claims.get("azp", self.client_id) != self.client_id:
            raise TokenRefused(f"the token was made for the client {claims['azp']}, not for {self.client_id}")
        return claims

    def browser_login(self, url: str, username: str | None = None, password: str | None = None) -> requests.Response:
        """Open a page of the app in a new browser, log in through Keycloak's form, and return the page at the end.

        Args:
            url: a page that needs a login.
            username: of a user of the realm; the test user's if it is left out.
            password: the same.

        Raises:
            LoginRefused: Keycloak shows its form again, with what it says.
            SsoError: there is no form, or another page of Keycloak's after it.
        """
        wanted = {
            "username": self.username if username is None else username,
            "password": self.password if password is None else password,
        }
        browser = self._new_browser()
        page = browser.get(url, timeout=TIMEOUT)
        form = self._login_form(page)
        if form is None:
            raise SsoError(f"{url} ends at {_where(page)} with {page.status_code}, not at Keycloak's form{_said(page)}")
        page = browser.post(urljoin(page.url, form.action), data={**form.hidden, **wanted}, timeout=TIMEOUT)
        if self._login_form(page) is not None:
            raise LoginRefused(f"Keycloak does not let {wanted['username']} in{_said(page)}")
        if self._is_ours(page.url):
            raise SsoError(f"after the login Keycloak answers {page.status_code} at {_where(page)}{_said(page)}")
        return page

    def _new_browser(self) -> requests.Session:
        """Return a client that gets there as `http` does, and has cookies of its own."""
        browser = requests.Session()
        browser.trust_env, browser.proxies, browser.verify = False, self._http.proxies, self._http.verify
        browser.adapters = self._http.adapters
        return browser

    def _login_form(self, page: requests.Response) -> _Form | None:
        """Return the login form of a page of this realm, else None: a password goes to nobody else."""
        if not self._is_ours(page.url):
            return None
        forms = [form for form in _parsed(page).forms if {"username", "password"} <= form.fields]
        return forms[0] if forms and self._is_ours(urljoin(page.url, forms[0].action)) else None

    def _is_ours(self, url: str) -> bool:
        return url.startswith(f"{self.issuer}/")

    def _endpoint(self, key: str) -> str:
        url = str(self.discovery.get(key))
        if not self._is_ours(url):
            raise SsoError(f"discovery of {self.issuer} has no {key} of the realm, but {url}")
        return url

    def _get(self, url: str) -> dict[str, Any]:
        answer = self._http.get(url, timeout=TIMEOUT, allow_redirects=False)
        if answer.status_code != HTTPStatus.OK:
            raise SsoError(f"{url} answers {answer.status_code}")
        return _body(answer)


def _body(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SsoError(f"{answer.url} answers {answer.status_code} and something that is no JSON object")
    return body


def _signing_key(token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    """Return the realm's key that a token says it was signed with; errors are PyJWT's."""
    wanted = jwt.get_unverified_header(token).get("kid")
    found = [key for key in jwt.PyJWKSet.from_dict(keys).keys if key.key_id == wanted and wanted is not None]
    signing = [key for key in found if key.public_key_use in (None, "sig") and key.algorithm_name in ALGORITHMS]
    if not signing:
        raise jwt.InvalidKeyError("the realm has no such key for signatures")
    return signing[0]


@attrs.define
class _Form:
    """A form of a page: where it goes, what it hides, and the names of all its fields."""

    action: str
    hidden: dict[str, str] = attrs.field(factory=dict)
    fields: set[str] = attrs.field(factory=set)


class _Page(HTMLParser):
    """The forms of a page, its title, and what it says is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self.said = {"title": "", "error": ""}
        self._into, self._tag, self._depth = "", "", 0  # the element whose text is read now

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.forms.append(_Form(known.get("action", "")))
        elif tag == "input" and self.forms and "name" in known:
            self.forms[-1].fields.add(known["name"])
            if known.get("type") == "hidden":
                self.forms[-1].hidden[known["name"]] = known.get("value", "")
        if self._into:
            self._depth += tag == self._tag
        elif tag == "title" or known.get("id", "").startswith(_ERRORS):
            self._into, self._tag, self._depth = "title" if tag == "title" else "error", tag, 1

    @override
    def handle_endtag(self, tag: str) -> None:
        if self._into and tag == self._tag:
            self._depth -= 1
            if not self._depth:
                self._into = ""

    @override
    def handle_data(self, data: str) -> None:
        if self._into:
            self.said[self._into] += data


def _parsed(page: requests.Response) -> _Page:
    """Parse a page; one that is no HTML has no forms and says nothing."""
    parsed = _Page()
    parsed.feed(page.text)
    parsed.close()
    return parsed


def _said(page: requests.Response) -> str:
    said = _parsed(page).said
    text = " ".join((said["error"] or said["title"]).split())
    return f": {text[:_SAID_MAX]}" if text else ""


def _where(page: requests.Response) -> str:
    """Return a page's address without what it was asked with: that may be a secret."""
    return urlsplit(page.url)._replace(query="", fragment="").geturl()
