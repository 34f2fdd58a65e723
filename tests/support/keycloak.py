"""The live Keycloak of the lab, seen by the tests themselves: a plain HTTPS client, nothing of a run in between."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3 import HTTPSConnectionPool

from ccci.clients.keycloak import KeycloakAdmin
from ccci.testing.context import SsoContext
from ccci.testing.sso import Sso
from tests.support.running import Running, clean_environment, python_program

if TYPE_CHECKING:
    from ccci.model.realm import RealmSpec
    from tests.support.host import LabHost

PATIENCE = 900.0  # seconds: the first time on a machine the images are built


class LabAdapter(HTTPAdapter):
    """Reaches the lab's proxy at its port on loopback, by the real names: TLS is verified for those."""

    def __init__(self, port: int) -> None:
        """Remember where the proxy is."""
        super().__init__()
        self._port = port
        self._pools: dict[str, HTTPSConnectionPool] = {}

    @override
    def get_connection_with_tls_context(self, request: Any, verify: Any, *_: Any, **__: Any) -> HTTPSConnectionPool:
        name = str(urlsplit(request.url).hostname)
        request.headers["Host"] = name
        if name not in self._pools:
            checks: dict[str, Any] = {"server_hostname": name, "assert_hostname": name, "ca_certs": verify}
            self._pools[name] = HTTPSConnectionPool("127.0.0.1", self._port, cert_reqs="CERT_REQUIRED", **checks)
        return self._pools[name]

    @override
    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        super().close()


@attrs.frozen
class LiveKeycloak:
    """The live Keycloak of a lab.

    Attributes:
        host: the lab.
        https_port: where its proxy is on loopback.
    """

    host: LabHost
    https_port: int

    @property
    def domain(self) -> str:
        """Its domain."""
        return f"warm-keycloak.{self.host.settings['base_domain']}"

    @property
    def url(self) -> str:
        """Its public URL."""
        return f"https://{self.domain}"

    def http(self) -> requests.Session:
        """Return a client that trusts the lab's authority and nobody else."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.host.settings["ca"]
        session.mount("https://", LabAdapter(self.https_port))
        return session

    def password(self) -> str:
        """Return the administrator's password, as the host has it."""
        container = f"docker ps -q -f label=com.docker.swarm.service.name={self.domain.replace('.', '_')}_app"
        return self.host.sh(f"docker exec $({container}) cat /run/secrets/admin_password")

    def admin(self, password: str | None = None) -> KeycloakAdmin:
        """Return an administrator's client, with the right password or another."""
        return KeycloakAdmin(self.url, self.http(), "admin", self.password() if password is None else password)

    def sso(self, spec: RealmSpec) -> Sso:
        """Return what a test of a recipe would get with this realm."""
        secrets = (spec.client_id, spec.client_secret, spec.username, spec.password)
        return Sso(SsoContext(spec.issuer, spec.name, *secrets), self.http())


def keycloak_up(host: LabHost) -> LiveKeycloak:
    """Bring the live Keycloak of a lab up, unless it is; side by side one process does it and all others wait."""
    with (host.home / f"{host.name}-keycloak-up").open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        if not mark.seek(0, os.SEEK_END):
            for words in (("lab", "up", "--name", host.name, "--recipes", "keycloak"), ("play", "reconcile_keycloak")):
                env = clean_environment({**host.environment(), "CCCI_HOME": str(host.home)})
                done = Running(python_program("ccci", *words), env, host.folder, None).finish(PATIENCE)
                assert done.code == 0, done.all
            mark.write("yes")
    return LiveKeycloak(host, https_port(host))


def https_port(host: LabHost) -> int:
    """Return the port of the lab's proxy on this machine."""
    return int(json.loads((host.home / "labs" / host.name / "lab.json").read_text("utf-8"))["https_port"])
