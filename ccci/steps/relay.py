"""Alerts on their way to people: list them, send them, put away those that were delivered."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.clients.notify import read_addresses, send
from ccci.engine.run import HostRun
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import InfrastructureError, StateUnreadable, UsageError
from ccci.facts.warm import File, Folder
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.operations.record import moved

SEEN = paths.ALERTS / "seen"


@attrs.frozen
class Waiting:
    """Alerts that nobody got yet, oldest first, by file name; and what is wrong with files that are none."""

    alerts: dict[str, Alert]
    faults: list[str]


def waiting(session: Session, *, seen: bool = False) -> Waiting:
    """Read the alerts of the host: those that wait, or those that were delivered or acknowledged."""
    folder = SEEN if seen else paths.ALERTS
    names = [name for name in session.read(Folder, path=folder) if name.endswith(".json")]
    found = Waiting({}, [])
    for name in names:
        text = session.read(File, path=folder / name)
        if text is None:
            continue  # delivered this moment
        try:
            found.alerts[name] = codec.load(Alert, text, where=str(folder / name))
        except StateUnreadable as error:
            found.faults.append(error.what)
    return found


def relay(run: HostRun) -> None:
    """Send every alert that waits to every address of the settings; those delivered to all are put away.

    Raises:
        UsageError: the file of addresses is no good.
        InfrastructureError: an alert could not be delivered to somebody, or cannot be read; it stays.
    """
    session = run.session
    found = waiting(session)
    file = session.settings.alerts
    addresses = read_addresses(file) if file is not None else []
    if not addresses:
        where = f"no address in {file}" if file else "`alerts` in the settings names no file of addresses"
        run.summary.append(f"{len(found.alerts)} alert(s) wait: {where}" if found.alerts else "no alert waits")
        return
    failed = list(found.faults)
    for name, alert in found.alerts.items():
        failed += _deliver(session, name, alert, addresses)
    run.summary.append(f"{len(found.alerts) + len(found.faults) - len(failed)} alert(s) delivered, {len(failed)} not")
    if failed:
        raise InfrastructureError(
            f"{len(failed)} alert(s) were not delivered and stay: {failed[0]}",
            hint="`ccci alerts list` shows them; mend the address, and they are sent again",
            detail="\n".join(failed),
        )


@step("sending {1}")
def _deliver(session: Session, name: str, alert: Alert, addresses: list[str]) -> list[str]:
    failed = send(addresses, alert.title, message(alert))
    if failed:
        return [f"{name}: {', '.join(failed)}"]
    put_away(session, name)
    return []


def put_away(session: Session, name: str) -> None:
    """Move an alert to those that were seen.

    Raises:
        UsageError: no such alert waits.
    """
    if "/" in name or name not in session.read(Folder, path=paths.ALERTS):
        raise UsageError(f"no alert {name} waits", hint="`ccci alerts list` shows those that do")
    session.perform(moved, paths.ALERTS / name, to=SEEN / name)


def message(alert: Alert) -> str:
    """Return an alert as plain text for people."""
    parts = [alert.text]
    if alert.attempted or alert.last_good:
        recovered = {True: ", it serves", False: ", it is DOWN", None: ""}[alert.recovered]
        parts.append(f"tried: {alert.attempted or '-'}; last good: {alert.last_good or '-'}{recovered}")
    parts += [f"notes of {version}:\n{text}" for version, text in alert.notes.items()]
    parts += [f"what to do: {alert.todo}"] if alert.todo else []
    parts.append(f"host {alert.host}, {alert.raised}, run {alert.run_id}")
    return "\n\n".join(parts)
