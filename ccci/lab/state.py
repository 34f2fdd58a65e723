"""How a lab stands: what `ccci lab status` shows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ccci.lab import outer
from ccci.lab.inside import Inside
from ccci.lab.record import BASE_DOMAIN, LOOPBACK

if TYPE_CHECKING:
    from ccci.lab.record import Record

DISK = "du -sxm /var/lib/docker /var/lib/ci-warm | cut -f1"


def ssh_argv(lab: Record) -> list[str]:
    """The ssh command line that reaches the lab's host; nothing of the user's own settings in it."""
    keys = lab.folder
    options = [f"UserKnownHostsFile={keys / 'known_hosts'}", "StrictHostKeyChecking=yes"]
    options += ["IdentitiesOnly=yes", "LogLevel=ERROR"]
    argv = ["ssh", "-F", "none", "-i", str(keys / "id_ed25519"), "-p", str(lab.ssh_port)]
    return [*argv, *(part for option in options for part in ("-o", option)), f"root@{LOOPBACK}"]


def describe(lab: Record) -> dict[str, str]:
    """What there is to say of a lab, in the order to say it.

    Raises:
        CommandFailed: it runs, but does not answer.
    """
    found = {
        "lab": lab.name,
        "state": _state(lab),
        "ssh": shlex.join(ssh_argv(lab)),
        "ports": f"ssh {lab.ssh_port}, http {lab.http_port}, https {lab.https_port} on {LOOPBACK}",
        "base domain": f"{BASE_DOMAIN} (CA {lab.folder / 'ca.pem'})",
    }
    if found["state"] != "running":
        return found
    inside = Inside(outer.Engine(lab.engine), lab)
    repositories = inside.run("ls", "/srv/git", what="listing the lab's recipes").split()
    stacks = inside.run("docker", "stack", "ls", "--format", "{{.Name}}", what="listing the lab's stacks")
    docker, warm = inside.run("sh", "-c", DISK, what="measuring the lab").split()
    return {
        **found,
        "recipes": ", ".join(name.removesuffix(".git") for name in repositories),
        "images": ", ".join(sorted(inside.images())),
        "stacks": ", ".join(stacks.split()),
        "disk": f"{docker} MiB Docker, {warm} MiB ci-warm",
    }


def _state(lab: Record) -> str:
    """The state of the lab's container, in Docker's words, or what stands in its way."""
    engine = outer.running(lab.engine)
    if engine is None:
        return "stopped: its Docker engine does not run; `ccci lab up` starts it"
    if not engine.succeeds("container", "inspect", lab.container):
        return "incomplete: it has no container; `ccci lab up` makes it"
    argv = ("container", "inspect", "--format", "{{.State.Status}}", lab.container)
    return engine.run(*argv, what="looking at the lab's container")
