"""The run as people see it: rich on a terminal, plain lines elsewhere; and the log that is kept."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime, timezone

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from ccci.engine.results import summary
from ccci.events import Event, Note, Output, RunEnded, Sink, StageEnded, StepEnded, StepStarted, Waiting
from ccci.model.run import RunResult

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # ECMA-48, SGR


def plain(text: str) -> str:
    """Return text without colours and control characters: what containers print must not steer a terminal."""
    text = _COLOUR.sub("", text)
    return "".join(c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def line_of(event: Event, *, verbose: bool) -> str:
    """Return an event as one plain line, or nothing where it is not worth one."""
    return plain(_line_of(event, verbose=verbose))


def _line_of(event: Event, *, verbose: bool) -> str:
    if isinstance(event, StepEnded):
        word = {"ok": "done", "failed": "FAILED", "stopped": "STOPPED"}.get(event.result.status, event.result.status)
        return f"{word:7} {event.result.seconds:6.1f} s  {event.result.name}{f': {event.error}' if event.error else ''}"
    if isinstance(event, Waiting):
        return f"waiting           {event.what}"
    if isinstance(event, Note):
        return f"note              {event.text}"
    if isinstance(event, Output) and (verbose or " FAILED" in event.line or " ERROR" in event.line):
        return f"pytest            {event.line}"
    return ""


def log_sink(into: list[str]) -> Sink:
    """Return a sink that keeps every event as a line with its time, for the log file."""

    def sink(when: float, event: Event) -> None:
        stamp = datetime.fromtimestamp(when, timezone.utc).strftime("%H:%M:%S.%f")[:-3]
        if isinstance(event, StepStarted):
            into.append(f"{stamp} begin             {event.name}")
        elif isinstance(event, StageEnded):
            into.append(f"{stamp} stage {event.result.name}: {event.result.status.value} {event.result.note}")
        elif isinstance(event, RunEnded):
            into.extend(map(plain, summary(event.result)))
        elif line := line_of(event, verbose=True):
            into.append(f"{stamp} {line}")

    return sink


def console_sink(*, verbose: bool) -> Sink:
    """Return the sink for standard output: a spinner and colours on a terminal, else plain lines."""
    console = Console(highlight=False, soft_wrap=True)
    return _Live(console, verbose=verbose) if console.is_terminal else _Plain(verbose=verbose)


class _Plain:
    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose

    def __call__(self, _: float, event: Event) -> None:
        lines = (
            list(map(plain, summary(event.result)))
            if isinstance(event, RunEnded)
            else [line_of(event, verbose=self.verbose)]
        )
        try:
            for line in filter(None, lines):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # nobody reads any more, as after a cancelled build: the clean-ups must go on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Live:
    def __init__(self, console: Console, *, verbose: bool) -> None:
        self.console, self.verbose = console, verbose
        self.status: Status | None = None
        self.step = ""

    def __call__(self, _: float, event: Event) -> None:
        if isinstance(event, StepStarted):
            self.step = event.name
            self._spin(event.name)
        elif isinstance(event, Waiting):
            self._spin(f"{self.step} [dim]({escape(event.what)})[/dim]", markup=True)
        elif isinstance(event, RunEnded):
            self._stop()
            self._summary(event.result)
        elif line := line_of(event, verbose=self.verbose):
            bad = isinstance(event, StepEnded) and event.result.status != "ok"
            self.console.print(escape(line), style="red" if bad else "dim")
        if isinstance(event, StepEnded):
            self._stop()

    def _spin(self, text: str, *, markup: bool = False) -> None:
        shown = text if markup else escape(text)
        if self.status is None:
            self.status = self.console.status(shown)
            self.status.start()
        else:
            self.status.update(shown)

    def _stop(self) -> None:
        if self.status is not None:
            self.status.stop()
        self.status = None

    def _summary(self, result: RunResult) -> None:
        for line in map(plain, summary(result)):
            good = " pass " in line or line.startswith("VERDICT passed")
            bad = " fail " in line or " error " in line or line.startswith(("VERDICT failed", "VERDICT errored"))
            self.console.print(escape(line), style="green" if good else "bold red" if bad else "")
