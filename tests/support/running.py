"""ccci as a process of its own, as people and CI systems start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATIENCE = 240.0  # seconds; no single run of the tests takes half of that, even on a busy machine
_OURS = ("CCCI_", "PYINFRA_", "PYTEST_", "DRONE_")
_REQUEST = frozenset({"RECIPE", "REF", "MODE", "STAGES"})


@attrs.frozen
class Line:
    """A line that a process printed, and when (seconds since the epoch)."""

    when: float
    text: str


@attrs.frozen
class Done:
    """A process that has ended: exit code, what it printed, and its result.json if it wrote one."""

    code: int
    lines: tuple[Line, ...]
    stderr: str
    result: dict[str, Any]

    @property
    def out(self) -> str:
        """Standard output."""
        return "\n".join(line.text for line in self.lines)

    @property
    def all(self) -> str:
        """Standard output and error."""
        return f"{self.out}\n{self.stderr}"

    @property
    def summary(self) -> str:
        """What follows the word SUMMARY, with it; the spaces of columns made one."""
        _, _, text = self.out.rpartition("SUMMARY ")
        return "\n".join(" ".join(line.split()) for line in text.splitlines())

    def when(self, text: str) -> float:
        """Return when the first line with a text came."""
        found = [line.when for line in self.lines if text in line.text]
        assert found, f"nobody said {text!r}:\n{self.all}"
        return found[0]


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would steer ccci, and with `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OURS) and k not in _REQUEST}
    cache = os.environ.get("CCCI_CACHE")
    return {**kept, **({"CCCI_CACHE": cache} if cache else {}), "PYTHONUNBUFFERED": "1", **extra}


class Running:
    """A process that has been started. Its output is read while it runs."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: Path, result: Path | None) -> None:
        """Start it; `result` is where it will write its result.json."""
        self._result = result
        self._lines: list[Line] = []
        self._errors: list[Line] = []
        self.process = subprocess.Popen(
            list(words),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        streams = ((self.process.stdout, self._lines), (self.process.stderr, self._errors))
        self._readers = [threading.Thread(target=_read, args=pair, daemon=True) for pair in streams]
        for reader in self._readers:
            reader.start()

    def wait_for(self, text: str, patience: float = 60.0) -> None:
        """Wait until a line with a text came.

        Raises:
            AssertionError: it did not come within `patience` seconds, or the process ended before.
        """
        deadline = time.monotonic() + patience
        while not any(text in line.text for line in self._lines):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"no {text!r} in:\n{self.finish().all}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it the hard way, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()

    def finish(self, patience: float = PATIENCE) -> Done:
        """Wait for its end.

        Raises:
            AssertionError: it did not end within `patience` seconds, or it printed a traceback.
        """
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self.process.wait()
            self._errors.append(Line(time.time(), f"(killed by the tests after {patience:g} s)"))
        for reader in self._readers:
            reader.join(10)
        text = self._result.read_text("utf-8") if self._result and self._result.exists() else "{}"
        done = Done(code, tuple(self._lines), "\n".join(e.text for e in self._errors), json.loads(text))
        assert "killed by the tests" not in done.stderr, done.all
        assert "Traceback (most recent" not in done.all, done.all
        return done


def _read(stream: IO[str], into: list[Line]) -> None:
    with stream:
        for line in stream:
            into.append(Line(time.time(), line.rstrip("\n")))  # noqa: PERF401 - each line at its own time


def python_program(*words: str) -> list[str]:
    """Return the words that start a module of this Python."""
    return [sys.executable, "-m", *words]
