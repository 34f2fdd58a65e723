"""Runs as processes of their own, side by side: what one does wrong, another does not notice."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import attrs
import gevent
from gevent.subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from ccci.errors import CcciError
from ccci.model import codec
from ccci.model.run import RunResult

PATIENCE = 600.0  # seconds that a run which was told to stop gets for its clean-ups
_LINES = 15


@attrs.frozen
class Ended:
    """A run that is over.

    Attributes:
        code: its exit code.
        result: its result, or None if it ended before it had one.
        said: what it wrote to standard error, at most the last lines.
        late: whether it was stopped because its time was over.
        seconds: how long it took.
    """

    code: int
    result: RunResult | None
    said: str
    late: bool
    seconds: float


class Child:
    """A run of ccci in a process of its own, started."""

    def __init__(self, words: Sequence[str], *, limit: float) -> None:
        """Start `ccci play WORDS`.

        Args:
            words: what follows `ccci play`; no secret.
            limit: seconds after which it is told to stop.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="ccci-")
        self._path = Path(self._folder.name) / "result.json"
        self._begin = time.monotonic()
        self._process = Popen(
            [sys.executable, "-m", "ccci", "play", *words, "--result", str(self._path)],
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is ours to handle
        )
        self._ended: gevent.Greenlet[[float], Ended] = gevent.spawn(self._wait, limit)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._ended.ready()

    def stop(self) -> None:
        """Tell it to stop; it cleans up first."""
        with suppress(OSError):
            self._process.terminate()

    def end(self) -> Ended:
        """Wait until it is over."""
        return self._ended.get()

    @property
    def waited_for(self) -> gevent.Greenlet[[float], Ended]:
        """What `gevent.wait` can wait for."""
        return self._ended

    def _wait(self, limit: float) -> Ended:
        late = False
        try:
            _, said = self._process.communicate(timeout=limit)
        except TimeoutExpired:
            late = True
            said = self._told_to_stop()
        result = None
        with suppress(CcciError, OSError):
            result = codec.load(RunResult, self._path.read_text("utf-8"), where="result.json")
        self._folder.cleanup()
        tail = "\n".join((said or "").strip().splitlines()[-_LINES:])
        return Ended(self._process.returncode, result, tail, late, round(time.monotonic() - self._begin, 1))

    def _told_to_stop(self) -> str:
        self.stop()
        try:
            said: str = self._process.communicate(timeout=PATIENCE)[1]
        except TimeoutExpired:
            self._process.kill()  # what it leaves is recovered by the next run
            said = self._process.communicate()[1]
        return said


def side_by_side(children: Sequence[Child], *, told: Callable[[int, Ended], None]) -> list[Ended]:
    """Wait for all children; if we are stopped meanwhile, so are they, and their clean-ups are waited for.

    Args:
        children: they have been started.
        told: called with a child's place and its end, as each ends.

    Returns:
        Their ends, in their order.
    """
    places = {child.waited_for: place for place, child in enumerate(children)}
    try:
        for ended in gevent.iwait(list(places)):
            told(places[ended], ended.get())
    except BaseException:
        stop_all(children)
        raise
    return [child.end() for child in children]


def stop_all(children: Sequence[Child]) -> None:
    """Stop children and wait for their clean-ups."""
    for child in children:
        if not child.over:
            child.stop()
    for child in children:
        child.end()
