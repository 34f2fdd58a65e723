"""Executes `.drone.yml` as Drone's exec runner does: a clean checkout, a shell a step, Drone's variables and no others.

What it does is what the source of the real runner says: also that a cancelled build's shell is killed
outright, that nobody waits for what it started, and that the workspace is removed at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from tests.support.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
REPO = "ci/ccci"
_HOST = ("PATH", "USER")  # all that the runner passes on from its own environment
_KEYS = {"kind", "type", "name", "platform", "trigger", "steps"}
_GIT = ("-c", "user.name=lab", "-c", "user.email=lab@lab.test", "-c", "commit.gpgsign=false")
_DATE = "2026-01-01T00:00:00Z"  # so that the same files are the same commit: what is made of it is made once


def repository(folder: Path) -> Path:
    """Return a git repository with the files of this checkout, those not yet committed among them."""
    made = folder / "ccci.git"
    made.mkdir()
    listed = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, made / name)
    _git(made, "init", "-q", "-b", "main")
    _git(made, "add", "-A")
    _git(made, *_GIT, "commit", "-q", "-m", "The checkout of the tests")
    return made


@attrs.define
class ExecBuild:
    """One build, in a thread of its own.

    Attributes:
        source: the repository that is built, at its HEAD.
        params: the build's parameters.
        environ: what the runner is configured to give every step (`DRONE_RUNNER_ENVIRON`).
        event: what the build is for: `custom` or `push`.
        number: the build's number.
        code: the exit code of the first step that failed, 0 if none did; None while it runs.
        log: what the steps printed.
    """

    source: Path
    params: Mapping[str, str]
    environ: Mapping[str, str]
    event: str = "custom"
    number: int = 1
    code: int | None = None
    log: list[str] = attrs.field(factory=list)
    root: Path = attrs.field(init=False)
    cancelled: bool = False
    shell: subprocess.Popen[str] | None = None
    thread: threading.Thread = attrs.field(init=False)

    def start(self) -> ExecBuild:
        """Start it."""
        self.root = Path(tempfile.mkdtemp(prefix="drone-"))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def cancel(self) -> None:
        """Kill the step's shell, and nothing else; the workspace goes at once, and nobody reads on."""
        self.cancelled = True
        assert self.shell is not None
        self.shell.kill()
        assert self.shell.stdout is not None
        self.thread.join(30)

    def finish(self) -> int:
        """Wait for its end and return its exit code."""
        self.thread.join(PATIENCE * 2)
        assert self.code is not None, "\n".join(self.log)
        return self.code

    @property
    def text(self) -> str:
        """The log as one text."""
        return "\n".join(self.log)

    def _run(self) -> None:
        try:
            self.code = self._steps()
        except Exception as error:  # noqa: BLE001  (the build's own fault is a finding, not the thread's)
            self.log.append(f"the runner failed: {error!r}")
            self.code = 255
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def _steps(self) -> int:
        home, workspace = self.root / "home" / "drone", self.root / "drone" / "src"
        for folder in (home, workspace, self.root / "opt"):
            folder.mkdir(parents=True, mode=0o700)
        _git(workspace, "init", "-q")
        _git(workspace, "fetch", "-q", str(self.source), "+refs/heads/main:")
        _git(workspace, "checkout", "-q", "FETCH_HEAD", "-b", "main")
        pipeline = read_pipeline((workspace / ".drone.yml").read_text("utf-8"), self.event)
        env = self._environment(home, workspace)
        for step in pipeline["steps"]:
            if code := self._step(step, env, workspace):
                return code
        return 0

    def _step(self, step: dict[str, Any], env: dict[str, str], workspace: Path) -> int:
        script = self.root / "opt" / step["name"]
        script.write_text("set -e\n" + "".join(f"{command}\n" for command in step["commands"]), "utf-8")
        self.shell = subprocess.Popen(
            ["/bin/sh", "-e", str(script)], env=env, cwd=workspace, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert self.shell.stdout is not None
        with self.shell.stdout as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if self.cancelled:
                    break
        return self.shell.wait() & 0xFF

    def _environment(self, home: Path, workspace: Path) -> dict[str, str]:
        owner, _, name = REPO.partition("/")
        commit = _git(self.source, "rev-parse", "HEAD").strip()
        drone = {
            "CI": "true",
            "DRONE": "true",
            "DRONE_REPO": REPO,
            "DRONE_REPO_OWNER": owner,
            "DRONE_REPO_NAME": name,
            "DRONE_BRANCH": "main",
            "DRONE_COMMIT": commit,
            "DRONE_COMMIT_SHA": commit,
            "DRONE_COMMIT_REF": "refs/heads/main",
            "DRONE_BUILD_NUMBER": str(self.number),
            "DRONE_BUILD_EVENT": self.event,
            "DRONE_STAGE_TYPE": "exec",
            "HOME": str(home),
            "DRONE_HOME": str(workspace),
            "DRONE_WORKSPACE": str(workspace),
            "GIT_TERMINAL_PROMPT": "0",
        }
        host = {name: os.environ[name] for name in _HOST if name in os.environ}
        return {**host, **self.environ, **self.params, **drone}


def read_pipeline(text: str, event: str) -> dict[str, Any]:
    """Read a `.drone.yml` with one exec pipeline that an event triggers.

    Raises:
        AssertionError: it is another kind of file, or not for that event.
    """
    pipeline: dict[str, Any] = yaml.safe_load(text)
    assert pipeline.keys() <= _KEYS, f"{pipeline.keys() - _KEYS} would not be heeded here"
    assert (pipeline["kind"], pipeline["type"]) == ("pipeline", "exec")
    assert event in pipeline["trigger"]["event"], f"not for {event}"
    assert all(step.keys() == {"name", "commands"} for step in pipeline["steps"])
    return pipeline


def _git(folder: Path, *words: str) -> str:
    full = ["git", *words]
    env = {**os.environ, "GIT_AUTHOR_DATE": _DATE, "GIT_COMMITTER_DATE": _DATE}
    return subprocess.run(full, cwd=folder, env=env, check=True, capture_output=True, text=True, timeout=120).stdout
