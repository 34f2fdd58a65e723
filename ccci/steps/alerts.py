"""Raise an alert: write it where it is kept until somebody has got it."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.engine.run import HostRun
from ccci.engine.session import utc_now
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.operations.record import file_written


def raise_alert(run: HostRun, alert: Alert) -> None:
    """Write an alert to the host, with this run and the time in it, and name it in the run's result."""
    session = run.session
    whole = attrs.evolve(alert, host=session.host_settings.name, raised=utc_now(), run_id=session.run_id)
    session.perform(file_written, paths.ALERTS / whole.filename, text=codec.dump(whole), mode="0600")
    run.alerts.append(whole.filename)
