"""MariaDB as Debian packages it, with the variables of the usual image for the first start."""

from __future__ import annotations

from ccci.lab import building

SUITE = "bookworm"
VERSION = "10.11"
PACKAGES = ("mariadb-server", "mariadb-client", "tzdata")
CONFIG = {
    "Entrypoint": ["/usr/local/sbin/start-mariadb"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "ExposedPorts": {"3306/tcp": {}},
    "Volumes": {"/var/lib/mysql": {}},
}

SPECS = (
    building.ImageSpec(
        reference=f"mariadb:{VERSION}",
        inputs=(SUITE, *PACKAGES, building.script("mariadb.sh")),
        build=building.debian(SUITE, PACKAGES, "mariadb.sh", VERSION),
        config=CONFIG,
    ),
)
