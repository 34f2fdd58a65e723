"""What a report says, worked out of what was found: plain values for the templates. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from ccci.model.alert import Alert
from ccci.model.run import RunResult
from ccci.report.collect import HostFindings, ProviderGlance
from ccci.report.runs import Mark, RunView, run_view
from ccci.report.text import amount, clean, log_lines, took, when_said
from ccci.steps.operator import Glance

HISTORY = 20  # runs in a recipe's strip
NIGHTS = 14
_RUN_ID = re.compile(r"\d{8}t\d{6}-[0-9a-f]{6}")


@attrs.frozen
class RecipeView:
    """One recipe on one host: what is known to be good, and its last runs (oldest first in `history`)."""

    name: str
    host: str
    known_good: str
    before: str
    status: Mark
    since: str
    cold: RunView | None
    quick: RunView | None
    history: Sequence[RunView]


@attrs.frozen
class NightView:
    """One night, with a row for each piece of its work."""

    id: str
    mark: Mark
    started: str
    took: str
    hosts: str
    reason: str
    rows: Sequence[dict[str, Any]]


@attrs.frozen
class Board:
    """The whole report."""

    hosts: Sequence[dict[str, Any]]
    recipes: Sequence[RecipeView]
    providers: Sequence[dict[str, Any]]
    alerts: Sequence[dict[str, Any]]
    nights: Sequence[NightView]
    runs: Sequence[RunView]
    faults: Sequence[str]


def make_board(findings: Sequence[HostFindings]) -> Board:
    """Put together what was found on several hosts and here; of a run that was found twice the first counts."""
    results: dict[str, RunResult] = {}
    nights: dict[str, dict[str, Any]] = {}
    for found in findings:
        results = {result.run_id: result for result in found.results if _RUN_ID.fullmatch(result.run_id)} | results
        nights = {str(night.get("run_id")): night for night in found.nights} | nights
    runs = [run_view(results[run_id]) for run_id in sorted(results, reverse=True)]
    pages = {run.id for run in runs}
    hosts = [found for found in findings if found.name]
    return Board(
        hosts=[_host(found) for found in hosts],
        recipes=_recipes(hosts, runs),
        providers=[_provider(found.name, glance) for found in hosts for glance in found.providers],
        alerts=[_alert(alert, found.name) for found in hosts for alert in found.alerts.values()],
        nights=[_night(nights[name], pages) for name in sorted(nights, reverse=True)[:NIGHTS]],
        runs=runs,
        faults=[clean(fault) for found in findings for fault in found.faults],
    )


def _recipes(hosts: Sequence[HostFindings], runs: Sequence[RunView]) -> list[RecipeView]:
    glances = {(found.name, g.record.recipe): g for found in hosts for g in found.canonicals}
    lanes = [run for run in runs if run.lane in ("cold", "quick")]
    names = sorted({*glances, *((run.host, run.recipe) for run in lanes)}, key=lambda pair: (pair[1], pair[0]))
    return [_recipe(host, name, glances.get((host, name)), lanes) for host, name in names]


def _recipe(host: str, name: str, glance: Glance | None, lanes: Iterable[RunView]) -> RecipeView:
    own = [run for run in lanes if (run.host, run.recipe) == (host, name)]
    record = glance.record if glance else None
    return RecipeView(
        name=clean(name),
        host=clean(host),
        known_good=clean(record.version) if record else "",
        before=clean(record.previous.version) if record and record.previous else "",
        status=Mark(
            "in use" if glance and glance.holder is not None else record.status.value if record else "none yet"
        ),
        since=when_said(record.updated) if record else "",
        cold=next((run for run in own if run.lane == "cold" and not run.ref), None),
        quick=next((run for run in own if run.lane == "quick"), None),
        history=own[:HISTORY][::-1],
    )


def _host(found: HostFindings) -> dict[str, Any]:
    return {
        "name": clean(found.name),
        "error": clean(found.error),
        "docker": clean(found.docker),
        "disk": f"{amount(found.free)} of {amount(found.size)} free" if found.size else "",
        "low": bool(found.size) and found.free < found.size * 0.1,
    }


def _provider(host: str, glance: ProviderGlance) -> dict[str, Any]:
    up = glance.services and glance.up == glance.services
    word = (
        "being reconciled"
        if glance.holder is not None
        else "up"
        if up
        else "down"
        if glance.services
        else "not deployed"
    )
    record = glance.record
    return {
        "recipe": clean(glance.recipe),
        "host": clean(host),
        "domain": clean(glance.domain),
        "mark": Mark(word),
        "services": f"{glance.up} of {glance.services}",
        "version": clean(record.version) if record else "",
        "failed": clean(record.failed) if record else "",
        "since": when_said(record.updated) if record else "",
    }


def _alert(alert: Alert, host: str) -> dict[str, Any]:
    return {
        "title": clean(alert.title),
        "kind": clean(alert.kind),
        "host": clean(alert.host or host),
        "raised": when_said(alert.raised),
        "todo": clean(alert.todo),
        "log": log_lines(alert.text),
    }


def _night(night: dict[str, Any], pages: set[str]) -> NightView:
    """Return a night as it is shown; of what is not of the form that we know, as much as there is."""
    hosts = night.get("hosts")
    seconds = night.get("seconds")
    return NightView(
        id=clean(night.get("run_id", "")),
        mark=Mark(clean(night.get("verdict", "?"))),
        started=when_said(str(night.get("started", ""))),
        took=took(seconds) if isinstance(seconds, (int, float)) else "",
        hosts=", ".join(map(clean, hosts)) if isinstance(hosts, list) else "",
        reason=clean(night.get("reason", "")),
        rows=[_row(row, pages) for row in night["rows"]],
    )


def _row(row: dict[str, Any], pages: set[str]) -> dict[str, Any]:
    seconds, run_id = row.get("seconds"), str(row.get("run_id", ""))
    return {
        **{key: clean(row.get(key, "")) for key in ("work", "recipe", "host", "version", "reason")},
        "mark": Mark(clean(row.get("verdict", "?"))),
        "took": took(seconds) if isinstance(seconds, (int, float)) and seconds else "",
        "page": f"runs/{run_id}.html" if run_id in pages else "",
    }
