"""The cold lane."""

from ccci import (
    App,
    Mode,
    Run,
    Verdict,
    back_up,
    backup_missing,
    dependencies,
    deploy_fresh,
    ensure_deployed,
    health_gate,
    lose_data,
    playbook,
    promote,
    providers_held,
    rehearse_rollback,
    restore_backup,
    run_hook,
    run_tests,
    skip_stage,
    stage,
    start_over,
    torn_down,
    upgrade_in_place,
)


@playbook(Mode.COLD)
def cold(run: Run) -> Verdict:
    """Install the head fresh, upgrade to it, back it up, restore it, test, and leave no trace (authoritative)."""
    with providers_held(run), torn_down(run) as app, dependencies(run, app):
        if run.wants("install"):
            run.expected_deploys += 1
            with stage(run, "install", note=run.head.version or run.head.short):
                deploy_fresh(app, run.head, run)
                health_gate(app, run)
                run_tests(app, "install", run)
        if run.wants("upgrade"):
            upgrade(run, app)
        if run.wants("backup"):
            backup_and_restore(run, app)
        if run.wants("custom"):
            with stage(run, "custom"):
                ensure_deployed(app, run)
                run_tests(app, "custom", run)
        rehearse_rollback(app, run)

    promote(run)
    return run.passed()


def upgrade(run: Run, app: App) -> None:
    """Bring the base up, put data in, and upgrade it to the head."""
    if run.base is None:
        skip_stage(run, "upgrade", because=run.no_base)
        return
    run.expected_deploys += 1
    with stage(run, "upgrade", note=run.jump_from(run.base.version)):
        start_over(app, run)
        deploy_fresh(app, run.base, run)
        health_gate(app, run)
        run_hook(app, "upgrade", run)
        upgrade_in_place(app, run.head, run)
        health_gate(app, run)
        run_tests(app, "upgrade", run)


def backup_and_restore(run: Run, app: App) -> None:
    """Back the head up as its labels say, lose all its data, and bring them back."""
    missing = backup_missing(app, run)
    if missing:
        skip_stage(run, "backup", because=missing)
    else:
        with stage(run, "backup"):
            ensure_deployed(app, run)
            run_hook(app, "backup", run)
            back_up(app, run)
            run_tests(app, "backup", run)
    if run.wants("restore") and missing:
        skip_stage(run, "restore", because=missing)
    elif run.wants("restore"):
        with stage(run, "restore"):
            lose_data(app, run)
            health_gate(app, run)
            run_hook(app, "restore", run)
            restore_backup(app, run)
            health_gate(app, run)
            run_tests(app, "restore", run)
