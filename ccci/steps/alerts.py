"""Raise an alert from a playbook."""

from __future__ import annotations

from ccci.engine.alerts import raise_in
from ccci.engine.run import HostRun
from ccci.model.alert import Alert


def raise_alert(run: HostRun, alert: Alert) -> None:
    """Write an alert to the host, with this run and the time in it, and name it in the run's result."""
    raise_in(run.session, alert)
