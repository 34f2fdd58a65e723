"""Lets the bridge follow a run that a comment asked for, by files in the results folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from ccci.errors import CcciError, UsageError
from ccci.events import Event, Sink, StageEnded, StepStarted
from ccci.model import codec
from ccci.model.names import shown
from ccci.model.progress import FOLDER, VARIABLE, RunProgress, RunRefusal, trigger_token
from ccci.model.run import RunResult, StageResult

_PAUSE = 0.5  # seconds between two writes for steps: the bridge looks less often


def claim(environ: Mapping[str, str], results: Path) -> Path | None:
    """Take the trigger that the environment names: it is run once, however many builds there are for it.

    Args:
        environ: the environment variables.
        results: the folder for the results of runs.

    Returns:
        The folder for this run's files, now there; None if no comment asked for the run.

    Raises:
        UsageError: it has been run, or the folder cannot be made.
    """
    if not environ.get(VARIABLE):
        return None
    folder = results / FOLDER / trigger_token(environ[VARIABLE])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder / "claimed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(f"{environ.get('DRONE_BUILD_NUMBER', '')}\n")
    except FileExistsError:
        before = (folder / "claimed").read_text("utf-8", errors="replace").strip()
        raise UsageError(
            f"this comment's run was started by build {shown(before)} already",
            hint="for another run, write another comment",
        ) from None
    except OSError as error:
        raise UsageError(f"progress cannot be written to {folder}: {error}", hint="is `results` writable?") from error
    return folder


def progress_sink(folder: Path) -> Sink:
    """Return a sink that keeps `progress.json` in a folder up to date."""
    stages: list[StageResult] = []
    written = 0.0

    def sink(_: float, event: Event) -> None:
        nonlocal written
        now = time.monotonic()
        if isinstance(event, StageEnded):
            stages.append(event.result)
        elif not isinstance(event, StepStarted) or now - written < _PAUSE:
            return
        doing = event.name if isinstance(event, StepStarted) else ""
        _write(folder / "progress.json", codec.dump(RunProgress(stages=list(stages), doing=doing)))
        written = now

    return sink


def keep_result(folder: Path, result: RunResult) -> None:
    """Leave the result; without one, the bridge takes the run for errored, whatever else it hears."""
    _write(folder / "result.json", codec.dump(result))


def note_refusal(folder: Path, error: CcciError) -> None:
    """Leave word of an error that ended a run before it had a result."""
    refusal = RunRefusal(what=error.what, hint=error.hint or "", exit_code=error.exit_code)
    _write(folder / "refusal.json", codec.dump(refusal))


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        return  # a missing file is never taken for a pass
