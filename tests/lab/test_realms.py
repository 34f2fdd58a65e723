"""Realms on a real Keycloak: made, used, deleted, reaped; and what happens while Keycloak is away."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import gevent
import pytest

from ccci.clients.keycloak import KeycloakAdmin
from ccci.errors import InfrastructureError, ProviderDown, UsageError
from ccci.model.realm import RealmSpec, new_spec, realm_for
from ccci.testing.sso import LoginRefused, SsoError, TokenRefused
from tests.support.keycloak import LiveKeycloak, https_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.host import LabHost

ROOT = Path(__file__).parents[2]
CALLBACK = "https://cust-aaa111.ci.lab.test/callback"
PATIENCE = 120.0  # seconds: a Keycloak that was stopped starts in a fifth of that


@pytest.fixture(scope="module")
def keycloak(warm_lab: LabHost) -> LiveKeycloak:
    """A live Keycloak."""
    done = warm_lab.start("ccci", "play", "reconcile_keycloak", env={"CCCI_RECIPES": str(ROOT / "recipes")}).finish()
    assert done.code == 0, done.all
    made = LiveKeycloak(warm_lab, https_port(warm_lab))
    for name in made.admin().realms():
        if name != "master":
            made.admin().delete(name)
    return made


@pytest.fixture
def admin(keycloak: LiveKeycloak) -> Iterator[KeycloakAdmin]:
    """Its administrator; no realm is left when the test ends."""
    made = keycloak.admin()
    yield made
    left = [name for name in made.realms() if name != "master"]
    for name in left:
        made.delete(name)
    assert left == []


@pytest.fixture
def realm(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> Iterator[RealmSpec]:
    """A realm of a run."""
    spec = new_spec(realm_for("custom-html", "cust-aaa111"), keycloak.url, [CALLBACK])
    admin.create(spec)
    yield spec
    admin.delete(spec.name)


def authorization(keycloak: LiveKeycloak, realm: RealmSpec, callback: str = CALLBACK) -> str:
    """Return where an app sends a browser for a login."""
    query = f"response_type=code&scope=openid&client_id={realm.client_id}&redirect_uri={callback}&state=s"
    return f"{keycloak.sso(realm).discovery['authorization_endpoint']}?{query}"


def test_a_realm_gives_tokens_that_verify(keycloak: LiveKeycloak, realm: RealmSpec) -> None:
    """The password grant of a new realm's user gives tokens with the realm's signature, issuer and audience."""
    sso = keycloak.sso(realm)
    assert sso.discovery["issuer"] == realm.issuer == f"{keycloak.url}/realms/custom-html-aaa111"
    granted = sso.password_grant()
    for kind in ("access_token", "id_token"):
        claims = sso.verify(granted[kind])
        assert (claims["iss"], claims["azp"], claims["preferred_username"]) == (realm.issuer, "ccci", "ccci-user")
        assert "ccci" in claims["aud"]
    with pytest.raises(TokenRefused):  # Keycloak signs it with a secret of its own
        sso.verify(granted["refresh_token"])
    head, claims_part, signature = granted["access_token"].split(".")
    with pytest.raises(TokenRefused):
        sso.verify(f"{head}.{claims_part}.{signature[:-8]}AAAAAAAA")


def test_wrong_passwords_and_clients_are_refused(keycloak: LiveKeycloak, realm: RealmSpec) -> None:
    """A wrong password and an unknown user are refused logins; a wrong client secret is another error."""
    sso = keycloak.sso(realm)
    with pytest.raises(LoginRefused):
        sso.password_grant(password="wrong")
    with pytest.raises(LoginRefused):
        sso.password_grant(username="nobody")
    with pytest.raises(SsoError) as caught:
        keycloak.sso(attrs.evolve(realm, client_secret="wrong")).password_grant()
    assert not isinstance(caught.value, LoginRefused)


def test_a_browser_gets_in_by_the_form(keycloak: LiveKeycloak, realm: RealmSpec) -> None:
    """Keycloak's own form, filled as a browser does it, leads back to the app with a code."""
    sso = keycloak.sso(realm)
    start = authorization(keycloak, realm)
    for _ in range(2):  # the second is a new browser: it is asked again
        page = sso.browser_login(start)
        assert page.url.startswith(f"{CALLBACK}?")
        assert "code=" in page.url
    with pytest.raises(LoginRefused, match="Invalid username or password"):
        sso.browser_login(start, password="wrong")


