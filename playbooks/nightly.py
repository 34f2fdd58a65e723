"""Every night, by timer, with nobody watching."""

from ccci import HostRun, Mode, Verdict, night, playbook, reconcile_providers, rehearse_restores, sweep_recipes


@playbook(Mode.HOST, heeds_dry_run=True, by_group=True)
def nightly(run: HostRun) -> Verdict:
    """Bring providers up to date, test every enrolled recipe cold, prove that every snapshot can be restored."""
    with night(run) as tonight:
        reconcile_providers(tonight)
        sweep_recipes(tonight)
        rehearse_restores(tonight)
    return tonight.verdict()
