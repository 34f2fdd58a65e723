"""nginx as Debian packages it, in two releases: two real versions, so that an upgrade is a real one."""

from __future__ import annotations

from ccci.lab import building

PACKAGES = ("nginx-light", "curl", "ca-certificates")
VERSIONS = {"1.22.1": "bookworm", "1.26.3": "trixie"}
CONFIG = {
    "Cmd": ["nginx", "-g", "daemon off;"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGQUIT",
}

SPECS = tuple(
    building.ImageSpec(
        reference=f"nginx:{version}",
        inputs=(suite, *PACKAGES, building.script("nginx.sh")),
        build=building.debian(suite, PACKAGES, "nginx.sh", version),
        config=CONFIG,
    )
    for version, suite in VERSIONS.items()
)
