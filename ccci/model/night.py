"""A night: what is tested where and in which order, what came of it, and whether one is overdue. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import ClassVar

import attrs

from ccci.model.run import Verdict

KEPT = 30  # nights whose results are kept
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
RED = (Verdict.FAILED, Verdict.ERRORED)


class Work(str, Enum):
    """What a night does: the field `work` of its rows."""

    RECONCILE = "reconcile"
    COLD = "cold"
    DRILL = "drill"


@attrs.frozen(kw_only=True)
class NightRow:
    """One piece of a night's work; docs/nightly.md describes each field."""

    work: Work
    recipe: str
    host: str
    verdict: Verdict
    version: str = ""
    run_id: str = ""
    seconds: float = 0.0
    finished: str = ""
    reason: str = ""

    @property
    def red(self) -> bool:
        """Whether somebody has to look at it."""
        return self.verdict in RED

    @property
    def proved(self) -> bool:
        """Whether something was tried and came to an end: not skipped."""
        return self.verdict is not Verdict.SKIPPED


@attrs.frozen(kw_only=True)
class Night:
    """nightly.json: what a night found out; docs/nightly.md describes each field."""

    SCHEMA: ClassVar[str] = "ccci.nightly/1"
    schema: str = "ccci.nightly/1"
    run_id: str
    hosts: list[str]
    verdict: Verdict
    reason: str = ""
    started: str
    finished: str
    seconds: float
    rows: list[NightRow]
    alerts: list[str] = attrs.field(factory=list)


def host_of(recipe: str, hosts: Collection[str]) -> str:
    """Return the host that tests a recipe, by rendezvous hashing.

    Each recipe ranks all hosts, so one that joins or leaves takes or gives its own recipes only.

    Args:
        recipe: the recipe's name.
        hosts: the names of all hosts that share the night, up or not. At least one.
    """
    return max(hosts, key=lambda host: (hashlib.sha256(f"{host}\0{recipe}".encode()).digest(), host))


def share(recipes: Iterable[str], hosts: Collection[str], host: str) -> tuple[str, ...]:
    """Return the recipes that are a host's to test."""
    return tuple(recipe for recipe in recipes if host_of(recipe, hosts) == host)


def oldest_first(recipes: Iterable[str], tested: Mapping[str, str]) -> list[str]:
    """Order recipes by their last result.

    Args:
        recipes: names.
        tested: when each was last tested by a night, UTC in ISO 8601; one that is missing never was.
    """
    return sorted(recipes, key=lambda recipe: (tested.get(recipe, ""), recipe))


def last_done(nights: Iterable[Night], work: Work) -> dict[str, str]:
    """Return when one kind of work last came to an end, by recipe."""
    found: dict[str, str] = {}
    for night in nights:
        for row in night.rows:
            if row.work is work and row.proved:
                found[row.recipe] = max(row.finished, found.get(row.recipe, ""))
    return found


def judge(rows: Sequence[NightRow], *, enrolled: int, mine: int) -> tuple[Verdict, str]:
    """Return the verdict of a night and, if it is red, why in one sentence.

    Args:
        rows: what was done.
        enrolled: how many recipes are enrolled at all.
        mine: how many of them are this host's to test.
    """
    if not enrolled:
        return Verdict.ERRORED, "no recipe is enrolled: a night that tests nothing proves nothing"
    red = [row for row in rows if row.red]
    if red:
        worst = next((row for row in red if row.verdict is Verdict.ERRORED), red[0])
        names = ", ".join(f"{row.work.value} {row.recipe}" for row in red)
        return worst.verdict, f"{len(red)} of {len(rows)} are red ({names}): {red[0].recipe}: {red[0].reason}"
    proved = sum(row.proved and row.work is not Work.RECONCILE for row in rows)
    if mine and not proved:
        return Verdict.ERRORED, "nothing was tested: every recipe was skipped, and no snapshot was tried"
    return Verdict.PASSED, ""


def newest_nights(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names of the nights' files that are kept, newest first, and those that go."""
    nights = sorted((name for name in names if name.endswith(".json") and name[:1].isdigit()), reverse=True)
    return nights[:KEPT], nights[KEPT:]


def overdue(last: str, *, now: str, max_age: float) -> bool:
    """Return whether a night is missing.

    Args:
        last: when the last night ended or, if there was none, since when one has been waited for. UTC, ISO 8601.
        now: the time now, in the same form.
        max_age: hours until it is missed.
    """
    return moment(now) - moment(last) > timedelta(hours=max_age)


def moment(text: str) -> datetime:
    """Read a UTC time in ISO 8601, as ccci writes it."""
    return datetime.strptime(text, _STAMP).replace(tzinfo=timezone.utc)


def table(rows: Sequence[NightRow]) -> list[str]:
    """Return the night as one table, a line a row, with a headline."""
    cells = [("work", "recipe", "host", "version", "verdict", "seconds", "why")]
    cells += [
        (
            row.work.value,
            row.recipe,
            row.host,
            row.version or "-",
            row.verdict.value,
            f"{row.seconds:.1f}" if row.proved else "-",
            row.reason.splitlines()[0] if row.reason else "",
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    right = 5
    return [
        "  ".join(
            [*(line[i].rjust(widths[i]) if i == right else line[i].ljust(widths[i]) for i in range(6)), line[6]]
        ).rstrip()
        for line in cells
    ]
