"""Single sign-on for tests: what is refused. That it works is proven on the real one (tests/lab/test_realms.py)."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import attrs
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ccci.testing.context import SsoContext
from ccci.testing.sso import LEEWAY, LoginRefused, Sso, SsoError, TokenRefused
from tests.support.scripted import Answer, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER = "https://warm-keycloak.example.org/realms/custom-html-aaa111"
OIDC = f"{ISSUER}/protocol/openid-connect"
CONTEXT = SsoContext(ISSUER, "custom-html-aaa111", "ccci", "the-client-secret", "ccci-user", "the-password")
DISCOVERY = {"issuer": ISSUER, "jwks_uri": f"{OIDC}/certs", "token_endpoint": f"{OIDC}/token"}
APP = "https://cust-aaa111.example.org/"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def public(key: Any, kid: str, **more: str) -> dict[str, Any]:
    """Return the entry of a key in a JWKS."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


SHARED = b"a-secret-that-a-realm-should-not-show"
SIGNING = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
KEYS = {
    "keys": [
        public(SIGNING, "signing", alg="RS256"),
        public(OTHER, "encrypting", alg="RSA-OAEP", use="enc"),
        public(OTHER, "not for that", alg="RS256", use="enc"),
        public(CURVE, "curve", alg="ES256"),
        {
            "kty": "oct",
            "kid": "shared",
            "alg": "HS256",
            "k": _base64(SHARED),
            "use": "sig",
        },
    ]
}


def claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a good access token, with others over them; None leaves one out."""
    now = int(time.time())
    made = {"iss": ISSUER, "aud": "ccci", "azp": "ccci", "iat": now, "exp": now + 60, **more}
    return {key: value for key, value in made.items() if value is not None}


def token(key: Any = SIGNING, kid: str | None = "signing", algorithm: str = "RS256", **more: Any) -> str:
    """Return a signed token."""
    return jwt.encode(claims(**more), key, algorithm, headers={"kid": kid} if kid else None)


def sso(*answers: Answer) -> tuple[Sso, Scripted]:
    """Return the fixture's object and the script that it talks to."""
    script = Scripted(*answers)
    return Sso(CONTEXT, script.session()), script


def verified(text: Any) -> dict[str, Any]:
    """Verify a token with the realm's keys."""
    return sso(Answer(200, DISCOVERY), Answer(200, KEYS))[0].verify(text)


@pytest.mark.parametrize(
    "make",
    [
        token,
        lambda: token(CURVE, "curve", "ES256"),
        lambda: token(aud=["account", "ccci"]),
        lambda: token(azp=None),
        lambda: token(exp=int(time.time() - LEEWAY / 2)),
    ],
    ids=["RS256", "ES256", "several audiences", "no azp", "clocks differ a little"],
)
def test_the_realm_s_tokens_are_accepted(make: Callable[[], str]) -> None:
    """A token with the realm's signature, issuer and audience is accepted, and its claims are returned."""
    assert verified(make())["iss"] == ISSUER


