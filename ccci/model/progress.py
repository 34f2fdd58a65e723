"""What a run that was asked for by a comment leaves for the bridge, besides its result. Pure values."""

from __future__ import annotations

import re
from typing import ClassVar

import attrs

from ccci.errors import UsageError
from ccci.model.names import shown
from ccci.model.run import StageResult

FOLDER = "triggers"  # in the results folder; in it a folder for each trigger, named by its token
VARIABLE = "CCCI_TRIGGER"
_TOKEN = re.compile(r"[0-9a-f]{32}")


@attrs.frozen
class RunProgress:
    """How far a run is: the stages that are over, and the step that is under way or empty."""

    SCHEMA: ClassVar[str] = "ccci.progress/1"
    schema: str = SCHEMA
    stages: list[StageResult] = attrs.field(factory=list)
    doing: str = ""


@attrs.frozen
class RunRefusal:
    """Why a run ended before it had a result."""

    SCHEMA: ClassVar[str] = "ccci.refusal/1"
    schema: str = SCHEMA
    what: str = ""
    hint: str = ""
    exit_code: int = 0


def trigger_token(text: str) -> str:
    """Check the token of a trigger.

    Raises:
        UsageError: it is none; it becomes a path.
    """
    if not _TOKEN.fullmatch(text):
        raise UsageError(f"{VARIABLE}: {shown(text)} is no token of a trigger", hint="the bridge sets it; unset it")
    return text
