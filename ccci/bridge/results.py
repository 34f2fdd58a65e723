"""What the run of a trigger has left in the results folder, which the bridge and the runner share."""

from __future__ import annotations

from pathlib import Path

from ccci.errors import StateUnreadable
from ccci.model import codec
from ccci.model.progress import FOLDER, RunProgress, RunRefusal, trigger_token
from ccci.model.run import RunResult

_LONGEST = 8 * 1024 * 1024  # bytes; a result of ours is a thousandth of that


def read_progress(results: Path, token: str) -> RunProgress | None:
    """Return how far the run of a trigger is; None if it has not said so (yet), or not readably."""
    try:
        text = _read(results, token, "progress.json")
        return codec.load(RunProgress, text, where="progress.json") if text else None
    except StateUnreadable:
        return None  # it is for the eye only; the verdict never comes from it


def read_result(results: Path, token: str) -> RunResult | None:
    """Return the result of the run of a trigger; None if there is none.

    Raises:
        StateUnreadable: there is one that cannot be read, which is no verdict.
    """
    text = _read(results, token, "result.json")
    return codec.load(RunResult, text, where="result.json") if text else None


def read_refusal(results: Path, token: str) -> RunRefusal | None:
    """Return why the run of a trigger ended without a result; None if it has not said so, or not readably."""
    try:
        text = _read(results, token, "refusal.json")
        return codec.load(RunRefusal, text, where="refusal.json") if text else None
    except StateUnreadable:
        return None


def _read(results: Path, token: str, name: str) -> str:
    path = results / FOLDER / trigger_token(token) / name
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise StateUnreadable(f"{path} is too long")
        return content.decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StateUnreadable(f"{path} cannot be read: {error}") from error
