"""Keycloak's own distribution on Debian's Java, built for MariaDB as its guide says: two real versions."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from ccci.errors import InfrastructureError
from ccci.lab import building, outer, process

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = "trixie"
PACKAGES = ("openjdk-21-jre-headless", "curl", "ca-certificates")
DISTRIBUTIONS = {  # version -> sha256 of org.keycloak:keycloak-quarkus-dist, a zip
    "26.5.6": "490189d9dff05272432d51f71a069462eeca97f2920a694d539a1e6c26a5a347",
    "26.7.3": "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f",
}
CONFIG = {
    "Entrypoint": ["/opt/keycloak/bin/kc.sh"],
    "Cmd": ["start", "--optimized"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "ExposedPorts": {"8080/tcp": {}},
    "User": "1000",
    "WorkingDir": "/opt/keycloak",
}


def _builder(version: str) -> Callable[[Path, Path, Path], None]:
    def build(folder: Path, log: Path, target: Path) -> None:
        outer.require_programs(("mvn",))
        artifact = f"org.keycloak:keycloak-quarkus-dist:{version}:zip"
        fetch = ["mvn", "--batch-mode", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        process.run_logged(fetch, log, what=f"fetching Keycloak {version}")
        archive = folder / f"keycloak-quarkus-dist-{version}.zip"
        _check(archive, version)
        building.run_mmdebstrap(SUITE, PACKAGES, ["keycloak.sh", version, str(archive)], log=log, target=target)

    return build


def _check(archive: Path, version: str) -> None:
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != DISTRIBUTIONS[version]:
        raise InfrastructureError(
            f"the distribution of Keycloak {version} has sha256 {found}",
            hint="it is not what this lab was made with: correct the lab's list, if you know why",
        )


SPECS = tuple(
    building.ImageSpec(
        reference=f"keycloak:{version}",
        inputs=(SUITE, *PACKAGES, digest, building.script("keycloak.sh")),
        build=_builder(version),
        config=CONFIG,
    )
    for version, digest in DISTRIBUTIONS.items()
)