PEM = SIGNING.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def confused(secret: bytes, kid: str = "signing") -> str:
    """Return a token that is signed with what everybody knows, as if it were a shared secret."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, claims()]
    text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256'))}"


def cut(text: str) -> str:
    """Return a token whose claims were changed after it was signed."""
    head, _, signature = text.split(".")
    return f"{head}.{token(sub='somebody-else').split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(exp=int(time.time() - LEEWAY - 2)),
        lambda: token(nbf=int(time.time() + LEEWAY + 60)),
        lambda: token(exp=None),
        lambda: token(iat=None),
        lambda: token(iss="https://warm-keycloak.example.org/realms/custom-html-bbb222"),
        lambda: token(iss=f"{ISSUER}/"),
        lambda: token(iss=None),
        lambda: token(aud="account"),
        lambda: token(aud=None),
        lambda: token(azp="another-client"),
        lambda: token(OTHER),
        lambda: token(OTHER, "not for that"),
        lambda: token(OTHER, "encrypting"),
        lambda: token(kid="unknown"),
        lambda: token(kid=None),
        lambda: token(algorithm="RS512"),
        lambda: token(algorithm="PS256"),
        lambda: jwt.encode(claims(), "", "none", headers={"kid": "signing"}),
        lambda: confused(PEM),
        lambda: confused(SHARED, "shared"),
        lambda: cut(token()),
        lambda: token().rpartition(".")[0] + ".",
        lambda: "garbage",
        lambda: "",
        lambda: None,
    ],
    ids=[
        *("expired", "not yet", "no end", "no begin", "other realm", "other issuer", "no issuer", "other audience"),
        *(
            "no audience",
            "other client",
            "other key",
            "encryption key",
            "encryption algorithm",
            "unknown key",
            "no key",
        ),
        *(
            "RS512",
            "PS256",
            "none",
            "HS256 with the public key",
            "shared key",
            "changed",
            "unsigned",
            "garbage",
            "empty",
        ),
        "None",
    ],
)
def test_other_tokens_are_refused(make: Callable[[], Any]) -> None:
    """A token is refused, and not shown, if anything of it is not the realm's."""
    text = make()
    with pytest.raises(TokenRefused) as caught:
        verified(text)
    assert not text or text == "garbage" or text not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {**DISCOVERY, "issuer": "http://warm-keycloak.example.org/realms/custom-html-aaa111"}),
        Answer(200, {"jwks_uri": OIDC}),
        Answer(200, [DISCOVERY]),
        Answer(200, "<html>"),
        Answer(404, {"error": "Realm does not exist"}),
        Answer(302, "", {"Location": "https://elsewhere.example.org/"}),
    ],
    ids=["not the public URL", "no issuer", "no object", "no JSON", "no realm", "redirect"],
)
def test_discovery_is_the_realm_s_own(answer: Answer) -> None:
    """Discovery that does not name the realm's public URL as its issuer is refused."""
    with pytest.raises(SsoError):
        sso(answer)[0].discovery  # noqa: B018


@pytest.mark.parametrize("key", ["jwks_uri", "token_endpoint"])
def test_endpoints_elsewhere_are_refused(key: str) -> None:
    """Neither keys are taken from, nor passwords sent to, an address outside the realm."""
    made, script = sso(Answer(200, {**DISCOVERY, key: "https://elsewhere.example.org/x"}))
    with pytest.raises(SsoError, match="elsewhere"):
        made.verify(token()) if key == "jwks_uri" else made.password_grant()
    assert len(script.asked) == 1


def test_discovery_and_keys_are_fetched_once() -> None:
    """Two verified tokens cost one discovery and one look at the keys."""
    made, script = sso(Answer(200, DISCOVERY), Answer(200, KEYS))
    assert made.verify(token())
    assert made.verify(token())
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(400, {"error": "invalid_grant", "error_description": "Invalid user credentials"}), LoginRefused),
        (Answer(401, {"error": "invalid_grant"}), LoginRefused),
        (Answer(401, {"error": "unauthorized_client", "error_description": "Invalid client"}), SsoError),
        (Answer(502, "Bad Gateway"), SsoError),
        (Answer(200, "no JSON"), SsoError),
    ],
)
def test_only_a_wrong_password_is_a_refused_login(answer: Answer, kind: type[SsoError]) -> None:
    """A test of a wrong password does not pass because something else is broken; no secret is in the message."""
    with pytest.raises(SsoError) as caught:
        sso(Answer(200, DISCOVERY), answer)[0].password_grant(password="a-wrong-password")
    assert type(caught.value) is kind
    assert not [s for s in ("a-wrong-password", CONTEXT.client_secret) if s in str(caught.value)]


