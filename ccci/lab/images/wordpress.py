"""WordPress as Debian packages it, in two releases, with Apache; the tag is WordPress's version."""

from __future__ import annotations

from ccci.lab import building

PACKAGES = (
    "wordpress", "apache2", "libapache2-mod-php", "php-mysql", "php-gd", "php-xml", "curl", "ca-certificates"
)  # fmt: skip
VERSIONS = {  # version -> Debian release, the theme that it makes the default
    "6.1": ("bookworm", "twentytwentythree"),
    "6.8": ("trixie", "twentytwentyfive"),
}
CONFIG = {
    "Entrypoint": ["/usr/local/sbin/start-wordpress"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "ExposedPorts": {"80/tcp": {}},
    "StopSignal": "SIGTERM",
    "Volumes": {"/var/www/html/wp-content": {}},
}

SPECS = tuple(
    building.ImageSpec(
        reference=f"wordpress:{version}",
        inputs=(suite, *PACKAGES, theme, building.script("wordpress.sh")),
        build=building.debian(suite, (*PACKAGES, f"wordpress-theme-{theme}"), "wordpress.sh", version),
        config=CONFIG,
    )
    for version, (suite, theme) in VERSIONS.items()
)
