"""From what the cold lane upgrades."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccci.model.app import canonical_app
from ccci.model.canonical import Canonical, CanonicalRecord, Manifest, Status
from ccci.model.recipe import Recipe, RecipeMeta
from ccci.model.run import Release
from ccci.model.version import Version
from ccci.steps.head import Source, choose_base

TAGS = {"1.0.0+6.1": "a" * 40, "1.1.0+6.2": "b" * 40, "1.2.0+6.3": "c" * 40}
RELEASES = {Version.parse(v): Release(commit, v, released=True) for v, commit in TAGS.items()}
SOURCE = Source(Recipe("blog", Path("blog"), RecipeMeta("blog"), None), RELEASES)
NEW = "d" * 40


def known(version: str) -> Canonical:
    """Return a canonical that is known-good at a version."""
    app = canonical_app("blog", "example.com")
    commit = TAGS.get(version, "e" * 40)
    manifest = Manifest(Manifest.SCHEMA, "blog", version, commit, "", {})
    record = CanonicalRecord(
        schema=CanonicalRecord.SCHEMA, recipe="blog", domain=app.domain, version=version, commit=commit,
        status=Status.IDLE, snapshot=manifest.digest, secrets=[], updated="",
    )  # fmt: skip
    return Canonical(app, record, manifest)


@pytest.mark.parametrize(
    ("head", "good", "base"),
    [
        (RELEASES[Version.parse("1.2.0+6.3")], None, "1.1.0+6.2"),
        (RELEASES[Version.parse("1.2.0+6.3")], "1.0.0+6.1", "1.0.0+6.1"),
        (RELEASES[Version.parse("1.1.0+6.2")], "1.2.0+6.3", "1.0.0+6.1"),
        (Release(NEW, "1.2.0+6.3", released=False), "1.2.0+6.3", "1.2.0+6.3"),
        (Release(NEW, "", released=False), "1.1.0+6.2", "1.1.0+6.2"),
        (Release(NEW, "", released=False), None, "1.2.0+6.3"),
        (RELEASES[Version.parse("1.2.0+6.3")], "1.1.5+6.2", "1.1.0+6.2"),
    ],
    ids=["no-canonical", "known-good", "known-good-is-newer", "unreleased", "unnamed", "unnamed-cold", "withdrawn"],
)
def test_an_upgrade_comes_from_known_good(head: Release, good: str | None, base: str) -> None:
    """From known-good, unless that is newer than the head or no release any more; else from the newest older one."""
    found, why = choose_base(SOURCE, head, known(good) if good else None)
    assert found is not None
    assert (found.version, why) == (base, "")


@pytest.mark.parametrize(
    ("head", "good", "why"),
    [
        (RELEASES[Version.parse("1.2.0+6.3")], "1.2.0+6.3", "known-good 1.2.0+6.3 itself"),
        (Release(NEW, "1.2.0+6.3", released=True), "1.2.0+6.3", "known-good 1.2.0+6.3 itself"),
        (RELEASES[Version.parse("1.0.0+6.1")], None, "no release is older"),
    ],
    ids=["known-good", "moved-tag", "first"],
)
def test_nothing_is_upgraded_from_a_version_to_itself(head: Release, good: str | None, why: str) -> None:
    """A head that is known-good has no base, and neither has the first release; the reason is told."""
    found, said = choose_base(SOURCE, head, known(good) if good else None)
    assert found is None
    assert why in said
