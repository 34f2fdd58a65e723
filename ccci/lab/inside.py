"""Everything that is done inside a lab's container once it runs: Swarm, images, recipes, the proxy."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

from attrs import frozen

from ccci.errors import CommandFailed
from ccci.lab import building, process, recipes, wait
from ccci.lab.record import ADDRESS, BASE_DOMAIN, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ccci.lab.outer import Engine

CA_CONFIG = "lab_ca"
PROXY_RECIPE = "traefik"
PROXY_DOMAIN = f"traefik.{BASE_DOMAIN}"
PROXY_STACK = PROXY_DOMAIN.replace(".", "_")
PROXY_ENV = """\
TYPE=traefik:{version}
DOMAIN={domain}
LETS_ENCRYPT_ENV=
COMPOSE_FILE="compose.yml"
WILDCARDS_ENABLED=1
SECRET_WILDCARD_CERT_VERSION=v1
SECRET_WILDCARD_KEY_VERSION=v1
COMPOSE_FILE="$COMPOSE_FILE:compose.wildcard.yml"
"""
# What abra would do by hand. The env file and abra.sh are the lab's own, so a shell may read them.
DEPLOY = """\
set -eu
clone="/root/.abra/recipes/$1"
[ -d "$clone" ] || git clone --quiet "file:///srv/git/$1.git" "$clone"
cd "$clone"
git checkout --quiet "$2"
export STACK_NAME="$4"
set -a
. "/root/.abra/servers/default/$3.env"
. ./abra.sh
set +a
for part in cert key; do
    docker secret inspect "${STACK_NAME}_ssl_${part}_v1" >/dev/null 2>&1 ||
        docker secret create "${STACK_NAME}_ssl_${part}_v1" "/etc/ccci-lab/cert.$part" >/dev/null
