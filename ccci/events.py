"""What happens in a run, as values: one stream, several sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

import attrs

from ccci.model.redact import without
from ccci.model.run import RunResult, StageResult, StepResult


@attrs.frozen
class StepStarted:
    """A step begins."""

    name: str


@attrs.frozen
class StepEnded:
    """A step is over, well or badly."""

    result: StepResult
    error: str = ""


@attrs.frozen
class Waiting:
    """A step waits for something; sent when the reason changes, not at every look."""

    what: str


@attrs.frozen
class Note:
    """A sentence for the reader that the summary repeats if `keep` is true."""

    text: str
    keep: bool = False


@attrs.frozen
class Output:
    """One line that a test process printed."""

    line: str


@attrs.frozen
class StageEnded:
    """A stage is over."""

    result: StageResult


@attrs.frozen
class RunEnded:
    """The run is over."""

    result: RunResult


T = TypeVar("T")
Event: TypeAlias = "StepStarted | StepEnded | Waiting | Note | Output | StageEnded | RunEnded"
Sink = Callable[[float, Event], None]


class Stream:
    """Hands every event to every sink, with the time (seconds since the epoch)."""

    def __init__(self) -> None:
        self._sinks: list[Sink] = []
        self._secrets: set[str] = set()

    def attach(self, sink: Sink) -> None:
        """Send all later events to `sink`, too."""
        self._sinks.append(sink)

    def hide(self, secrets: Iterable[str]) -> None:
        """Let no sink see these values from now on, whatever a log or an error quotes."""
        self._secrets.update(secrets)

    def cleaned(self, value: T) -> T:
        """Return a value of texts without what is hidden."""
        return without(value, self._secrets)

    def send(self, event: Event) -> None:
        """Hand `event` to every sink, without what is hidden."""
        now, event = time.time(), self.cleaned(event)
        for sink in self._sinks:
            sink(now, event)
