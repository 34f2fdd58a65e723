"""Names from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.errors import UsageError
from ccci.model import names

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("text", ["a", "custom-html", "n8n", "0x", "a" * 62])
def test_recipe_names_are_returned(text: str) -> None:
    """A legal recipe name comes back as it is."""
    assert names.recipe_name(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "a--b", "A", "a_b", "../a", "a/b", "a\n", "ä", "a" * 63, "--recipe"])
def test_other_recipe_names_are_refused(text: str) -> None:
    """Nothing that could be an option, a path or another host's label passes for a recipe."""
    with pytest.raises(UsageError, match=r"^--recipe: "):
        names.recipe_name(text, what="--recipe")


@pytest.mark.parametrize("text", ["main", "1.11.0+1.26.3", "feature/x-1", "87a62a5", "v1", "refs/pull/7/head"])
def test_git_refs_are_returned(text: str) -> None:
    """Commits, tags with a plus and branches come back as they are."""
    assert names.git_ref(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a\n",
        "a\x1b",
        "@{u}",
        "@",
        "a:b",
        "a\\b",
        "a^",
        "a~1",
        "a?",
        "a*",
        "a[",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.",
        "a" * 201,
        "a\u2028b",
        "a\x7f",
    ],
)
def test_other_refs_are_refused(text: str) -> None:
    """Nothing that git could take for an option, a range, an expression or two arguments passes for a ref."""
    with pytest.raises(UsageError):
        names.git_ref(text)


@given(st.text())
def test_messages_hold_no_control_characters(text: str) -> None:
    """A refused value cannot move the cursor or forge a line of the log."""
    checks = (names.recipe_name, names.git_ref, names.domain, names.host_name, names.volume_name)
    for message in [message for check in checks if (message := _refusal(check, text))]:
        assert message.isascii()
        assert message.isprintable()


def _refusal(check: Callable[[str], str], text: str) -> str:
    try:
        check(text)
    except UsageError as error:
        return error.what
    return ""


def test_domains_are_lower_case_dns_names() -> None:
    """A domain is folded to lower case, and what DNS does not know is refused."""
    assert names.domain("App.Example.org") == "app.example.org"
    for bad in (
        "",
        "a",
        "a.",
        ".a.b",
        "a..b",
        "-a.b",
        "a-.b",
        "a_b.c",
        "a.b/",
        "1.2.3.4",
        "a" * 64 + ".b",
        "a." * 130,
    ):
        with pytest.raises(UsageError):
            names.domain(bad)


def test_hosts_may_be_addresses() -> None:
    """A host may be one label, a DNS name, or an address of either family, and no option."""
    for good in ("lab", "127.0.0.1", "ci.example.org", "::1", "fe80::1"):
        assert names.host_name(good) == good
    for bad in ("", "-oProxyCommand=x", "a b", "root@host", "a/b", ":", "%eth0"):
        with pytest.raises(UsageError):
            names.host_name(bad)


def test_volumes_are_no_paths() -> None:
    """A volume's name is docker's, never a path or an option."""
    assert names.volume_name("warm_app.data-1") == "warm_app.data-1"
    for bad in ("", "a", "/a", "../a", "-v", "a/b", "a:b"):
        with pytest.raises(UsageError):
            names.volume_name(bad)


def test_stack_is_the_domain_with_underscores_cut_at_45() -> None:
    """A stack is named as abra names it, and only the made-up name is cut."""
    assert names.stack_name("warm-custom-html.ci.example.org") == "warm-custom-html_ci_example_org"
    assert names.stack_name("a" * 30 + ".ci.example-long.org") == "a" * 30 + "_ci_example-lon"
    assert names.stack_name("a.b", "Own_name-1") == "Own_name-1"
    assert names.stack_name("a.b", "x" * 50) == "x" * 50
    for bad in ("../x", "a b", "-a", "a;b", "x" * 64):
        with pytest.raises(UsageError):
            names.stack_name("a.b", bad)


def test_domains_that_one_stack_would_serve_are_found() -> None:
    """Two domains that the cut makes one stack are seen before one destroys the other."""
    long = "a" * 45
    assert names.same_stack(f"{long}.b.org", f"{long}.c.org")
    assert not names.same_stack("a.b.org", "a.c.org")


def test_domains_of_runs() -> None:
    """Warm and cold domains follow the fixed patterns, and the cold one never has two hyphens in a row."""
    assert names.warm_domain("custom-html", "ci.example.org") == "warm-custom-html.ci.example.org"
    assert names.cold_domain("custom-html", "0a1b2c", "ci.example.org") == "cust-0a1b2c.ci.example.org"
    assert names.cold_domain("abc-d", "0a1b2c", "ci.example.org") == "abc-0a1b2c.ci.example.org"
    with pytest.raises(UsageError):
        names.cold_domain("abc", "../../", "ci.example.org")


def test_new_hex_differs() -> None:
    """Runs get names of six hex digits that differ."""
    found = {names.new_hex() for _ in range(50)}
    assert len(found) > 40
    assert all(len(text) == 6 and int(text, 16) >= 0 for text in found)
