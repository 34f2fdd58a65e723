"""After a crash, or by timer."""

from ccci import HostRun, Mode, Verdict, playbook, recover_all, watch_nights


@playbook(Mode.HOST)
def recover(run: HostRun) -> Verdict:
    """Put right what dead runs have left on the host: canonicals, cold apps, realms; live runs are left alone."""
    watch_nights(run)
    recover_all(run)
    return run.passed()
