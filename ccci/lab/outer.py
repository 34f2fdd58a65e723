"""The engine of this machine that the lab's container runs in: found, or installed and started.

An engine that we start is shared by all labs of this machine and stopped with the last one. It lies in
`/run/ccci-engine` (socket, pid files, log) and `/var/lib/ccci-engine` (its images).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ccci.errors import InfrastructureError
from ccci.lab import leftovers, process, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = Path("/run/ccci-engine")
DATA = Path("/var/lib/ccci-engine")
SOCKET = RUN / "docker.sock"
PID = RUN / "docker.pid"
LOG = RUN / "dockerd.log"
BEFORE = RUN / "before.json"
LABEL = "ccci.lab"
PACKAGES = {  # program -> Debian package
    "dockerd": "docker.io",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "zstd": "zstd",
    "git": "git",
    "ssh": "openssh-client",
    "ip": "iproute2",
}
BUILD_PROGRAMS = ("mmdebstrap", "git", "ssh")
OTHER_PACKAGES = {"mvn": "maven"}  # for single images only


@frozen
class Engine:
    """A running Docker engine.

    Attributes:
        host: the value of DOCKER_HOST, or "" for the engine that plain `docker` finds.
    """

    host: str

    def argv(self, *args: str) -> list[str]:
        """The command line of the docker client for this engine."""
        return ["docker", *(["--host", self.host] if self.host else []), *args]

    def run(self, *args: str, what: str, stdin: bytes | None = None, timeout: float = 120) -> str:
        """Run a docker command; arguments, result and errors as in `process.run`."""
        return process.run(self.argv(*args), what=what, stdin=stdin, timeout=timeout)

    def succeeds(self, *args: str) -> bool:
        """Whether a docker command ends with 0."""
        return process.succeeds(self.argv(*args))

    @property
    def ours(self) -> bool:
        """Whether it is the one that we start and stop."""
        return self.host == f"unix://{SOCKET}"


OURS = Engine(f"unix://{SOCKET}")


def running(preferred: str | None = None) -> Engine | None:
    """The engine to use as things are, or None.

    Args:
        preferred: the value of DOCKER_HOST of the engine that a lab was made in; else ours where it runs,
            else the machine's own.
    """
    if preferred is not None:
        engine = Engine(preferred)
        return engine if engine.succeeds("info") else None
    candidates = (OURS, Engine("")) if SOCKET.exists() else (Engine(""),)
    return next((engine for engine in candidates if engine.succeeds("info")), None)


@contextlib.contextmanager
def in_use(preferred: str | None = None) -> Iterator[Engine]:
    """An engine that nobody stops while we are in the block; started where none runs.

    Args:
        preferred: as for `running`.

    Raises:
        InfrastructureError: there is none and we may not install or start one; says what to do.
    """
    engine = running(preferred)
    if engine is None and os.geteuid() != 0:
        raise InfrastructureError(
            "the lab needs a Docker engine; none answers and only root may start one",
            hint="start Docker and see that `docker info` works for you, or run `ccci lab up` as root",
        )
    if engine is not None and not engine.ours:
        require_programs(BUILD_PROGRAMS)
        yield engine
        return
    RUN.mkdir(mode=0o700, parents=True, exist_ok=True)
    with process.locked(RUN / "in-use", shared=True):
        with process.locked(RUN / "start"):
            engine = running(preferred) or _start()
        yield engine


def require_programs(programs: tuple[str, ...]) -> None:
    """Install what is missing of some programs, on Debian as root.

    Raises:
        InfrastructureError: something is missing and we may not install it; names the packages.
    """
    known = PACKAGES | OTHER_PACKAGES
    missing = sorted({known[name] for name in programs if shutil.which(name) is None})
    if not missing:
        return
    command = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise InfrastructureError(
            f"the lab needs {', '.join(missing)} on this machine",
            hint=f"on Debian or Ubuntu, as root: {command}; the lab is built for Debian 12",
        )
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    if not process.succeeds(["apt-get", "install", "--simulate", *missing]):
        process.run(["apt-get", "update", "--quiet"], what="renewing the list of packages", timeout=600)
    process.run(install, what=f"installing {', '.join(missing)}", timeout=1200, env=env)


def _start() -> Engine:
    require_programs(tuple(PACKAGES))
    if Path("/run/systemd/system").is_dir():
        process.run(["systemctl", "start", "docker"], what="starting Docker by systemd")
        wait.until(lambda: Engine("").succeeds("info"), what="an answer of the machine's Docker", timeout=60)
        return Engine("")
    if Engine("").succeeds("info"):  # the package's own scripts may have started one
        return Engine("")
    _drop_stale_pid(PID, "dockerd")
    _drop_stale_pid(RUN / "exec" / "containerd" / "containerd.pid", "containerd")
    leftovers.remember(BEFORE)
    argv = ["dockerd", "--data-root", str(DATA), "--exec-root", str(RUN / "exec")]
    argv += ["--pidfile", str(PID), "--host", OURS.host]
    # Through a shell that ends at once, so that the daemon is nobody's child and outlives us.
    background = ["sh", "-c", 'setsid "$@" >"$0" 2>&1 </dev/null & echo "$!"', str(LOG), *argv]
    pid = int(process.run(background, what="starting dockerd"))

    def answers() -> bool:
        if not _alive(pid):
            raise InfrastructureError(
                "dockerd ended at once",
                hint=f"its log is {LOG}",
                detail=process.tail(LOG.read_text(errors="replace")),
            )
        return OURS.succeeds("info")

    wait.until(answers, what=f"an answer of the dockerd that we started (log {LOG})", timeout=60)
    return OURS


def stop_if_unused() -> bool:
    """Stop the engine that we started, unless a lab lives in it or is being made.

    Returns:
        Whether it runs no more (also when it was not running at all, or is not ours).
    """
    if not SOCKET.exists() or os.geteuid() != 0:
        return True
    with process.locked(RUN / "start"), process.locked_if_free(RUN / "in-use") as free:
        if not free:
            return False
        listing = ["container", "ls", "--all", "--quiet"]
        if OURS.succeeds("info") and OURS.run(*listing, what="listing containers"):
            return False
        _stop()
    return True


def _stop() -> None:
    pid = _live_pid(PID, "dockerd")
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait.until(lambda: not _is_program(pid, "dockerd"), what="the end of our dockerd", timeout=30)
    SOCKET.unlink(missing_ok=True)
    leftovers.undo(BEFORE, (RUN, DATA))


def _drop_stale_pid(path: Path, program: str) -> None:
    # After a crash or a reboot the number may belong to any process, which dockerd takes for itself.
    if _live_pid(path, program) is None:
        path.unlink(missing_ok=True)


def _live_pid(path: Path, program: str) -> int | None:
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_program(pid, program) else None


def _is_program(pid: int, program: str) -> bool:
    try:
        return _alive(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == program
    except OSError:
        return False


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may still be listed until its parent has noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
