"""Raise an alert: write it where it is kept until somebody has got it."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.engine.session import Session, utc_now
from ccci.facts.warm import Folder
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.operations.record import file_written

HOST = "host"  # what an alert is about that is about no recipe


def raise_in(session: Session, alert: Alert) -> None:
    """Write an alert to the host, with this run and the time in it, and name it in the run's result."""
    whole = attrs.evolve(alert, host=session.host_settings.name, raised=utc_now(), run_id=session.run_id)
    session.perform(file_written, paths.ALERTS / whole.filename, text=codec.dump(whole), mode="0600")
    session.alerts.append(whole.filename)


def raise_once(session: Session, alert: Alert) -> None:
    """Raise an alert, unless one of that kind about the same thing still waits for somebody."""
    tail = f"-{alert.app}-{alert.kind}.json"
    if not any(name.endswith(tail) for name in session.read(Folder, path=paths.ALERTS)):
        raise_in(session, alert)
