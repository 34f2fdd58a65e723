"""Read what a report shows: from a host over one connection, and from the results of this machine. Changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from ccci import paths
from ccci.engine.session import Session
from ccci.errors import CcciError, StateUnreadable
from ccci.facts.docker import DockerEngine, Stack
from ccci.facts.results import StoredResults
from ccci.facts.system import DiskSpace
from ccci.facts.warm import File, Folder, Lock
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.model.enrolment import providers_in
from ccci.model.night import KEPT, newest_nights
from ccci.model.provider import ProviderRecord
from ccci.model.run import RunResult
from ccci.steps.keeping import read_last_good
from ccci.steps.operator import Glance, list_canonicals
from ccci.steps.relay import waiting


@attrs.frozen
class ProviderGlance:
    """A provider: what is remembered of it (None before its first reconcile), its services that are up, its holder."""

    recipe: str
    domain: str
    record: ProviderRecord | None
    up: int
    services: int
    holder: str | None


@attrs.define
class HostFindings:
    """All that a report shows of one host.

    Attributes:
        name: the host's name in the settings.
        error: why it could not be read, or empty.
        docker: version of its engine.
        free, size: of the disk below Docker, in bytes.
        canonicals, providers, alerts: what there is now; alerts by file name.
        results: of its runs, newest first.
        nights: nightly.json as it was read, newest first.
        faults: what could not be read, a sentence each.
    """

    name: str
    error: str = ""
    docker: str = ""
    free: int = 0
    size: int = 0
    canonicals: list[Glance] = attrs.field(factory=list)
    providers: list[ProviderGlance] = attrs.field(factory=list)
    alerts: dict[str, Alert] = attrs.field(factory=dict)
    results: list[RunResult] = attrs.field(factory=list)
    nights: list[dict[str, Any]] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)


def read_host(session: Session, *, newest: int) -> HostFindings:
    """Read a host.

    Args:
        session: the connection.
        newest: how many runs at most.

    Returns:
        What was found; a part that cannot be read is a fault in it, and the rest is there.
    """
    found = HostFindings(session.host_settings.name)
    for part in (_engine, _canonicals, _providers, _alerts, _nights):
        try:
            part(session, found)
        except CcciError as error:
            found.faults.append(error.what)
    texts = session.read(StoredResults, newest=newest)
    found.results, faults = _results(texts)
    found.faults += faults
    return found


def _engine(session: Session, found: HostFindings) -> None:
    engine = session.read(DockerEngine)
    disk = session.read(DiskSpace, path=engine.root)
    found.docker, found.free, found.size = engine.version, disk.free, disk.size


def _canonicals(session: Session, found: HostFindings) -> None:
    glances, faults = list_canonicals(session)
    found.canonicals = glances
    found.faults += faults


def _providers(session: Session, found: HostFindings) -> None:
    for recipe in providers_in(session.settings.recipes):
        app = recipe.app_at(session.host_settings.base_domain)
        state = session.read(Stack, stack=app.stack)
        running = {task.service for task in state.tasks if task.state == "running" and task.desired == "running"}
        record, holder = read_last_good(session, app), session.read(Lock, home=app.home).holder
        up = sum(service.id in running for service in state.services)
        found.providers.append(ProviderGlance(recipe.name, app.domain, record, up, len(state.services), holder))


def _alerts(session: Session, found: HostFindings) -> None:
    those = waiting(session)
    found.alerts = those.alerts
    found.faults += those.faults


def _nights(session: Session, found: HostFindings) -> None:
    there = session.read(Folder, path=paths.NIGHTS)
    for name in newest_nights(there)[0]:
        night = _night(session.read(File, path=paths.NIGHTS / name) or "")
        if night is None:
            found.faults.append(f"{paths.NIGHTS / name} is no result of a night")
        else:
            found.nights.append(night)


def _night(text: str) -> dict[str, Any] | None:
    """Return a night as it was written; None if the text is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    rows = data.get("rows") if isinstance(data, dict) else None
    return data if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _results(texts: dict[str, str]) -> tuple[list[RunResult], list[str]]:
    results, faults = [], []
    for run_id, text in texts.items():
        try:
            result = codec.load(RunResult, text, where=f"the result of run {run_id}")
        except StateUnreadable as error:
            faults.append(error.what.splitlines()[0])
            continue
        if result.run_id == run_id:
            results.append(result)
        else:
            faults.append(f"the result in the folder {run_id} says that it is of another run")
    return results, faults


def read_here(folder: Path, *, newest: int) -> HostFindings:
    """Read the results that this machine keeps, in the form of a host without a name.

    Args:
        folder: the setting `results`; one that does not exist is empty.
        newest: how many runs at most.
    """
    found = HostFindings("")
    places = sorted((path for path in folder.glob("*/result.json") if path.is_file()), reverse=True)[:newest]
    texts = {path.parent.name: path.read_text("utf-8", errors="replace") for path in places}
    found.results, found.faults = _results(texts)
    nights = sorted((path for path in folder.glob("*/nightly.json") if path.is_file()), reverse=True)[:KEPT]
    read = [_night(path.read_text("utf-8", errors="replace")) for path in nights]
    found.nights = [night for night in read if night is not None]
    return found
