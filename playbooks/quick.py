"""The quick lane."""

from ccci import (
    Mode,
    Run,
    Verdict,
    app_locked,
    dependencies,
    deploy_canonical,
    health_gate,
    known_good_kept,
    playbook,
    providers_held,
    run_hook,
    run_tests,
    stage,
    upgrade_in_place,
)


@playbook(Mode.QUICK)
def quick(run: Run) -> Verdict:
    """Upgrade the recipe's warm data to the head, test it, and put everything back (lower confidence)."""
    if run.canonical is None:
        return run.fall_back("cold", because=f"{run.recipe.name} has no canonical yet")

    run.expected_deploys = 1
    with (
        providers_held(run),
        app_locked(run.canonical, run) as app,
        dependencies(run, app),
        known_good_kept(run.canonical, run),
    ):
        with stage(run, "upgrade", note=run.jump_from(run.canonical.known_good)):
            deploy_canonical(app, run)
            health_gate(app, run)
            run_hook(app, "upgrade", run)
            upgrade_in_place(app, run.head, run)
            health_gate(app, run)
            run_tests(app, "upgrade", run)
        if run.wants("custom"):
            with stage(run, "custom"):
                run_tests(app, "custom", run)
    return run.passed()
