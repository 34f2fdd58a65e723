"""The host that is measured on: a lab of the benchmark's own, and the ways to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from ccci import paths
from ccci import settings as settings_module
from ccci.commands.shell import argv, command
from ccci.engine.body import new_run_id
from ccci.engine.connect import connected
from ccci.engine.quiet import quiet, silence_output
from ccci.engine.session import Session
from ccci.errors import InfrastructureError
from ccci.events import Stream
from ccci.lab import record, state
from ccci.settings import Settings

NAME = "bench"
SCRATCH = paths.WARM / "bench"  # on the lab's disk; removed at the end


@attrs.frozen
class Target:
    """A lab that is up.

    Attributes:
        session: a session on it that runs operations.
        settings: those of this machine, for the lab.
        ssh: the argument list of a plain ssh to it.
    """

    session: Session
    settings: Settings
    ssh: list[str]

    def shell(self, text: str) -> list[str]:
        """Run shell text on the host over the session's connection; return the lines that it printed.

        Raises:
            InfrastructureError: it failed.
        """
        code, output = self.session.ask(command(argv("bash", "-euo", "pipefail", "-c", text)))
        if code:
            raise InfrastructureError(f"the benchmark's `{text[:60]}` failed", detail=output.stderr)
        return list(output.stdout_lines)

    def timed(self, text: str) -> float:
        """Run shell text on the host and return how long that took, in seconds."""
        start = time.perf_counter()
        self.shell(text)
        return time.perf_counter() - start

    def plain(self, script: str) -> list[str]:
        """Run a script by one plain ssh of its own; return the lines that it printed.

        Raises:
            InfrastructureError: it failed.
        """
        return run([*self.ssh, "bash -s"], script)


def run(words: Sequence[str], stdin: str = "") -> list[str]:
    """Run a program of this machine; return the lines that it printed.

    Raises:
        InfrastructureError: it failed; the detail holds its last output.
    """
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise InfrastructureError(f"{Path(words[0]).name} ended with {done.returncode}", detail=tail)
    return done.stdout.splitlines()


def ccci(*words: str) -> list[str]:
    """Run ccci's command line as a process of its own; errors as `run`."""
    return run([sys.executable, "-m", "ccci", *words])


def elapsed(words: Sequence[str]) -> float:
    """Run ccci's command line and return how long that took, in seconds."""
    start = time.perf_counter()
    ccci(*words)
    return time.perf_counter() - start


@contextmanager
def lab() -> Iterator[Target]:
    """The benchmark's lab: made if it is not there, and then removed at the end."""
    ours = record.load(NAME) is None
    ccci("lab", "up", "--name", NAME)
    try:
        settings = settings_module.load(flags={"host": NAME})
        found = record.load(NAME)
        if found is None:
            raise InfrastructureError(f"lab {NAME} went away")
        quiet()
        silence_output()
        with connected(settings, NAME) as (pyinfra_state, host):
            session = Session(pyinfra_state, host, settings, new_run_id(), Stream())
            target = Target(session, settings, state.ssh_argv(found))
            target.shell(f"rm -rf {SCRATCH}; mkdir -p {SCRATCH}")
            try:
                yield target
            finally:
                target.shell(f"rm -rf {SCRATCH}")
    finally:
        if ours:
            ccci("lab", "down", "--name", NAME)


def machine(target: Target) -> list[str]:
    """Describe what the figures were taken on; nothing that names the machine."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    docker = target.shell("docker version --format '{{.Server.Version}}'")[0]
    python = ".".join(map(str, sys.version_info[:3]))
    cores = (
        f"{os.cpu_count()} cores of {cpu}, {memory:.0f} GiB; Linux {os.uname().release.split('-')[0]}, "
        f"Python {python}, Docker {docker} in the lab"
    )
    when = (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; load average at the beginning {os.getloadavg()[0]:.1f} "
        "(above 0.5 something else ran beside)"
    )
    return [
        cores,
        when,
        "Controller and host are the same machine: connections are loopback; a real link adds its round trips.",
    ]
