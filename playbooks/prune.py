"""Room on the host."""

from ccci import HostRun, Mode, Verdict, find_unneeded, playbook, remove_unneeded


@playbook(Mode.HOST, heeds_dry_run=True)
def prune(run: HostRun) -> Verdict:
    """Remove what no enrolled recipe needs: images, canonicals after their grace, old results, what dead runs left."""
    remove_unneeded(run, find_unneeded(run))
    return run.passed()
