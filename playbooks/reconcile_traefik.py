"""The proxy in front of everything."""

from ccci import Mode, Run, Verdict, playbook, reconcile


@playbook(Mode.RECONCILE, recipe="traefik")
def reconcile_traefik(run: Run) -> Verdict:
    """Keep the proxy at its newest release; roll its version back if it does not start or does not route."""
    return reconcile(run)
