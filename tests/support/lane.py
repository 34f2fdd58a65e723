"""A fake host, a program that starts runs on it, and states of its disk to go back to: where runs are broken."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.support.fakehost.host import ROOT, SIZE, FakeHost
from tests.support.recipe import LabRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What breaks: the controller, the connection until the run has given up, the whole host; the disk is full from then on,
# the engine is started again.
KINDS = ("kill", "cut", "host", "full", "engine")
PATIENCE = 300.0  # seconds for a run to come to its point
_TRUTH = Path(__file__).parent / "hosttruth.py"


@attrs.frozen
class Ended:
    """A run that has ended: exit code, what it printed, whether it came to its point, and how much it did."""

    code: int
    out: str
    reached: bool
    count: int


@attrs.frozen
class Point:
    """Where a run is broken, and by what.

    Attributes:
        at: after how many steps or commands, or after which step, by a part of its title.
        act: is called with the run's process id while it stands still there.
        unit: "steps" or "commands".
    """

    at: int | str
    act: Callable[[int], None]
    unit: str = "steps"


NOWHERE = Point(0, lambda _: None)


class Runner:
    """A process that starts runs of ccci by forking, one at a time."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        """Start it; `folder` is for what runs print."""
        self._folder, self._count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.runner"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**env, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def run(self, words: Sequence[str], env: Mapping[str, str], point: Point = NOWHERE) -> Ended:
        """Run `ccci` with these words and more of an environment to its end, through its point."""
        self._count += 1
        out = self._folder / f"out-{self._count}"
        request = {"argv": list(words), "env": dict(env), "out": str(out), "point": point.at, "unit": point.unit}
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        pid = int(self._line())
        reached = bool(point.at) and _stands(pid, out)
        if reached:
            point.act(pid)
            Path(f"{out}.go").touch()
        code = int(self._line())
        count = Path(f"{out}.count")
        did = int(count.read_text("utf-8")) if count.exists() else 0
        return Ended(code, out.read_text("utf-8", "replace"), reached, did)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def _stands(pid: int, out: Path) -> bool:
    """Wait until a run stands at its point; say whether it does, or has ended before."""
    deadline = time.monotonic() + PATIENCE
    while not Path(f"{out}.reached").exists():
        try:
            if Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z":
                return False
        except OSError:
            return False
        assert time.monotonic() < deadline, out.read_text("utf-8")
        time.sleep(0.02)
    return True


class Lane:
    """One host with one recipe, on which one run after the other is broken."""

    def __init__(self, folder: Path, *, twin: Lane | None = None) -> None:
        """Start both, with the remembered disks of another one."""
        self.host: FakeHost = FakeHost(folder, twin=twin.host if twin else None)
        if twin is not None:
            shutil.copytree(twin.host.lab.folder, self.host.lab.folder, dirs_exist_ok=True)
            tar = folder / "saved.tar"
            twin.host.on_disk(f"tar --xattrs --xattrs-include='*' -cf {tar} .saved-*")
            self.host.on_disk(f"tar --xattrs --xattrs-include='*' -xf {tar}")
        self.host.boot()
        self.recipe = LabRecipe(self.host.lab, "lane")
        env = self.host.lab.environment({"CCCI_RECIPES": str(self.recipe.enrolments)})
        self._runner = Runner(folder / "out", env)

    def play(
        self, words: Sequence[str], *, env: Mapping[str, str] | None = None, kind: str = "", at: int | str = 0,
        unit: str = "steps",
    ) -> Ended:  # fmt: skip
        """Run `ccci` with these words to its end, or break it at a point.

        Args:
            words: arguments of ccci.
            env: more of its environment.
            kind: one of KINDS, or shell text to run on the host, or empty to leave it alone.
            at: after how many it is broken, or after which step, by a part of its title.
            unit: "steps" or "commands".
        """
        done = self._runner.run(words, env or {}, Point(at, lambda pid: self._break(pid, kind), unit))
        if done.reached and kind == "cut":
            self.host.tell("mend")
        if done.reached and kind == "host":
            self.host.boot()
        if done.reached and kind == "full":
            self.host.resize(SIZE)
        return done

    def _break(self, pid: int, kind: str) -> None:
        if kind == "kill":
            os.kill(pid, signal.SIGKILL)
        elif kind == "host":
            self.host.kill()
        elif kind == "full":
            self.host.resize("used")
        elif kind in ("cut", "engine"):
            self.host.tell(kind)
        elif kind:
            self.host.lab.sh(kind)

    def truth(self) -> str:
        """Return all that must hold on the host when nothing runs, found out without ccci; no times, no logs."""
        return truth_of(self.host)

    def save(self, name: str) -> None:
        """Remember the disk under a name; the host goes down for that."""
        self.host.kill()
        self.host.on_disk(f"rm -rf .saved-{name}; mkdir .saved-{name}; cp -a lib srv root made .saved-{name}")
        self.host.boot()

    def restore(self, name: str) -> None:
        """Put a remembered disk back; the host goes down for that."""
        self.host.kill()
        self.host.on_disk(f"rm -rf lib srv root made; cp -a .saved-{name}/. .")
        self.host.boot()

    def close(self) -> None:
        """End both."""
        self._runner.close()
        self.host.close()


def truth_of(host: FakeHost) -> str:
    """Return what holds on a host."""
    return host.lab.ssh("python3 -I -", _TRUTH.read_bytes()).decode()
