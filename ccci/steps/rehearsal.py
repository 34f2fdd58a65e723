"""Would an operator get back to the old version, on data that the new one has changed? Information, never a verdict."""

from __future__ import annotations

import time

from ccci.engine.run import Run
from ccci.engine.steps import step
from ccci.errors import ComposeError, RecipeFailed
from ccci.model.app import App
from ccci.model.run import Release, StageResult, StageStatus
from ccci.steps.app import health_gate, upgrade_in_place
from ccci.steps.stages import end_stage

STAGE = "rollback"


def rehearse_rollback(app: App, run: Run) -> None:
    """Deploy the base over the upgraded app and say whether it starts and serves, if the recipe wants to know that.

    It comes last, since whatever the old version does to the data must disturb no other stage. Only what is the
    recipe's doing is an answer; a host that fails is an error here as everywhere.
    """
    if not run.recipe.meta.rehearse_rollback or run.base is None or run.version_before != run.base.version:
        return
    start = time.monotonic()
    try:
        go_back(app, run.base, run)
        health_gate(app, run)
        said = f"{run.base.version} starts on the data of {run.version_after}"
    except (RecipeFailed, ComposeError) as error:
        said = f"{run.base.version} does NOT start on the data of {run.version_after}: {error.what.splitlines()[0]}"
    end_stage(run, StageResult(STAGE, StageStatus.INFO, round(time.monotonic() - start, 1), [], said))


@step("rehearsing a rollback of {0.domain} to {1.version}")
def go_back(app: App, to: Release, run: Run) -> None:
    """Deploy the older version over the running one, on its data."""
    upgrade_in_place(app, to, run)
