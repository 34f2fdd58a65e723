"""The live Keycloak of the lab, seen by the tests themselves: a plain HTTPS client, nothing of a run in between."""

from __future__ import annotations

import json
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

if TYPE_CHECKING:
    from ccci.model.realm import RealmSpec
    from tests.support.host import LabHost


class LabAdapter(HTTPAdapter):
    """Reaches the lab's proxy at its port on loopback, by the real names: TLS is verified for those."""

    def __init__(self, port: int, loses: str = "") -> None:
        """Remember where the proxy is, and a path whose answers to POST are lost on the way back."""
        super().__init__()
        self._loses = loses
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
    def send(self, request: requests.PreparedRequest, *args: Any, **arguments: Any) -> requests.Response:
        answer = super().send(request, *args, **arguments)
        if request.method == "POST" and request.path_url == self._loses:
            answer.close()
            raise requests.ConnectionError("lost by the tests")
        return answer

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
    def stack(self) -> str:
        """Its stack."""
        return self.domain.replace(".", "_")

    @property
    def url(self) -> str:
        """Its public URL."""
        return f"https://{self.domain}"

    def http(self, loses: str = "") -> requests.Session:
        """Return a client that trusts the lab's authority and nobody else.

        Args:
            loses: a path whose answers to POST are lost on the way back.
        """
        session = requests.Session()
        session.trust_env = False
        session.verify = self.host.settings["ca"]
        session.mount("https://", LabAdapter(self.https_port, loses))
        return session

    def password(self) -> str:
        """Return the administrator's password, as the host has it."""
        container = f"docker ps -q -f label=com.docker.swarm.service.name={self.stack}_app"
        return self.host.sh(f"docker exec $({container}) cat /run/secrets/admin_password")

    def admin(self, password: str | None = None) -> KeycloakAdmin:
        """Return an administrator's client, with the right password or another."""
        return KeycloakAdmin(self.url, self.http(), "admin", self.password() if password is None else password)

    def sso(self, spec: RealmSpec) -> Sso:
        """Return what a test of a recipe would get with this realm."""
        secrets = (spec.client_id, spec.client_secret, spec.username, spec.password)
        return Sso(SsoContext(spec.issuer, spec.name, *secrets), self.http())


def https_port(host: LabHost) -> int:
    """Return the port of the lab's proxy on this machine."""
    return int(json.loads((host.home / "labs" / host.name / "lab.json").read_text("utf-8"))["https_port"])
