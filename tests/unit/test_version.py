"""Versions of recipes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.errors import UsageError
from ccci.model.version import Version, is_version, newest, newest_before

ORDERED = [
    "0.9.0+1.0",
    "1.0.0-alpha+9",
    "1.0.0-alpha.1+1",
    "1.0.0-rc.2+1",
    "1.0.0-rc.10+1",
    "1.0.0+1.0-rc1",
    "1.0.0+1.0",
    "1.0.0+1.2.9",
    "1.0.0+1.2.10",
    "1.0.0+v1.3",
    "1.0.0+2023-05-01",
    "1.2.0+1",
    "1.10.0+0.1",
    "10.0.0+0.0.1",
]


def test_versions_are_ordered_as_people_read_them() -> None:
    """Recipe first and by number, prereleases below their release, then the app by number."""
    shuffled = ORDERED.copy()
    random.Random(1).shuffle(shuffled)  # noqa: S311 - a fixed order, not a secret
    assert [str(v) for v in sorted(Version.parse(text) for text in shuffled)] == ORDERED


@given(st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-rc[1-9])?\+[0-9A-Za-z][0-9A-Za-z._-]{0,20}", fullmatch=True))
def test_text_comes_back(text: str) -> None:
    """A version gives back exactly the tag it was read from."""
    if is_version(text):
        assert str(Version.parse(text)) == text
        assert Version.parse(text) == Version.parse(text)


@given(st.text())
def test_only_our_error(text: str) -> None:
    """Whatever a tag is called, reading it raises UsageError or nothing."""
    try:
        Version.parse(text)
    except UsageError:
        assert not is_version(text)


@pytest.mark.parametrize("text", ["", "1.0", "1.0.0", "v1.0.0+1", "1.0.0+", "01.0.0+1", "1.0.0+1 ", "1.0.0+1/2", "+1"])
def test_what_is_no_version(text: str) -> None:
    """Branches, plain tags of the app and near misses are no versions."""
    assert not is_version(text)


def test_newest() -> None:
    """The newest release is found among anything, and a prerelease only counts if asked for."""
    tags = ["main", "1.9.0+2", "1.10.0+1", "2.0.0-rc1+3", "1.26.3"]
    assert str(newest(tags)) == "1.10.0+1"
    assert str(newest(tags, prereleases=True)) == "2.0.0-rc1+3"
    assert newest(["main"]) is None


def test_newest_before() -> None:
    """The version an operator upgrades from is the newest release strictly below."""
    tags = ["1.9.0+2", "1.10.0+1", "1.10.0-rc1+1", "2.0.0+3"]
    assert str(newest_before(tags, Version.parse("1.10.0+1"))) == "1.9.0+2"
    assert str(newest_before(tags, Version.parse("2.0.0+2"))) == "1.10.0+1"
    assert newest_before(tags, Version.parse("1.9.0+2")) is None


def test_parts() -> None:
    """The parts that decide about work for the operator can be read."""
    version = Version.parse("12.1.0-rc1+v3")
    assert (version.recipe, version.app, version.major, version.is_prerelease) == (
        "12.1.0-rc1",
        "v3",
        12,
        True,
    )
