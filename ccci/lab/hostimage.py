"""The image of the lab's container: a Debian with systemd, sshd and Docker, kept in the outer engine."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ccci.lab import building

if TYPE_CHECKING:
    from ccci.lab.outer import Engine

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "cron", "procps", "util-linux", "python3"),
    *("openssh-server", "ca-certificates", "openssl", "curl", "iproute2", "iptables", "dnsmasq-base"),
    *("docker.io", "git", "jq", "zstd", "attr", "acl"),
)
ROOTFS = Path(__file__).parent / "rootfs"
REPOSITORY = "ccci-lab-host"


def reference() -> str:
    """Name and tag of the image; the tag is the hash of all it is made of."""
    digest = hashlib.sha256()
    for part in (building.FORMAT, SUITE, *PACKAGES, building.script("host.sh")):
        digest.update(part.encode() + b"\0")
    for path in sorted(ROOTFS.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOTFS)}\0".encode() + path.read_bytes() + b"\0")
    return f"{REPOSITORY}:{digest.hexdigest()[:16]}"


def ensure(engine: Engine) -> str:
    """Build the image into the engine if it is not there, and remove older ones.

    Returns:
        Its reference.

    Raises:
        CommandFailed: the build failed; names its log.
    """
    name = reference()
    if engine.succeeds("image", "inspect", name):
        return name
    building.image_cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=building.image_cache()) as folder:
        tar = Path(folder) / "rootfs.tar"
        log = building.logs() / f"{name.replace(':', '-')}.log"
        building.run_mmdebstrap(SUITE, PACKAGES, ["host.sh", str(ROOTFS)], log=log, target=tar)
        engine.run("import", str(tar), name, what="importing the image of the lab's host", timeout=300)
    _remove_older(engine, name)
    return name


def _remove_older(engine: Engine, keep: str) -> None:
    listing = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY)
    for other in engine.run(*listing, what="listing images of the lab's host").splitlines():
        if other != keep:
            engine.succeeds("image", "rm", other)  # one that a lab still runs stays