def test_a_browser_is_sent_to_the_given_addresses_only(keycloak: LiveKeycloak, realm: RealmSpec) -> None:
    """Keycloak refuses to lead back to any address but the realm's redirect URIs."""
    for callback in ("https://elsewhere.example.org/", f"{CALLBACK}/more", CALLBACK.replace("https", "http")):
        with pytest.raises(SsoError, match="redirect_uri"):
            keycloak.sso(realm).browser_login(authorization(keycloak, realm, callback))


def test_two_realms_of_one_recipe_are_two(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> None:
    """Two runs of a recipe make their realms at the same time; a token of one is nothing in the other."""
    names = [realm_for("custom-html", f"cust-{hex6}") for hex6 in ("aaa111", "bbb222")]
    specs = [new_spec(name, keycloak.url, [CALLBACK]) for name in names]
    for made in [gevent.spawn(keycloak.admin().create, spec) for spec in specs]:
        made.get(timeout=PATIENCE)
    assert admin.realms() == [*names, "master"]
    one, two = (keycloak.sso(spec) for spec in specs)
    token = one.password_grant()["access_token"]
    assert one.verify(token)["iss"] == specs[0].issuer
    with pytest.raises(TokenRefused):
        two.verify(token)
    with pytest.raises(LoginRefused):
        two.password_grant(password=specs[0].password)
    assert [admin.delete(name) for name in names] == [True, True]


def test_create_can_be_called_again(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> None:
    """If the answer was lost on the way, a second call ends with the same realm, and a third changes nothing."""
    spec = new_spec("custom-html-aaa111", keycloak.url, [CALLBACK])
    losing = KeycloakAdmin(keycloak.url, keycloak.http(loses="/admin/realms"), "admin", keycloak.password())
    with pytest.raises(ProviderDown):
        losing.create(spec)
    admin.create(spec)
    subject = keycloak.sso(spec).verify(keycloak.sso(spec).password_grant()["access_token"])["sub"]
    admin.create(spec)
    assert keycloak.sso(spec).verify(keycloak.sso(spec).password_grant()["access_token"])["sub"] == subject
    other = new_spec(spec.name, keycloak.url, ["https://cust-bbb222.ci.lab.test/callback"])
    assert (admin.holds(spec), admin.holds(other)) == (True, False)
    admin.create(other)
    assert (admin.holds(spec), admin.holds(other)) == (False, True)
    assert admin.delete(spec.name)


def test_delete_can_be_called_again_and_spares_master(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> None:
    """A realm is deleted once, a second call finds none; master is refused."""
    admin.create(new_spec("custom-html-aaa111", keycloak.url, []))
    assert admin.delete("custom-html-aaa111") is True
    assert admin.delete("custom-html-aaa111") is False
    for name in ("master", "Master", "master "):
        with pytest.raises(UsageError):
            admin.delete(name)
    assert admin.realms() == ["master"]


def test_somebody_s_realm_is_not_replaced(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> None:
    """A realm that is there and not named like a run's is left as it is."""
    first = new_spec("notes", keycloak.url, [CALLBACK])
    admin.create(first)
    with pytest.raises(InfrastructureError, match="somebody else"):
        admin.create(new_spec("notes", keycloak.url, []))
    assert admin.holds(first)
    assert admin.delete("notes")


def test_a_stale_token_is_renewed(admin: KeycloakAdmin) -> None:
    """A token that Keycloak does not know, as after a restore of its data, costs one more log-in."""
    assert admin.realms() == ["master"]
    admin._token = admin._token[:-8] + "AAAAAAAA"
    assert admin.realms() == ["master"]


def test_a_wrong_administrator_is_named(keycloak: LiveKeycloak) -> None:
    """A password on the host that is not Keycloak's is said to be that, and is not shown."""
    with pytest.raises(InfrastructureError, match="password that the host has") as caught:
        keycloak.admin("not-the-password").realms()
    assert not isinstance(caught.value, ProviderDown)
    assert "not-the-password" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"


REALMS = ("lasuite-docs-aaa111", "a-ddd444", "a-bbb222", "z-z-ccc333", "notes", "my-realm", "x-zzzzzz")
_SAMPLE = "while [ ! -e /root/enough ]; do cat /proc/[0-9]*/cmdline; sleep 0.05; done >/root/argv 2>/dev/null"
_TOLD = """
cat >/dev/shm/word
{{ cat /root/argv /var/lib/ci-warm/runs/*/*; journalctl --no-pager; docker service logs {service} 2>&1
   docker inspect $(docker ps -aq); }} | grep -c -a -F -f /dev/shm/word
rm /dev/shm/word
"""


def operate(keycloak: LiveKeycloak) -> dict[str, Any]:
    """Run the program of the operations while all command lines on the host are collected; return what it told."""
    host = keycloak.host
    host.sh(f"rm -f /root/enough; nohup sh -c '{_SAMPLE}' >/dev/null 2>&1 &")
    env = {"PYTHONPATH": str(ROOT), "CCCI_RECIPES": str(ROOT / "recipes")}
    try:
        program = host.start("tests.support.realms", *REALMS, env=env)
        here = b""
        while program.process.poll() is None:
            here += b"".join(_cmdlines())
            time.sleep(0.05)
        done = program.finish()
    finally:
        host.sh("touch /root/enough; sleep 0.3")
    assert done.code == 0, done.all
    told = dict(line.text.split(": ", 1) for line in done.lines)
    return {**{key: json.loads(value) for key, value in told.items()}, "here": here + done.all.encode()}


def _cmdlines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue  # it has ended


def test_operations_look_first_and_reap_orphans_only(keycloak: LiveKeycloak, admin: KeycloakAdmin) -> None:
    """Each operation changes something once and nothing then; exactly the realms of dead runs are reaped.

    Meanwhile the administrator's password is in no command line, there or here, and afterwards in no log.
    """
    told = operate(keycloak)
    assert told["before"] == sorted([*REALMS, "master"])
    assert told["reaped"] == ["a-bbb222", "a-ddd444", "z-z-ccc333"]
    assert [told[name] for name in ("create_realm", "realms_reaped", "delete_realm")] == [[True, False]] * 3
    assert told["goes away"] == "it went away", "the error comes out of pyinfra as it was"
    assert admin.realms() == ["master"]
    host, password = keycloak.host, keycloak.password()
    assert password.encode() not in told["here"]
    seen = host.sh("tr '\\0' ' ' </root/argv | grep -a -o 'cat /run/secrets/admin_password' | head -1")
    assert seen == "cat /run/secrets/admin_password", "the sampling was fast enough to see how it is read"
    found = host.ssh(_TOLD.format(service=f"{keycloak.stack}_app"), password.encode())
    assert found.strip() == b"0"


def test_while_keycloak_is_away_no_realm_is_gone(
    keycloak: LiveKeycloak, admin: KeycloakAdmin, realm: RealmSpec
) -> None:
    """A stopped Keycloak is ProviderDown for every call, though the proxy says 404; the realm is there still."""
    host, service = keycloak.host, f"{keycloak.stack}_app"
    assert realm.name in admin.realms()  # so it has a token
    gone = f"while docker ps -q -f name={service} | grep -q .; do sleep 0.2; done"
    host.sh(f"docker service scale -d {service}=0 && {gone}")
    calls = (admin.realms, *(functools.partial(call, realm) for call in (admin.create, admin.holds)))
    try:
        for call in (*calls, functools.partial(admin.delete, realm.name)):
            with pytest.raises(ProviderDown):
                call()
    finally:
        host.sh(f"docker service scale -d {service}=1")
    deadline = time.monotonic() + PATIENCE
    while not _is_up(admin):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert admin.holds(realm)


def _is_up(admin: KeycloakAdmin) -> bool:
    try:
        return bool(admin.realms())
    except ProviderDown:
        return False
