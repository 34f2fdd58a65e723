"""Apache with mod_auth_openidc as Debian packages them, in two releases; the tag is the module's version."""

from __future__ import annotations

from ccci.lab import building

PACKAGES = ("apache2", "libapache2-mod-auth-openidc", "curl", "ca-certificates")
VERSIONS = {"2.4.12": "bookworm", "2.4.17": "trixie"}
CONFIG = {
    # not apache2ctl: its shell would not hand the stop signal on
    "Cmd": ["sh", "-c", ". /etc/apache2/envvars && mkdir -p $APACHE_RUN_DIR && exec apache2 -D FOREGROUND"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGTERM",
}

SPECS = tuple(
    building.ImageSpec(
        reference=f"httpd-openidc:{version}",
        inputs=(suite, *PACKAGES, building.script("apache.sh")),
        build=building.debian(suite, PACKAGES, "apache.sh", version),
        config=CONFIG,
    )
    for version, suite in VERSIONS.items()
)
