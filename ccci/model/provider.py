"""A provider that is kept up for others: what is known of it, and what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar

import attrs

from ccci.model.version import Version, is_version

# "Manual migration", "migrate … manually", "manual database migration step": broad on purpose, since a hold costs
# an operator one look and a missed one costs data.
_BETWEEN = r"\b(?:[^.]|\.(?=\S)){0,120}?\b"  # within one sentence
_MANUAL = re.compile(rf"manual(?:ly)?{_BETWEEN}migrat|\bmigrat\w*{_BETWEEN}manual", re.IGNORECASE)


@attrs.frozen
class ProviderRecord:
    """last_good.json: the last version that passed its gate, and what is remembered of others.

    Attributes:
        schema: the form of this file.
        recipe, domain: of the provider.
        version, commit: of the release that passed last.
        failed: the version that was tried after it and rolled back, or empty.
        alerted: the last outcome that an alert was raised for, so that the next reconcile does not raise it again.
        updated: UTC time, ISO 8601.
    """

    SCHEMA: ClassVar[str] = "ccci.provider/1"
    schema: str
    recipe: str
    domain: str
    version: str
    commit: str
    failed: str = ""
    alerted: str = ""
    updated: str = ""


class Phase(str, Enum):
    """How far an upgrade got: what is to be done if it is interrupted there."""

    SNAPSHOT = "snapshot"  # the data are the old version's
    DEPLOY = "deploy"  # the snapshot is whole; the data may be the new version's


@attrs.frozen
class ReconcileJournal:
    """journal.json of a provider: the upgrade that is under way.

    Attributes:
        schema: the form of this file.
        run_id, who, started: whose it is.
        recipe, domain: of the provider.
        last_good, commit: the version to go back to.
        attempted: the version that is tried.
        phase: how far it got.
        secrets: names of the provider's swarm secrets before.
    """

    SCHEMA: ClassVar[str] = "ccci.reconcile/1"
    schema: str
    run_id: str
    who: str
    started: str
    recipe: str
    domain: str
    last_good: str
    commit: str
    attempted: str
    phase: Phase
    secrets: list[str] = attrs.field(factory=list)


class Action(str, Enum):
    """What a reconcile does."""

    INSTALL = "install"
    NOOP = "noop"
    REDEPLOY = "redeploy"
    UPGRADE = "upgrade"
    HOLD = "hold"


@attrs.frozen
class Decision:
    """What to do about a provider, and why.

    Attributes:
        action: what to do.
        outcome: what the result line says if it works out.
        before: the version that runs, or None.
        after: the version that it is about.
        notes: the release notes that are the reason of a hold, by version.
    """

    action: Action
    outcome: str
    before: Version | None
    after: Version
    notes: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Situation:
    """All that the decision depends on.

    Attributes:
        latest: the newest release.
        current: the version that runs or ran last, or None if there never was one.
        healthy: whether that one runs and passes its gate now.
        notes: release notes of the versions after `current` up to `latest`, by version.
        failed: a version that was rolled back before, or empty.
        allowed: the jump `A->B` that an operator released from its hold, or empty.
        retry: whether the operator wants what was rolled back to be tried again.
    """

    latest: Version
    current: Version | None
    healthy: bool
    notes: Mapping[str, str] = attrs.field(factory=dict)
    failed: str = ""
    allowed: str = ""
    retry: bool = False


def decide(now: Situation) -> Decision:
    """Decide what a reconcile does; touches nothing.

    A version below the one that runs is never deployed. Holds come before anything else that an upgrade would do.
    """
    before, after = now.current, now.latest
    if before is None:
        return Decision(Action.INSTALL, f"installed:{after}", None, after)
    if after <= before:
        if now.healthy:
            return Decision(Action.NOOP, "noop-healthy", before, before)
        return Decision(Action.REDEPLOY, f"redeployed:{before}", before, before)
    jump = f"{before}->{after}"
    kind, notes = _hold(now, before)
    if kind:
        return Decision(Action.HOLD, f"{kind}:{jump}", before, after, notes)
    return Decision(Action.UPGRADE, f"upgraded:{jump}", before, after)


def _hold(now: Situation, before: Version) -> tuple[str, Mapping[str, str]]:
    """Return why an upgrade is held, or an empty text, and the notes that an operator should read."""
    if now.allowed != f"{before}->{now.latest}":
        if before.major != now.latest.major or before.app_major != now.latest.app_major:
            return "held-major", now.notes
        if manual := {version: text for version, text in now.notes.items() if speaks_of_manual_migration(text)}:
            return "held-manual-migration", manual
    if now.failed == str(now.latest) and not now.retry:
        return "held-failed", {}
    return "", {}


def speaks_of_manual_migration(notes: str) -> bool:
    """Tell whether release notes speak of a migration by hand.

    Words in between, line breaks and either order count; a sentence that says that none is needed counts, too.
    """
    return _MANUAL.search(notes) is not None


def notes_between(files: Mapping[str, bytes], before: Version, after: Version) -> dict[str, str]:
    """Return the release notes of every version after `before` up to `after`, by version.

    Args:
        files: the tree of `after`, and of versions between where it lacks theirs.
        before: the version that runs.
        after: the version that is to come.
    """
    found: dict[str, str] = {}
    for path, content in sorted(files.items()):
        version = _noted(path)
        if version is not None and before < version <= after:
            text = content.decode("utf-8", "replace").strip()
            found[str(version)] = "\n".join(filter(None, [found.get(str(version), ""), text]))
    return found


def _noted(path: str) -> Version | None:
    """Return the version whose release notes a file is, if it is any's."""
    folder, _, name = path.rpartition("/")
    if folder == "releaseNotes":
        name = name.removesuffix(".md")
    elif folder != "release":
        return None
    return Version.parse(name) if is_version(name) else None
