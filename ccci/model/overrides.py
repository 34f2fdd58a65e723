"""The compose file that ccci adds as the last ``-c``, and the recipe's own files where adding is not enough.

What docker's loader does with a further file, measured with the loaders of 20.10.24 and 28.5.1:

- labels under ``deploy`` merge by name, ``endpoint_mode`` is replaced;
- a volume at the top is replaced **whole**: ``{external: true, name: …}`` leaves nothing of the recipe's
  ``driver``, ``driver_opts`` or ``labels``, so there is no conflict between them;
- ports are keyed by the published number alone, so the later file's mode counts. The price: as soon as a
  further file touches a service, docker itself drops all but the last of its ports with one published number
  (443/tcp and 443/udp) and of those without one;
- in later sources (read, not measured) ports are keyed by all fields: none is dropped, but ingress and host
  mode of one port are then two ports, and swarm refuses the pair. `host_mode_ports` avoids that on every
  version, since it rewrites the recipe's own files;
- all files must have the same ``version``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml
from typing_extensions import override

from ccci.model import safeyaml
from ccci.model.interpolation import Interpolator
from ccci.model.names import volume_name
from ccci.model.servicereader import read_service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ccci.model.compose import Compose, Service
    from ccci.model.shortsyntax import Port

APP_SERVICE = "app"  # the service that carries abra's labels, by convention
_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Dumper(yaml.SafeDumper):
    """No anchors, and every string in quotes, since PyYAML and go-yaml differ on which need them."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def quoted(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _Dumper.quoted)


def extra_compose(
    compose: Compose,
    *,
    stack: str,
    labels: Mapping[str, str],
    forks: Mapping[str, str] = _NOTHING,
    dnsrr: bool = False,
    version: str = "3.8",
) -> str:
    """Write the compose file that is merged last.

    Args:
        compose: the recipe's merged files.
        stack: the stack's name; not part of the text today, since labels and forks come with full names.
        labels: added to the service ``app`` under ``deploy``; dropped if the recipe has no such service.
        forks: real names of the volumes that take the place of the recipe's, by their keys.
        dnsrr: whether every service gets ``endpoint_mode: dnsrr``, for hosts without IPVS, and its ingress
            ports host mode. Newer dockers need `host_mode_ports` for that: see the module's notes.
        version: of the file format; pass ``compose.version``, since docker refuses two different ones.

    Returns:
        YAML, the same for the same arguments.

    Raises:
        UsageError: the name of a fork is none that docker takes.
    """
    del stack
    services = {name: _service(service, labels, dnsrr=dnsrr) for name, service in compose.services.items()}
    services = {name: part for name, part in services.items() if part}
    volumes = {
        key: {"external": True, "name": volume_name(name, what=f"fork of the volume {key}")}
        for key, name in forks.items()
    }
    content: dict[str, Any] = {"version": version}
    content.update({key: part for key, part in (("services", services), ("volumes", volumes)) if part})
    return _dump(content)


def _service(service: Service, labels: Mapping[str, str], *, dnsrr: bool) -> dict[str, Any]:
    part: dict[str, Any] = {}
    deploy: dict[str, Any] = {"endpoint_mode": "dnsrr"} if dnsrr else {}
    if service.name == APP_SERVICE and labels:
        deploy["labels"] = {key: _escaped(value) for key, value in labels.items()}
    if deploy:
        part["deploy"] = deploy
    if dnsrr and (ports := [_long(port) for port in service.ports if port.mode == "ingress"]):
        part["ports"] = ports
    return part


def host_mode_ports(files: Sequence[tuple[str, str]], env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Publish every port of a recipe on the host itself instead of the routing mesh.

    Args:
        files: (name, text) of the recipe's compose files.
        env: the variables; only ports are replaced by their values, everything else keeps its references.

    Returns:
        The same files in the same order. A file without published ports is unchanged; the others are written
        anew without comments and anchors, their ports in the long form with ``mode: host``.

    Raises:
        ComposeError: a file cannot be read.
    """
    return tuple((where, _with_host_ports(where, text, env)) for where, text in files)


def _with_host_ports(where: str, text: str, env: Mapping[str, str]) -> str:
    content = safeyaml.load_mapping(text, where=where)
    services = Interpolator(env, where).sections(content).get("services") or {}
    changed = False
    for name, raw in services.items() if isinstance(services, dict) else ():
        if isinstance(raw, dict) and (ports := read_service(name, raw, where).ports):
            content["services"][name]["ports"] = [_long(port) for port in ports]
            changed = True
    return _dump(content) if changed else text


def _long(port: Port) -> dict[str, Any]:
    published = {"published": port.published} if port.published else {}
    return {"target": port.target, **published, "protocol": port.protocol, "mode": "host"}


def _escaped(value: str) -> str:
    return str(value).replace("$", "$$")  # docker replaces variables in this file too


def _dump(content: Mapping[str, Any]) -> str:
    text: str = yaml.dump(
        dict(content),
        Dumper=_Dumper,
        sort_keys=True,
        allow_unicode=True,
        default_flow_style=False,
        width=1000,
    )
    return text
