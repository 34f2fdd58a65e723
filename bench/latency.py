"""What one operation costs over SSH on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import paramiko
from pyinfra.operations import server

from bench.figures import Section, Series
from bench.target import Target
from ccci.facts.warm import Exists

WARM_UP = 3  # calls that are not counted
_HOW = (
    "The command `true` as an operation through pyinfra's immediate mode and ccci's connector, a fact (`Exists`) "
    "through `ccci.facts.base.read`, and the same command through stock paramiko; in turn, on connections that were "
    "open before. sshd starts a shell for each, which is most of it."
)


def measure(target: Target, runs: int) -> Section:
    """Measure operations, facts and raw commands in turn."""
    operation = Series("operation", "ms", 5.0)
    fact = Series("fact", "ms")
    connector = Series("the connector's `run_shell_command` alone", "ms")
    raw = Series("stock paramiko `exec_command`", "ms")
    client = _paramiko(target)

    def stock() -> bytes:
        return client.exec_command("true")[1].read()

    try:
        calls: list[tuple[Series, Callable[[], Any]]] = [
            (operation, lambda: target.session.perform(server.shell, "true")),
            (fact, lambda: target.session.read(Exists, path=PurePosixPath("/"))),
            (connector, lambda: target.session.host.run_shell_command("true")),
            (raw, stock),
        ]
        for turn in range(runs + WARM_UP):
            for series, call in calls:
                start = time.perf_counter()
                call()
                if turn >= WARM_UP:
                    series.values.append((time.perf_counter() - start) * 1000)
    finally:
        client.close()
    return Section("One operation", _HOW, [series for series, _ in calls])


def _paramiko(target: Target) -> paramiko.SSHClient:
    host = target.settings.get_host()
    client = paramiko.SSHClient()
    client.load_host_keys(str(host.known_hosts))
    client.connect(
        host.address, host.port, host.user, key_filename=str(host.key), allow_agent=False, look_for_keys=False
    )
    return client
