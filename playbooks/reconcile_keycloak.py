"""The live Keycloak."""

from ccci import Mode, Run, Verdict, playbook, reconcile


@playbook(Mode.RECONCILE, recipe="keycloak")
def reconcile_keycloak(run: Run) -> Verdict:
    """Keep the live Keycloak at its newest release; roll data and version back if it does not become healthy."""
    return reconcile(run)
