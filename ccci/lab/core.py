"""The verbs of the lab: up, down, reset. Each is idempotent, and safe beside another of the same lab."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from attrs import evolve

from ccci.errors import UsageError
from ccci.lab import building, hostimage, keys, outer, process, recipes, record
from ccci.lab.inside import PROXY_RECIPE, Inside
from ccci.lab.outer import Engine
from ccci.lab.record import LOOPBACK, Record
from ccci.paths import controller_home

DEFAULT_NAME = "lab"
DEFAULT_RECIPES = ("custom-html",)
LABEL_HOME = "ccci.lab.home"
# What systemd and Docker need inside; `--privileged` asks for more, which some machines cannot give.
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_CHROOT", "MKNOD", "SETFCAP", "SETPCAP"),
    *("DAC_READ_SEARCH", "AUDIT_WRITE", "AUDIT_CONTROL", "SYSLOG", "LINUX_IMMUTABLE", "IPC_LOCK"),
    *("SYS_BOOT", "SYS_NICE", "SYS_TTY_CONFIG", "LEASE", "NET_BROADCAST", "NET_BIND_SERVICE"),
)
CONFINEMENT = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")


class Reporter(Protocol):
    """Where the verbs say what they do."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """A step that begins and, when the block is left, has ended."""


def up(name: str, wanted: Iterable[str], report: Reporter) -> Record:
    """Bring a lab up, or add to it what is missing; a lab that is complete is left alone.

    Args:
        name: the lab's name.
        wanted: the recipes whose images are to be in it.
        report: is told each step.

    Returns:
        The lab.

    Raises:
        UsageError: a name or recipe is wrong; nothing was changed.
        InfrastructureError: there is no engine, or a build or a start failed.

    Side effects: an engine, a container and two volumes on this machine; files in the controller's home
    and cache.
    """
    record.checked_name(name)
    asked = [recipes.load(recipe) for recipe in wanted]
    with _lab_locked(name), contextlib.ExitStack() as stack:
        with report.step("engine"):
            engine = stack.enter_context(outer.in_use())
        lab = _described(name, engine).with_recipes(tuple(recipe.name for recipe in asked))
        images = _images(lab)
        with report.step("images of the host and of the recipes"):
            lab = _built(lab, engine, images)
        inside = Inside(engine, lab)
        with report.step("host"):
            _ensure_container(inside)
            inside.wait_until_up()
        with report.step("swarm"):
            inside.ensure_swarm()
        _fill(inside, images, report)
        lab.save()
        record.write_hosts_file(lab)
    return lab


def down(name: str, report: Reporter) -> bool:
    """Remove a lab whole: container, volumes, keys, hosts file, and our engine if nothing else uses it.

    Args:
        name: the lab's name.
        report: is told each step.

    Returns:
        Whether there was anything to remove.
    """
    record.checked_name(name)
    with _lab_locked(name):
        there = record.folder(name).exists()
        engine = outer.running()
        with report.step("host"):
            if engine is not None:
                there = _remove_container(engine, _blank(name)) or there
            record.forget(name)
    with report.step("engine"):
        outer.stop_if_unused()
    return there


def reset(name: str, report: Reporter) -> Record:
    """Make a lab anew, with the same ports, keys and recipes, and nothing else of the old one.

    Raises:
        UsageError: there is no such lab.
    """
    lab = existing(name)
    with _lab_locked(name), outer.in_use() as engine, report.step("remove the old host"):
        _remove_container(engine, lab)
    return up(name, lab.recipes, report)


def existing(name: str) -> Record:
    """The record of a lab.

    Raises:
        UsageError: there is no such lab.
    """
    lab = record.load(name)
    if lab is None:
        option = "" if name == DEFAULT_NAME else f" --name {name}"
        raise UsageError(f"there is no lab {name!r}", hint=f"`ccci lab up{option}` makes it")
    return lab


def _lab_locked(name: str) -> AbstractContextManager[None]:
    return process.locked(controller_home() / "labs" / f".{name}.lock")


def _described(name: str, engine: Engine) -> Record:
    old = record.load(name)
    if old is not None:
        return evolve(old, engine=engine.host)
    folder = record.folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.write_ssh_pair(folder / "id_ed25519", "ccci lab user")
    keys.write_ssh_pair(folder / "host_key", "ccci lab host")
    keys.write_certificates(folder, record.BASE_DOMAIN)
    ssh_port, http_port, https_port = _free_ports(3)
    lab = evolve(
        _blank(name), engine=engine.host, ssh_port=ssh_port, http_port=http_port, https_port=https_port
    )
    lab.save()
    return lab


def _blank(name: str) -> Record:
    return Record(name=name, engine="", ssh_port=0, http_port=0, https_port=0, image="")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _images(lab: Record) -> list[str]:
    """The images that a lab must have: the newest proxy first, since it is started while others load."""
    proxy = recipes.load(PROXY_RECIPE)
    newest = proxy.releases[-1].partition("+")[2]
    first = next(image for image in proxy.images if image.endswith(f":{newest}"))
    rest = [image for name in lab.recipes for image in recipes.load(name).images]
    return list(dict.fromkeys([first, *rest]))


def _built(lab: Record, engine: Engine, images: list[str]) -> Record:
    with ThreadPoolExecutor(max_workers=2) as pool:
        host = pool.submit(hostimage.ensure, engine)
        archives = [pool.submit(building.ensure_archive, building.spec(image)) for image in images]
        for archive in archives:
            archive.result()
        built = host.result()
    return lab if lab.image else evolve(lab, image=built)


def _ensure_container(inside: Inside) -> None:
    engine, lab = inside.engine, inside.record
    owner = _owner(engine, lab)
    if owner is None:
        volumes = [f"--volume={name}:{path}" for name, path in lab.volumes.items()]
        for volume in lab.volumes:
            label = f"--label={outer.LABEL}={lab.name}"
            engine.run("volume", "create", label, volume, what="making the lab's volumes")
        engine.run("create", *_create_options(lab), *volumes, lab.image, what="making the lab's container")
        inside.put_identity(_upstreams())
    elif owner != str(controller_home()):
        raise UsageError(
            f"a lab {lab.name!r} of another home ({owner}) runs on this machine",
            hint="choose another name with --name",
        )
    engine.run("start", lab.container, what="starting the lab's container")


def _owner(engine: Engine, lab: Record) -> str | None:
    """Whose the lab's container is: the controller's home that made it; None where there is none."""
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


def _fill(inside: Inside, images: list[str], report: Reporter) -> None:
    proxy = recipes.load(PROXY_RECIPE)
    with report.step("recipes"), tempfile.TemporaryDirectory(prefix="ccci-lab-") as folder:
        inside.run("update-ca-certificates", what="trusting the lab's CA")
        names = dict.fromkeys((*recipes.known(), *inside.record.recipes))
        inside.put_recipes({name: recipes.build(recipes.load(name), Path(folder)) for name in names})
    there = inside.images()
    missing = [image for image in images if image not in there]
    with report.step("proxy"):
        if images[0] in missing:
            inside.load(images[0])
        inside.ensure_proxy(proxy.releases[-1])
    for image in missing:
        if image != images[0]:
            with report.step(image):
                inside.load(image)
    with report.step("proxy answers"):
        inside.wait_for_proxy()


def _remove_container(engine: Engine, lab: Record) -> bool:
    owner = _owner(engine, lab)
    if owner not in {None, str(controller_home())}:
        return False
    engine.succeeds("rm", "--force", "--volumes", lab.container)
    for volume in lab.volumes:
        engine.succeeds("volume", "rm", "--force", volume)
    return owner is not None
