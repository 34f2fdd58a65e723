"""Tests of a pull request: code of a stranger, which runs here only if the settings say so."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ccci.engine.run import Run
from ccci.model.localtests import find_tests


def bring_local_tests(run: Run) -> None:
    """Write the tests that a pull request brings into a folder of this machine, if its recipe may bring any.

    Else the run says that they are not run. They are written only; the folder is the run's, and goes with it.

    Raises:
        UsageError: their names are none.
    """
    if not run.request.pull_request:
        return
    found = find_tests(run.files[run.head.commit])
    if not found:
        return
    if run.recipe.name not in run.session.settings.local_tests:
        run.session.say(
            f"the pull request's own tests ({len(found)} files) were NOT run: {run.recipe.name} is not in local_tests",
            keep=True,
        )
        return
    folder = Path(tempfile.mkdtemp(prefix="ccci-local-tests-"))
    try:
        for path, content in sorted(found.items()):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run.local_tests = folder