def page(action: str = f"{ISSUER}/login-actions/authenticate?code=1&amp;x=2", error: str = "") -> Answer:
    """Return a login page as Keycloak makes it."""
    said = f'<div><span id="input-error-container-username"><span id="input-error-username">{error}</span></span></div>'
    return Answer(
        200,
        f'<html><head><title>Sign in</title></head><body><form><input name="search"></form><form action="{action}">'
        f'<input name="username"><br><input name="password" type="password">{said if error else ""}'
        '<input type="hidden" name="credentialId" value="a&quot;b"/><input type="submit" name="login"></form></body>',
    )


TO_KEYCLOAK = Answer(302, "", {"Location": f"{OIDC}/auth?state=a-secret-state"})
BACK = Answer(302, "", {"Location": f"{APP}callback?code=a-secret-code"})


def test_a_browser_login_posts_the_form_and_ends_at_the_app() -> None:
    """Keycloak's form is filled as it stands, its hidden fields with it, and the app's page is returned."""
    script = Scripted(TO_KEYCLOAK, page(), BACK, Answer(200, "welcome"))
    session = script.session()
    assert Sso(CONTEXT, session).browser_login(APP).text == "welcome"
    form = script.asked[2]
    assert script.lines[2] == "POST /realms/custom-html-aaa111/login-actions/authenticate?code=1&x=2"
    assert parse_qs(str(form.body)) == {
        "username": ["ccci-user"],
        "password": ["the-password"],
        "credentialId": ['a"b'],
    }
    assert not session.cookies


def test_a_wrong_password_says_what_the_form_said() -> None:
    """The form shown again is a refused login with Keycloak's own words."""
    made, script = sso(TO_KEYCLOAK, page(), page(error="Invalid username\n or <b>password</b>."))
    with pytest.raises(LoginRefused, match=r"Invalid username or password\.") as caught:
        made.browser_login(APP, password="a-wrong-password")
    assert "a-wrong-password" not in str(caught.value)
    assert script.answers == []


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(200, "public page")],
        [page(f"{ISSUER}/login-actions/authenticate")],
        [TO_KEYCLOAK, page("https://elsewhere.example.org/login")],
        [TO_KEYCLOAK, page("http://warm-keycloak.example.org/realms/custom-html-aaa111/x")],
        [TO_KEYCLOAK, page("https://warm-keycloak.example.org/realms/custom-html-aaa111-evil/x")],
        [TO_KEYCLOAK, Answer(400, '<title>x</title><div id="kc-error-message"><p>Invalid parameter</p></div>')],
        [TO_KEYCLOAK, Answer(503, {"error": "no"})],
    ],
    ids=["no login", "form of the app", "form elsewhere", "form over http", "other realm", "error page", "no page"],
)
def test_a_password_goes_to_the_realm_only(answers: list[Answer]) -> None:
    """Without a form of the realm's own, whose target is the realm's own, nothing is posted, and that is an error."""
    made, script = sso(*answers)
    with pytest.raises(SsoError) as caught:
        made.browser_login(APP)
    assert not isinstance(caught.value, LoginRefused)
    assert "a-secret-state" not in str(caught.value)
    assert {request.method for request in script.asked} == {"GET"}


def test_another_page_of_keycloak_after_the_form_is_no_login() -> None:
    """A page that wants something more, such as a new password, is an error that says so, and no refused login."""
    update = Answer(200, '<title>Update password</title><form action="x"><input name="password-new"></form>')
    with pytest.raises(SsoError, match="Update password") as caught:
        sso(TO_KEYCLOAK, page(), update)[0].browser_login(APP)
    assert not isinstance(caught.value, LoginRefused)


def test_a_broken_callback_of_the_app_is_returned() -> None:
    """What the app makes of the login is for the test to judge: its error page comes back as it is."""
    assert sso(TO_KEYCLOAK, page(), BACK, Answer(500, "oops"))[0].browser_login(APP).status_code == 500


def test_secrets_are_not_shown() -> None:
    """Printed by accident, neither the context nor the fixture's object shows a secret."""
    text = f"{CONTEXT!r} {sso()[0]!r} {attrs.asdict(CONTEXT).keys()}"
    assert not [secret for secret in (CONTEXT.client_secret, CONTEXT.password) if secret in text]
