"""What ccci has to say to people."""

from ccci import HostRun, Mode, Verdict, playbook, relay, watch_nights


@playbook(Mode.HOST)
def relay_alerts(run: HostRun) -> Verdict:
    """Send the host's alerts to the configured addresses; one that was not delivered stays."""
    watch_nights(run)
    relay(run)
    return run.passed()
