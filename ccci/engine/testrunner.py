"""Run a stage's tests: a pytest process on this machine, which reaches the app through the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import gevent
from gevent.subprocess import DEVNULL, PIPE, STDOUT, Popen

from ccci.errors import CcciError, TestsFailed
from ccci.model import codec
from ccci.model.recipe import STAGES
from ccci.model.run import StageStatus, TestCase
from ccci.testing.context import CONTEXT_VARIABLE, REPORT, Call, Reply, TestContext

GENERIC = Path(__file__).parent.parent / "testing" / "generic"
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
_OUTCOMES = {"passed": StageStatus.PASS, "skipped": StageStatus.SKIP}


@attrs.frozen
class Outcome:
    """What a test process found out; `collected` is how many tests it found, None if it did not come to its end."""

    tests: list[TestCase]
    exit_code: int
    tail: str
    collected: int | None = None

    @property
    def complete(self) -> bool:
        """Whether pytest came to its end and every test that it found has reported."""
        return self.collected is not None and self.collected <= len({test.name for test in self.tests})


def files_of_stage(stage: str, own: Path | None) -> list[Path]:
    """Return a stage's test files: the generic ones first, then the recipe's own.

    A recipe's `test_<stage>*.py` belong to that stage, every other `test_*.py` to the stage custom.
    """
    return [GENERIC / f"test_{stage}.py", *own_files(stage, own)]


def own_files(stage: str, own: Path | None) -> list[Path]:
    """Return those of a stage's test files that are not generic."""
    mine = sorted(own.rglob("test_*.py")) if own else []

    def stage_of(path: Path) -> str:
        named = [s for s in STAGES if path.name.startswith(f"test_{s}")]
        return named[0] if named else "custom"

    return [path for path in mine if stage_of(path) == stage]


class Tester:
    """One pytest process: started ahead of its stage, it imports what it needs and waits for the context."""

    def __init__(self, files: list[Path], functions: str = "test", *, home: Path | None = None) -> None:
        """Start pytest on test files, in order.

        Args:
            files: the files.
            functions: what it takes for a test is a function named `functions…`.
            home: where it is at home, if not where we are.
        """
        self._socket, theirs = socket.socketpair()
        words = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "ccci.testing.plugin"]
        words += ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(files[-1].parent), "-W", "default"]
        words += ["-o", f"python_functions={functions}"]
        self._process = Popen(
            [*words, *map(str, files)],
            env={**_environment(theirs.fileno()), **({"HOME": str(home)} if home else {})},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # a Ctrl-C is ours to handle
        )
        theirs.close()

    def run(
        self, context: TestContext, answer: Callable[[Call], Reply], tell: Callable[[str], None], *, limit: float
    ) -> Outcome:
        """Run the tests and collect how each ended.

        Args:
            context: what the tests are told.
            answer: answers what tests ask of the host.
            tell: called with every line that pytest prints.
            limit: seconds after which they count as hanging.

        Raises:
            TestsFailed: they did not end in time.
        """
        output: Any = self._process.stdout
        tests: list[TestCase] = []
        lines: list[str] = []
        collected: list[int] = []
        talk: Any = gevent.spawn(_talk, self._socket, context, answer, (tests, collected))
        end_children: Any = gevent.spawn(self._end_children)
        try:
            with gevent.Timeout(limit):
                lines.extend(_line(raw, tell) for raw in output)
                code = self._process.wait()
                talk.join(timeout=5)
        except gevent.Timeout:
            raise TestsFailed(
                f"{context.stage}: the tests did not end within {limit:g} s",
                hint="mend the test that hangs, or raise `test_timeout` in the settings",
                detail="\n".join(lines[-15:]),
            ) from None
        finally:
            gevent.killall([talk, end_children])
            self.close()
        return Outcome(tests, code, "\n".join(lines[-30:]), collected[0] if collected else None)

    def _end_children(self) -> None:
        """End what outlives pytest: a child of a test that keeps its output open would hold the run."""
        self._process.wait()
        gevent.sleep(1.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process, if it still runs, with all that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._socket.close()


def _environment(channel: int) -> dict[str, str]:
    env = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
    env |= {CONTEXT_VARIABLE: str(channel), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    return {**env, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # what else is installed is none of a recipe's business


def _line(raw: bytes, tell: Callable[[str], None]) -> str:
    line = raw.decode("utf-8", "replace").rstrip()
    tell(line)
    return line


def _talk(
    ours: socket.socket,
    context: TestContext,
    answer: Callable[[Call], Reply],
    into: tuple[list[TestCase], list[int]],
) -> None:
    tests, collected = into
    try:
        _send(ours, codec.to_data(context))
        with ours.makefile("rb") as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace")
                if not line.startswith(REPORT):
                    _send(ours, codec.to_data(_answer(line, answer)))
                    continue
                report = json.loads(line.removeprefix(REPORT))
                if "collected" in report:
                    collected.append(int(report["collected"]))
                else:
                    tests.append(_case(report))
    except OSError:
        return  # the test process is gone; its exit code tells


def _answer(line: str, answer: Callable[[Call], Reply]) -> Reply:
    try:
        return answer(codec.load(Call, line, where="a test's question"))
    except CcciError as error:
        return Reply(1, error=error.what)


def _send(to: socket.socket, data: Any) -> None:
    to.sendall(json.dumps(data).encode() + b"\n")


def _case(report: dict[str, Any]) -> TestCase:
    name = _whole(report["id"]).split("/")[-1]
    status = _OUTCOMES.get(str(report["outcome"]), StageStatus.FAIL)
    return TestCase(name, status, round(float(report["seconds"]), 3), _whole(report["text"]))


def _whole(text: object) -> str:
    """Return text that can be encoded: JSON lets half a character through."""
    return str(text).encode("utf-8", "replace").decode()
