"""The container of a lab on the outer engine: made, started, removed."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from ccci.errors import UsageError
from ccci.lab import outer, record
from ccci.lab.inside import Inside
from ccci.lab.record import LOOPBACK, Record
from ccci.paths import controller_home

if TYPE_CHECKING:
    from ccci.lab.outer import Engine

LABEL_HOME = "ccci.lab.home"
# What systemd and Docker need inside; `--privileged` asks for more, which some machines cannot give.
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_CHROOT", "MKNOD", "SETFCAP", "SETPCAP"),
    *("DAC_READ_SEARCH", "AUDIT_WRITE", "AUDIT_CONTROL", "SYSLOG", "LINUX_IMMUTABLE", "IPC_LOCK"),
    *("SYS_BOOT", "SYS_NICE", "SYS_TTY_CONFIG", "LEASE", "NET_BROADCAST", "NET_BIND_SERVICE"),
)
CONFINEMENT = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")


def ensure(engine: Engine, lab: Record, built: str) -> Record:
    """Make and start the container of a lab, or start it if it is there.

    Args:
        engine: where it is to run.
        lab: the lab; its ports are kept where they are still free.
        built: the image for a new container.

    Returns:
        The lab with the ports and the image that it has now.

    Side effects: a container and two volumes on this machine.
    """
    if owner(engine, lab) is None:
        lab = _create(engine, _with_usable_ports(evolve(lab, image=built)))
    if not running(engine, lab):
        # Each time before a start: whoever was interrupted after making the container did not get here.
        Inside(engine, lab).put_identity(_upstreams())
        engine.run("start", lab.container, what="starting the lab's container")
    return lab


def check_owner(engine: Engine, lab: Record) -> None:
    """See that no other home has a lab of that name in this engine.

    Raises:
        UsageError: one has.
    """
    whose = owner(engine, lab)
    if whose not in {None, str(controller_home())}:
        raise UsageError(
            f"a lab {lab.name!r} of another home ({whose}) is on this machine",
            hint="choose another name with --name",
        )


def running(engine: Engine, lab: Record) -> bool:
    """Whether the lab's container runs."""
    argv = ("container", "ls", "--quiet", "--filter", f"name=^{lab.container}$")
    return bool(engine.run(*argv, what="looking for the lab's container"))


def _create(engine: Engine, lab: Record) -> Record:
    volumes = [f"--volume={name}:{path}" for name, path in lab.volumes.items()]
    label = f"--label={outer.LABEL}={lab.name}"
    for volume in lab.volumes:
        engine.succeeds("volume", "rm", volume)  # of a container that somebody removed by hand
        engine.run("volume", "create", label, volume, what="making the lab's volumes")
    engine.run("create", *_create_options(lab), *volumes, lab.image, what="making the lab's container")
    lab.save()
    return lab


def _with_usable_ports(lab: Record) -> Record:
    """The lab with new ports in place of those that it never had or that are taken by now."""
    with contextlib.ExitStack() as stack:
        ports = [_bound(stack, port) for port in (lab.ssh_port, lab.http_port, lab.https_port)]
    return evolve(lab, ssh_port=ports[0], http_port=ports[1], https_port=ports[2])


def _bound(stack: contextlib.ExitStack, port: int) -> int:
    """A port that is free until the stack is left: the wanted one, else any."""
    listener = stack.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.bind((LOOPBACK, 0))
    return int(listener.getsockname()[1])


def owner(engine: Engine, lab: Record) -> str | None:
    """Whose the lab's container is: the controller's home that made it; None where there is none.

    Raises:
        CommandFailed: the engine cannot say.
    """
    if not engine.succeeds("container", "inspect", lab.container):
        return None
    template = f'{{{{index .Config.Labels "{LABEL_HOME}"}}}}'
    argv = ("container", "inspect", "--format", template, lab.container)
    return engine.run(*argv, what="looking at the lab's container")


def _create_options(lab: Record) -> list[str]:
    published = {lab.ssh_port: 22, lab.http_port: 80, lab.https_port: 443}
    return [
        f"--name={lab.container}",
        f"--hostname={lab.name}",
        f"--label={outer.LABEL}={lab.name}",
        f"--label={LABEL_HOME}={controller_home()}",
        *(f"--publish={LOOPBACK}:{port}:{target}" for port, target in published.items()),
        *(f"--cap-add={capability}" for capability in CAPABILITIES),
        *(f"--security-opt={option}" for option in CONFINEMENT),
        "--device-cgroup-rule=a *:* rwm",
        "--cgroupns=private",
        "--stop-signal=SIGRTMIN+3",
        "--restart=unless-stopped",  # so that `reboot` on the host is one
        *("--tmpfs=/run:exec,mode=755", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec,mode=1777"),
        f"--dns={record.ADDRESS}",
        "--entrypoint=/usr/local/sbin/lab-init",
    ]


def _upstreams() -> list[str]:
    """The name servers of this machine that a container can reach; loopback ones it cannot."""
    for path in (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")):
        if path.exists():
            lines = [line.split() for line in path.read_text().splitlines()]
            found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
            if usable := [server for server in found if not server.startswith(("127.", "::1"))]:
                return usable
    return []


def remove(engine: Engine, lab: Record) -> bool:
    """Remove the container of a lab and its volumes, unless it belongs to another home.

    Returns:
        Whether there was a container.
    """
    whose = owner(engine, lab)
    if whose not in {None, str(controller_home())}:
        return False
    engine.succeeds("rm", "--force", "--volumes", lab.container)
    for volume in lab.volumes:
        engine.succeeds("volume", "rm", "--force", volume)
    return whose is not None