done
files=$(printf %s "$COMPOSE_FILE" | sed 's/:/ -c /g')
docker stack deploy --resolve-image never -c $files "$STACK_NAME"
"""


@frozen
class Inside:
    """The inside of one lab.

    Attributes:
        engine: the engine that its container runs in.
        record: the lab.
    """

    engine: Engine
    record: Record

    def run(self, *argv: str, what: str, stdin: bytes | None = None, timeout: float = 120) -> str:
        """Run a command in the container; result and errors as in `process.run`."""
        head = ("exec", "--interactive", self.record.container)
        return self.engine.run(*head, *argv, what=what, stdin=stdin, timeout=timeout)

    def succeeds(self, *argv: str) -> bool:
        """Whether a command in the container ends with 0."""
        return self.engine.succeeds("exec", self.record.container, *argv)

    def put(self, files: Mapping[str, tuple[bytes, int]], trees: Mapping[str, Path] | None = None) -> None:
        """Write files into the container, which need not run; everything belongs to root.

        Args:
            files: path -> (content, mode).
            trees: path -> a folder of this machine whose content goes there.
        """
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, (body, mode) in files.items():
                info = tarfile.TarInfo(path.lstrip("/"))
                info.size, info.mode = len(body), mode
                tar.addfile(info, io.BytesIO(body))
            for path, tree in (trees or {}).items():
                tar.add(tree, path.lstrip("/"), filter=_as_root)
        target = f"{self.record.container}:/"
        self.engine.run("cp", "-", target, what="writing files into the lab", stdin=buffer.getvalue())

    def put_identity(self, upstreams: list[str]) -> None:
        """Give the container its keys, certificates and name server; before its first start."""
        keys = self.record.folder
        dns = [f"listen-address={ADDRESS}", "bind-interfaces", "no-resolv", "no-hosts", "user=root"]
        dns += [f"address=/{BASE_DOMAIN}/{ADDRESS}", *(f"server={server}" for server in upstreams)]
        daemon = {"dns": [ADDRESS], "storage-driver": "overlay2"}
        self.put(
            {
                "/etc/ccci-lab/lab.env": (f"LAB_ADDRESS={ADDRESS}\n".encode(), 0o644),
                "/etc/ccci-lab/dnsmasq.conf": ("\n".join([*dns, ""]).encode(), 0o644),
                "/etc/ccci-lab/cert.cert": ((keys / "cert.pem").read_bytes(), 0o644),
                "/etc/ccci-lab/cert.key": ((keys / "cert.key").read_bytes(), 0o600),
                "/usr/local/share/ca-certificates/ccci-lab.crt": ((keys / "ca.pem").read_bytes(), 0o644),
                "/etc/docker/daemon.json": (json.dumps(daemon).encode(), 0o644),
                "/etc/ssh/ssh_host_ed25519_key": ((keys / "host_key").read_bytes(), 0o600),
                "/root/.ssh/authorized_keys": ((keys / "id_ed25519.pub").read_bytes(), 0o600),
            }
        )

    def wait_until_up(self, timeout: float = 60) -> None:
        """Wait for systemd, sshd and the engine inside.

        Raises:
            CommandTimeout: one of them did not come; shows which units failed.
        """
        probe = "systemctl is-active --quiet ssh docker && docker info >/dev/null"
        wait.until(
            lambda: self.succeeds("sh", "-c", probe),
            what="sshd and the engine in the lab",
            timeout=timeout,
            detail=self._failed_units,
        )

    def ensure_swarm(self) -> None:
        """Make the engine inside a Swarm of one node with the network `proxy`."""
        if not self.succeeds("docker", "node", "ls"):
            init = ("docker", "swarm", "init", "--advertise-addr", "127.0.0.1")
            self.run(*init, what="making the lab's Swarm")
        if not self.succeeds("docker", "network", "inspect", "proxy"):
            create = ("docker", "network", "create", "--driver", "overlay", "--attachable", "proxy")
            self.run(*create, what="making the lab's network")

    def images(self) -> list[str]:
        """The images in the engine inside, as name:tag."""
        listing = ("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        return self.run(*listing, what="listing the lab's images").splitlines()

    def load(self, reference: str) -> None:
        """Load an image from the cache into the engine inside, building it first if need be."""
        archive = building.ensure_archive(building.spec(reference))
        argv = self.engine.argv("exec", "--interactive", self.record.container, "docker", "load", "--quiet")
        process.run_from_file(argv, archive, what=f"loading {reference} into the lab")

    def outdated_recipes(self, names: Iterable[str]) -> list[str]:
        """Those recipes whose repositories are not there, or are of other sources than ours."""
        script = f'cd /srv/git 2>/dev/null && grep -H "" *.git/{recipes.MARK} || :'
        lines = self.run("sh", "-c", script, what="listing the lab's recipes").splitlines()
        return [name for name in names if f"{name}.git/{recipes.MARK}:{recipes.digest(name)}" not in lines]

    def put_recipes(self, repositories: Mapping[str, Path]) -> None:
        """Put bare repositories to `/srv/git/<recipe>.git`, in place of what is there.

        Args:
            repositories: recipe -> its bare repository on this machine.
        """
        places = {name: f"/srv/git/{name}.git" for name in repositories}
        self.run("rm", "-rf", *places.values(), what="removing older recipes")
        self.put({}, {places[name]: path for name, path in repositories.items()})

    def trust_ca(self) -> None:
        """Put the lab's CA into the host's trust store."""
        script = "test -e /etc/ssl/certs/ccci-lab.pem || update-ca-certificates"
        self.run("sh", "-c", script, what="trusting the lab's CA")

    def ensure_ca_config(self) -> None:
        """Put the lab's CA into the swarm config `lab_ca`, for containers that talk to other apps of the lab."""
        if not self.succeeds("docker", "config", "inspect", CA_CONFIG):
            file = "/usr/local/share/ca-certificates/ccci-lab.crt"
            self.run("docker", "config", "create", CA_CONFIG, file, what="publishing the lab's CA to containers")

    def ensure_proxy(self, version: str) -> None:
        """Deploy the proxy in wildcard mode, unless a proxy is deployed.

        Args:
            version: the released version of the recipe.
        """
        if self.succeeds("docker", "service", "inspect", f"{PROXY_STACK}_app"):
            return
        env = PROXY_ENV.format(version=version, domain=PROXY_DOMAIN).encode()
        self.put({f"/root/.abra/servers/default/{PROXY_DOMAIN}.env": (env, 0o600)})
        arguments = (PROXY_RECIPE, version, PROXY_DOMAIN, PROXY_STACK)
        self.run("sh", "-s", *arguments, what="deploying the proxy", stdin=DEPLOY.encode())

    def wait_for_proxy(self) -> None:
        """Wait until the proxy answers over TLS with the lab's certificate, whatever it answers."""
        url = f"https://{PROXY_DOMAIN}/"
        wait.until(
            lambda: self.succeeds("curl", "--silent", "--output", "/dev/null", "--max-time", "2", url),
            what=f"an answer of the proxy at {url} with the lab's certificate",
            timeout=60,
            detail=lambda: self._try("docker", "service", "ps", "--no-trunc", f"{PROXY_STACK}_app"),
        )

    def _failed_units(self) -> str:
        return self._try("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager")

    def _try(self, *argv: str) -> str:
        try:
            return self.run(*argv, what="asking the lab")
        except CommandFailed as error:
            return error.detail or str(error)


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
