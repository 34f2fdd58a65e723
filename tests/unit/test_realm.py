"""Realms of runs: names, whose they are, and what is in a new one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.errors import UsageError
from ccci.model.names import cold_domain
from ccci.model.realm import RealmSpec, hex_of, new_spec, orphaned, realm_for

HEXES = st.text("0123456789abcdef", min_size=6, max_size=6)
RECIPES = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,3}", fullmatch=True)
URL = "https://warm-keycloak.example.org"


@given(recipe=RECIPES, hex6=HEXES)
def test_a_realm_is_named_after_recipe_and_cold_app(recipe: str, hex6: str) -> None:
    """Any recipe and the label of any cold app of it name a realm, from which the hex can be read again."""
    label = cold_domain(recipe, hex6, "example.org").partition(".")[0]
    realm = realm_for(recipe, label)
    assert realm == f"{recipe}-{hex6}"
    assert hex_of(realm) == hex6


def test_the_documented_example() -> None:
    """`lasuite-docs` at `lasu-aaa111` has the realm `lasuite-docs-aaa111`."""
    assert realm_for("lasuite-docs", "lasu-aaa111") == "lasuite-docs-aaa111"


@pytest.mark.parametrize(
    ("recipe", "label"),
    [
        ("custom-html", ""),
        ("custom-html", "cust"),
        ("custom-html", "cust-aaa11"),
        ("custom-html", "cust-AAA111"),
        ("custom-html", "cust-aaa111\n"),
        ("custom-html", "cust--aaa111"),
        ("custom-html", "custom-aaa111"),
        ("custom-html", "-aaa111"),
        ("custom-html", "cust-aaa111.example.org"),
        ("", "cust-aaa111"),
        ("../master", "cust-aaa111"),
        ("Custom", "cust-aaa111"),
    ],
)
def test_bad_names_are_refused(recipe: str, label: str) -> None:
    """What is no recipe or no cold app's label names no realm."""
    with pytest.raises(UsageError):
        realm_for(recipe, label)


@pytest.mark.parametrize(
    "realm",
    [
        "master",
        "notes",
        "my-realm",
        "x-zzzzzz",
        "aaa111",
        "-aaa111",
        "x-aaa11",
        "x-AAA111",
        "X-aaa111",
        "x-aaa111 ",
        "",
    ],
)
def test_other_realms_have_no_hex(realm: str) -> None:
    """What is not named like a run's realm is none."""
    assert hex_of(realm) is None


def test_orphans_are_realms_of_dead_runs_only() -> None:
    """Of all realms, exactly those are orphans that are named like a run's and whose hex is not live."""
    realms = ["master", "notes", "z-bbb222", "my-realm", "x-zzzzzz", "lasuite-docs-aaa111", "a-ccc333", "b-ccc333"]
    assert orphaned(realms, {"aaa111"}) == ["a-ccc333", "b-ccc333", "z-bbb222"]
    assert orphaned(realms, []) == ["a-ccc333", "b-ccc333", "lasuite-docs-aaa111", "z-bbb222"]
    assert orphaned(["master"], []) == []


@given(realms=st.lists(st.one_of(st.text(), st.from_regex(r"[a-z-]{0,5}-[0-9a-f]{6}"))), live=st.sets(HEXES))
def test_no_live_realm_is_an_orphan(realms: list[str], live: set[str]) -> None:
    """Whatever realms are called, an orphan ends with a hyphen and six hex digits that do not live."""
    for name in orphaned(realms, live):
        assert name[-7] == "-"
        assert set(name[-6:]) <= set("0123456789abcdef")
        assert name[-6:] not in live


def test_a_new_realm_has_secrets_of_its_own() -> None:
    """Two new realms share no secret, and neither is shown when one is printed."""
    redirects = ["https://cust-aaa111.example.org/cb"]
    a, b = new_spec("custom-html-aaa111", URL, redirects), new_spec("custom-html-bbb222", f"{URL}/", redirects)
    assert isinstance(a, RealmSpec)
    assert (a.issuer, b.issuer) == (f"{URL}/realms/custom-html-aaa111", f"{URL}/realms/custom-html-bbb222")
    assert (a.client_id, a.username, a.redirect_uris) == ("ccci", "ccci-user", tuple(redirects))
    secrets = {a.client_secret, a.password, b.client_secret, b.password}
    assert len(secrets) == 4
    assert all(len(secret) >= 20 and secret not in f"{a!r} {b}" for secret in secrets)
