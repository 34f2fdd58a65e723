"""The pure decisions of a night: who tests what, in which order, what it comes to, and whether one is missing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.model import codec
from ccci.model.night import (
    KEPT,
    Night,
    NightRow,
    Work,
    host_of,
    judge,
    last_done,
    newest_nights,
    oldest_first,
    overdue,
    share,
    table,
)
from ccci.model.run import Verdict

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
RECIPES = st.lists(NAMES, unique=True, max_size=30)
HOSTS = st.lists(NAMES, unique=True, min_size=1, max_size=6)
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
TIMES = st.integers(0, 10**8).map(lambda s: (BEGIN + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ"))


def row(verdict: Verdict = Verdict.PASSED, work: Work = Work.COLD, **more: Any) -> NightRow:
    """Return a row of custom-html."""
    return attrs.evolve(NightRow(work=work, recipe="custom-html", host="a", verdict=verdict), **more)


def night(*rows: NightRow) -> Night:
    """Return a night of some rows."""
    return Night(
        run_id="20260101t000000-aaaaaa",
        hosts=["a"],
        verdict=Verdict.PASSED,
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T01:00:00Z",
        seconds=3600.0,
        rows=list(rows),
    )


@given(RECIPES, HOSTS)
def test_every_recipe_has_one_host(recipes: list[str], hosts: list[str]) -> None:
    """The shares of all hosts together are all recipes, each once, in whatever order the hosts are named."""
    shares = [share(recipes, hosts, host) for host in hosts]
    assert sorted(recipe for part in shares for recipe in part) == sorted(recipes)
    assert [share(recipes, hosts[::-1], host) for host in hosts] == shares


@given(RECIPES, HOSTS, NAMES)
def test_a_host_that_leaves_moves_only_its_own_recipes(recipes: list[str], hosts: list[str], new: str) -> None:
    """With one host more or less, a recipe stays where it was, unless that host is its own."""
    for recipe in recipes:
        more = host_of(recipe, {*hosts, new})
        assert more in (host_of(recipe, hosts), new)


def test_shares_are_about_even() -> None:
    """Two hosts get about half of the recipes each."""
    recipes = [f"recipe-{i}" for i in range(1000)]
    assert 400 < len(share(recipes, ["ci", "ci2"], "ci")) < 600


@given(RECIPES, st.dictionaries(NAMES, TIMES))
def test_the_oldest_result_is_first(recipes: list[str], tested: dict[str, str]) -> None:
    """What was never tested is first, then what was tested longest ago; nothing is lost."""
    ordered = oldest_first(recipes, tested)
    assert sorted(ordered) == sorted(recipes)
    times = [tested.get(recipe, "") for recipe in ordered]
    assert times == sorted(times)


def test_a_skipped_recipe_was_not_tested() -> None:
    """Only what came to an end counts as a result, and the newest does; a drill is no test of a recipe."""
    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    nights = [
        night(row(finished=new, verdict=Verdict.FAILED), row(work=Work.DRILL, recipe="b", finished=new)),
        night(row(finished=old), row(Verdict.SKIPPED, recipe="c", finished=new)),
    ]
    assert last_done(nights, Work.COLD) == {"custom-html": new}


@given(st.lists(st.sampled_from(list(Verdict)), max_size=8), st.integers(1, 9), st.integers(0, 9))
def test_a_red_row_makes_the_night_red(verdicts: list[Verdict], enrolled: int, mine: int) -> None:
    """A night with a red row is red, and one without a test of what is its own is, too; none else."""
    rows = [row(verdict) for verdict in verdicts]
    verdict, reason = judge(rows, enrolled=enrolled, mine=mine)
    red = any(r.red for r in rows) or (mine > 0 and not any(r.proved for r in rows))
    assert (verdict is not Verdict.PASSED) == red == bool(reason)
    assert not red or verdict in (Verdict.FAILED, Verdict.ERRORED)


def test_no_enrolled_recipe_is_red() -> None:
    """A night over nothing is red, whatever else went well."""
    verdict, reason = judge([row(work=Work.DRILL)], enrolled=0, mine=0)
    assert verdict is Verdict.ERRORED
    assert "no recipe is enrolled" in reason


def test_a_reconcile_is_no_test() -> None:
    """Providers up to date and every recipe passed over: nothing was tested."""
    verdict, _ = judge([row(work=Work.RECONCILE), row(Verdict.SKIPPED)], enrolled=1, mine=1)
    assert verdict is Verdict.ERRORED


def test_the_first_red_row_is_the_reason() -> None:
    """The sentence counts and names what is red; an error of ours weighs more than a recipe's fault."""
    rows = [row(), row(Verdict.FAILED, recipe="b", reason="no"), row(Verdict.ERRORED, recipe="c", reason="disk")]
    verdict, reason = judge(rows, enrolled=3, mine=3)
    assert (verdict, reason) == (Verdict.ERRORED, "2 of 3 are red (cold b, cold c): b: no")


@given(st.integers(0, 80))
def test_thirty_nights_are_kept(count: int) -> None:
    """The newest thirty are kept, newest first; what is no night's result is not touched."""
    names = [f"202601{i:02}t000000-aaaaaa.json" for i in range(count)]
    kept, gone = newest_nights(["lock", "overdue.json", *names])
    assert len(kept) == min(count, KEPT)
    assert sorted([*kept, *gone]) == sorted(names)
    assert not kept or not gone or min(kept) > max(gone)


@pytest.mark.parametrize(("now", "missing"), [("2026-01-02T05:59:59Z", False), ("2026-01-02T06:00:01Z", True)])
def test_a_night_is_missed_after_its_age(now: str, missing: bool) -> None:
    """A night is missed a second after its greatest age, and not a second before."""
    assert overdue("2026-01-01T00:00:00Z", now=now, max_age=30) is missing


def test_the_table_has_a_line_a_row() -> None:
    """Columns are aligned, the reason is last and one line, and what was skipped took no time."""
    rows = [
        row(version="1.11.0+1.26.3", seconds=12.34),
        row(Verdict.SKIPPED, recipe="b", reason="known-good already\nand more"),
    ]
    assert table(rows) == [
        "work  recipe       host  version        verdict  seconds  why",
        "cold  custom-html  a     1.11.0+1.26.3  passed      12.3",
        "cold  b            a     -              skipped        -  known-good already",
    ]


def test_nightly_json_comes_back_as_it_was() -> None:
    """What is written is read as the same value."""
    value = night(row(reason="x", run_id="r"))
    assert codec.load(Night, codec.dump(value), where="nightly.json") == value
