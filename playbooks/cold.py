"""The cold lane."""

from ccci import (
    Mode,
    Run,
    Verdict,
    dependencies,
    deploy_fresh,
    ensure_deployed,
    health_gate,
    playbook,
    promote,
    providers_held,
    run_tests,
    skip_stage,
    stage,
    start_over,
    torn_down,
    upgrade_in_place,
)


@playbook(Mode.COLD)
def cold(run: Run) -> Verdict:
    """Install the head fresh, upgrade to it from the last release, test, and leave no trace (authoritative)."""
    with providers_held(run), torn_down(run) as app, dependencies(run, app):
        if run.wants("install"):
            run.expected_deploys += 1
            with stage(run, "install", note=run.head.version or run.head.short):
                deploy_fresh(app, run.head, run)
                health_gate(app, run)
                run_tests(app, "install", run)

        base = run.base
        if run.wants("upgrade") and base is None:
            skip_stage(run, "upgrade", because="no release is older than the head")
        elif run.wants("upgrade") and base is not None:
            run.expected_deploys += 1
            with stage(run, "upgrade", note=run.jump_from(base.version)):
                start_over(app, run)
                deploy_fresh(app, base, run)
                health_gate(app, run)
                upgrade_in_place(app, run.head, run)
                health_gate(app, run)
                run_tests(app, "upgrade", run)

        if run.wants("custom"):
            with stage(run, "custom"):
                ensure_deployed(app, run)
                run_tests(app, "custom", run)

    promote(run)
    return run.passed()
