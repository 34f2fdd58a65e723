"""Ways to break a run from outside: kill it, hold it in its tests, cut its connection, freeze its writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest
from _pytest.mark.structures import ParameterSet

from tests.conftest import BORROWED_VARIABLE
from tests.support.host import LabHost
from tests.support.running import Running, clean_environment, python_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.recipe import LabRecipe
    from tests.support.running import Done

_HOLD_TEST = '''"""A test that waits while a file lies beside it, with a process of its own as browsers are."""

import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent


def test_waits(app):
    """Wait as long as somebody wants, then ask the app."""
    if (HERE / "hold").exists():
        child = subprocess.Popen(["sleep", "600"])
        (HERE / "held.new").write_text(f"{os.getpid()} {child.pid}")
        (HERE / "held.new").rename(HERE / "held")
        while (HERE / "hold").exists():
            time.sleep(0.05)
        child.kill()
        child.wait()
    assert app.get("/").status_code == 200
'''


def until(done: Callable[[], object], what: str, patience: float = 60.0) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not done():
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Tell whether a process runs here; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text("utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(entry.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def kill_hard(run: Running) -> Done:
    """Kill a run and all its processes at once, as the end of their machine would."""
    for pid in family(run.process.pid):
        os.kill(pid, signal.SIGKILL)
    done = run.finish()
    assert done.code == -signal.SIGKILL, done.all
    return done


@attrs.frozen
class Hold:
    """Holds runs of a recipe in the middle of their tests of the stage custom."""

    folder: Path

    def close(self) -> None:
        """Hold the next run."""
        (self.folder / "held").unlink(missing_ok=True)
        (self.folder / "hold").touch()

    def open(self) -> None:
        """Let the run go on."""
        (self.folder / "hold").unlink(missing_ok=True)

    def wait(self, run: Running) -> list[int]:
        """Wait until the run is held; return the ids of the test process and of its child."""
        held = self.folder / "held"
        until(lambda: held.exists() or run.process.poll() is not None, "the run's tests", 120)
        assert held.exists(), run.finish().all
        return [int(word) for word in held.read_text("utf-8").split()]


@contextmanager
def holding(recipe: LabRecipe) -> Iterator[Hold]:
    """Give a recipe a test that can be made to wait; it is open at first, and gone afterwards."""
    folder = recipe.enrolments / recipe.name / "tests"
    test, hold = folder / "test_waits.py", Hold(folder)
    test.write_text(_HOLD_TEST, "utf-8")
    try:
        yield hold
    finally:
        hold.open()
        test.unlink()


def cut(recipe: LabRecipe) -> None:
    """Kill the host's end of the SSH connection of the run that holds the canonical's lock."""
    recipe.host.sh(f"kill -9 $(ps -o ppid= -p $(cat {recipe.home}/holder.pid))")


_FREEZE = """
mkdir -p {home}; cd {home}; exec 8>>work.lock
i=0; until {condition}; do i=$((i+1)); [ $i -lt 30000 ] || exit 1; sleep 0.003; done
flock 8; touch {mark}.frozen; until [ -e {mark}.thaw ]; do sleep 0.05; done; rm -f {mark}.*
"""


@contextmanager
def frozen_when(recipe: LabRecipe, condition: str) -> Iterator[Callable[[], None]]:
    """Let no run change the canonical any more from the moment that a shell condition holds in its folder.

    Gives a function that waits for that moment. A command that is under way then is let to its end.
    """
    mark = f"/tmp/freeze-{recipe.tag}"  # noqa: S108  (on the lab's host)
    text = _FREEZE.format(home=recipe.home, condition=condition, mark=mark)
    recipe.host.ssh(f"rm -f {mark}.*; cat >{mark}.sh", text.encode())
    recipe.host.sh(f"setsid sh {mark}.sh >/dev/null 2>&1 </dev/null & true")

    def wait() -> None:
        until(lambda: recipe.host.sh(f"ls {mark}.frozen 2>/dev/null || true"), f"{condition} on the host", 120)

    try:
        yield wait
    finally:
        recipe.host.sh(f"touch {mark}.thaw; for i in $(seq 100); do [ -e {mark}.thaw ] || exit 0; sleep 0.1; done")


def engine(home: Path, name: str, *words: str) -> str:
    """Run a docker command in the engine that a lab's container runs in."""
    host = json.loads((home / "labs" / name / "lab.json").read_text("utf-8"))["engine"]
    argv = ["docker", *(["--host", host] if host else []), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    return done.stdout.strip()


def mostly_chaos(every: Iterable[str], keep: Iterable[str]) -> list[ParameterSet]:
    """Return all points as parameters; those that are not kept are for `make chaos`, since each takes a minute."""
    kept = set(keep)
    return [pytest.param(point, marks=() if point in kept else pytest.mark.chaos) for point in every]


def bring_up(host: LabHost, *, recipes: str = "") -> Done:
    """Run `ccci lab up`, as often as one likes."""
    env = clean_environment({"CCCI_HOME": str(host.home)})
    words = ["lab", "up", "--name", host.name, *(["--recipes", recipes] if recipes else [])]
    run = Running(python_program("ccci", *words), env, host.folder, None)
    done = run.finish(900)
    assert done.code == 0, done.all
    return done


@contextmanager
def own_lab(lab: LabHost, prefix: str, folder: Path, *, recipes: str) -> Iterator[LabHost]:
    """Have a lab beside the session's for the length of the block; a lab that was borrowed serves for both."""
    if BORROWED_VARIABLE in os.environ:
        yield lab
        return
    host = LabHost(f"{prefix}-{lab.name}", lab.home, folder)
    bring_up(host, recipes=recipes)
    yield host
    host.close()
    down = python_program("ccci", "lab", "down", "--name", host.name)
    Running(down, clean_environment({"CCCI_HOME": str(host.home)}), host.folder, None).finish()
