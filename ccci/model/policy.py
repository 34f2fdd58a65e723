"""What a recipe may ask of the host: strict, with exceptions that its enrolment names. Pure; docs/security.md.

Every file is looked at by itself, before the files are merged: what one file says is refused although a later one
takes it back. So it does not matter here by which rules this version of docker merges.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

import attrs

from ccci.errors import PolicyRefused
from ccci.model import routing
from ccci.model.app import App
from ccci.model.compose import Compose, Part, explicit_name
from ccci.model.exceptions import KINDS, Exceptions
from ccci.model.names import shown
from ccci.model.shortsyntax import Mount, read_mount, read_ports

SERVICES_MAX = 50
TASKS_MAX = 100  # of all services together
DEFINITIONS_MAX = 200  # volumes, networks, configs and secrets, each
STOP_MAX = 100.0  # seconds; an app that takes two minutes to stop counts as stuck
FAULTS_SHOWN = 14  # of an error's detail 15 lines are shown
SHARED_NETWORK = "proxy"
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")

_OFF: tuple[Any, ...] = (None, False, "", "false", [], {})
# fmt: off
_INSIDE = frozenset({  # keys of a service that reach nothing outside of its containers, or that swarm ignores
    "build", "cap_drop", "command", "configs", "container_name", "depends_on", "deploy", "dns", "dns_search",
    "domainname", "entrypoint", "env_file", "environment", "expose", "extra_hosts", "healthcheck", "hostname",
    "image", "init", "labels", "links", "logging", "networks", "platform", "ports", "read_only", "restart",
    "secrets", "stdin_open", "stop_grace_period", "stop_signal", "tmpfs", "tty", "ulimits", "user", "volumes",
    "working_dir",
})
_DEPLOY = frozenset({
    "endpoint_mode", "labels", "mode", "placement", "replicas", "resources", "restart_policy", "rollback_config",
    "update_config",
})
# fmt: on
_TOPS = frozenset({"version", "name", "services", "volumes", "networks", "secrets", "configs"})
_LOGGING = ("json-file", "local", "journald", "none")
_NETWORK_OPTIONS = ("encrypted", "com.docker.network.driver.mtu")
_RESOURCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_FORGED = ("ccci.", "com.docker.")
_DURATION = re.compile(r"(?:[0-9]{1,6}(?:\.[0-9]{1,6})?(?:h|ms|m|us|s))+")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
Faults = Iterator[str]


def check(compose: Compose, files: Container[str], app: App, allow: Exceptions, *, version: str = "") -> None:
    """Refuse a deployment that asks for more than the policy lets it have.

    Args:
        compose: what its files say, variables replaced.
        files: the paths of the plain files in the recipe's tree.
        app: where it goes.
        allow: the exceptions of the recipe's enrolment.
        version: which version of the recipe it is, for the message.

    Raises:
        PolicyRefused: with all faults at once: where, what, and what to do. Nothing was changed.
    """
    faults = list(dict.fromkeys(_Policy(app, allow, compose, files).faults()))
    if faults:
        asks = f"{app.recipe} {version}".rstrip() + " asks for what ccci refuses"
        more = [f"and {len(faults) - FAULTS_SHOWN} more"] if len(faults) > FAULTS_SHOWN else []
        raise PolicyRefused(
            f"{asks}: {faults[0]}" if len(faults) == 1 else f"{asks}, in {len(faults)} places",
            hint=f"docs/security.md says why; exceptions are in [policy] of recipes/{app.recipe}/recipe_meta.toml",
            detail="\n".join([*faults[:FAULTS_SHOWN], *more]) if len(faults) > 1 else None,
        )


@attrs.frozen
class _Policy:
    app: App
    allow: Exceptions
    compose: Compose
    files: Container[str]

    def faults(self) -> Faults:
        yield from self._sizes()
        readers = {
            "services": self._service,
            "volumes": self._volume,
            "networks": self._network,
            "configs": self._resource,
            "secrets": self._resource,
        }
        for part in self.compose.parts:
            if part.section not in _TOPS and not part.section.startswith("x-"):
                yield f"{part.where}: {shown(part.section)[1:-1]}: no part of a stack; write it into the file itself"
            elif part.section in readers:
                for fault in readers[part.section](part):
                    yield f"{part.where}: {part.section}.{part.key}{fault}"

    def _sizes(self) -> Faults:
        compose = self.compose
        if len(compose.services) > SERVICES_MAX:
            yield f"{len(compose.services)} services: at most {SERVICES_MAX}"
        if (tasks := sum(service.replicas for service in compose.services.values())) > TASKS_MAX:
            yield f"{tasks} tasks of all services together: at most {TASKS_MAX}; lower replicas"
        for kind in ("volumes", "networks", "configs", "secrets"):
            if len(getattr(compose, kind)) > DEFINITIONS_MAX:
                yield f"{len(getattr(compose, kind))} {kind}: at most {DEFINITIONS_MAX}"

    def own(self, name: str) -> bool:
        return name.startswith(f"{self.app.stack}_")

    # services

    def _service(self, part: Part) -> Faults:
        raw = part.raw
        for key in sorted(raw.keys() - _INSIDE):
            yield from self._more(key, raw[key])
        for entry in raw.get("volumes") or []:
            yield from self._mount(read_mount(entry))
        for number in [str(port.published or "any") for entry in raw.get("ports") or [] for port in read_ports(entry)]:
            if not self.allow.has("port", number):
                yield f'.ports: publishes a port of the host ({number}): remove it, or allow it: "port:{number}"'
        env_files = raw.get("env_file") or []
        for path in env_files if isinstance(env_files, list) else [env_files]:
            yield from self._inside("env_file", path)
        yield from self._logging(raw.get("logging"))
        yield from self._stopping(raw.get("stop_grace_period"))
        yield from self._names(part)
        yield from self._labels(raw.get("labels"))
        yield from self._deploy(raw.get("deploy") or {})

    def _deploy(self, deploy: Mapping[str, Any]) -> Faults:
        for key in sorted(deploy.keys() - _DEPLOY):
            if not key.startswith("x-") and deploy[key] not in _OFF:
                yield f".deploy.{shown(key)[1:-1]}: not known to be harmless; remove it"
        if _has(deploy.get("resources"), ("generic_resources", "devices")):
            yield ".deploy.resources: devices of the host; remove them"
        yield from self._labels(deploy.get("labels"), ".deploy")
        for label, value in _pairs(deploy.get("labels")):
            for fault in routing.faults(label, value, self.app, self.allow):
                yield f".deploy.labels: {fault}"

    def _inside(self, key: str, path: Any) -> Faults:
        """Refuse files that docker would read from elsewhere on the host than the recipe's tree."""
        if not isinstance(path, str) or posixpath.normpath(path) not in self.files:
            yield f".{key}: {shown(path)} is no plain file of the recipe; name one, links are not followed"

    def _more(self, key: str, value: Any) -> Faults:
        if value in _OFF or key.startswith("x-"):
            return
        listed = [str(entry) for entry in value] if isinstance(value, list) else [str(value)]
        if key == "cap_add":
            for name in listed:
                if not self.allow.has("capability", name.upper().removeprefix("CAP_")):
                    yield f'.cap_add: capability {shown(name)}: remove it, or allow it: "capability:{name.upper()}"'
        elif key == "sysctls":
            for name, _ in _pairs(value):
                if not self.allow.has("sysctl", name):
                    yield f'.sysctls: {shown(name)}: remove it, or allow it: "sysctl:{name}"'
        elif key == "security_opt" and all(re.fullmatch("no-new-privileges([:=]true)?", opt) for opt in listed):
            return
        else:
            yield f".{shown(key)[1:-1]}: {shown(value)} reaches out of the container, or is not known not to; remove it"

    def _mount(self, mount: Mount) -> Faults:
        if mount.type == "volume":
            if mount.source is not None and mount.source not in self.compose.volumes:
                yield f".volumes: {shown(mount.source)} is none of the volumes at the top of the file; add it there"
        elif mount.type == "bind":
            source = str(mount.source)
            path = "/" + posixpath.normpath(source).lstrip("/") if source.startswith("/") else source
            if path in SOCKETS:
                if not self.allow.has("docker-socket", ""):
                    yield '.volumes: mounts the Docker socket, which is root on the host: allow it: "docker-socket"'
            elif not self.allow.has("bind", path):
                yield f'.volumes: mounts {shown(source)} of the host: use a volume, or allow it: "bind:{path}"'
        elif mount.type != "tmpfs":
            yield f".volumes: a mount of the type {mount.type}: use a volume"

    def _logging(self, logging: Any) -> Faults:
        driver = logging.get("driver") if isinstance(logging, dict) else logging
        if driver not in (None, "") and driver not in _LOGGING:
            yield f".logging: driver {shown(driver)}, which Docker itself runs: use one of {', '.join(_LOGGING)}"

    def _stopping(self, period: Any) -> Faults:
        if period is not None and not (seconds_of(str(period)) or 0.0) <= STOP_MAX:
            yield f".stop_grace_period: {shown(period)}: ccci waits {STOP_MAX:g} s for an app to stop; lower it"
        elif period is not None and seconds_of(str(period)) is None:
            yield f".stop_grace_period: {shown(period)} is no time such as 1m30s"

    def _names(self, part: Part) -> Faults:
        """Find names by which other apps' containers would reach this service in the place of their own."""
        if len(f"{self.app.stack}_{part.key}") > 63:  # noqa: PLR2004 - swarm's limit
            yield f": {self.app.stack}_{part.key} is longer than the 63 characters that swarm takes; shorten it"
        elsewhere = self.app.domain.partition(".")[2]
        for what, name in (("", part.key), (".hostname", str(part.raw.get("hostname") or ""))):
            inner = name.replace("_", ".").lower()
            if f".{elsewhere}" in inner and not f".{inner}".endswith(f".{self.app.domain}") and not self.own(name):
                yield f"{what}: {shown(name)} looks like another app's; use a short name"
        networks = part.raw.get("networks")
        for key, options in networks.items() if isinstance(networks, dict) else ():
            aliases = options.get("aliases") if isinstance(options, dict) else None
            for alias in aliases if isinstance(aliases, list) else []:
                if not self._is_own_network(key) and alias != part.key and not self.own(str(alias)):
                    yield (
                        f".networks.{key}: alias {shown(alias)} could take the place of another app's service: "
                        "begin it with ${STACK_NAME}_"
                    )

    def _is_own_network(self, key: str) -> bool:
        network = self.compose.networks.get(key)
        return network is None or (not network.external and (network.name is None or self.own(network.name)))

    # what is at the top of a file

    def _labels(self, labels: Any, place: str = "") -> Faults:
        for label, _ in _pairs(labels):
            if label.lower().startswith(_FORGED):
                yield f"{place}.labels: {shown(label)} is a label of ccci's or Docker's own; remove it"

    def _definition(self, part: Part, kind: str) -> Faults:
        yield from self._labels(part.raw.get("labels"))
        name, external = explicit_name(part.raw)
        real = name or part.key
        if external and not self.own(real) and not (kind == "network" and real == SHARED_NETWORK):
            if kind == "network" and real == "host":
                if not self.allow.has("host-network", ""):
                    yield ': the network of the host itself: remove it, or allow it: "host-network"'
            elif not self.allow.has(kind, real):
                instead = f', or allow it: "{kind}:{real}"' if kind in KINDS else ""
                yield f": {kind} {shown(real)} is not this app's: use one that begins with ${{STACK_NAME}}_{instead}"
        elif not external and name is not None and not self.own(name):
            yield f".name: {shown(name)} is not this app's name: begin it with ${{STACK_NAME}}_"

    def _volume(self, part: Part) -> Faults:
        yield from self._definition(part, "volume")
        driver, options = part.raw.get("driver"), part.raw.get("driver_opts")
        if driver not in (*_OFF, "local"):
            yield f".driver: {shown(driver)}: only local"
        if options not in _OFF:
            yield f".driver_opts: {shown(options)} can mount any folder of the host or of another one: remove them"

    def _network(self, part: Part) -> Faults:
        yield from self._definition(part, "network")
        driver, options = part.raw.get("driver"), part.raw.get("driver_opts")
        if driver not in (*_OFF, "overlay"):
            yield f".driver: {shown(driver)}: only overlay"
        for option, _ in _pairs(options):
            if option not in _NETWORK_OPTIONS:
                yield f".driver_opts: {shown(option)}: only {', '.join(_NETWORK_OPTIONS)}"
        if part.raw.get("ipam") not in _OFF:
            yield ".ipam: addresses that another app or the host may have: remove it, Docker chooses"

    def _resource(self, part: Part) -> Faults:
        kind = part.section.removesuffix("s")
        yield from self._definition(part, kind)
        name, external = explicit_name(part.raw)
        real = name or (part.key if external else f"{self.app.stack}_{part.key}")
        if not _RESOURCE.fullmatch(real):
            yield f".name: {shown(real)}: letters, digits, '.', '_' and '-' only"
        if part.raw.get("file") not in _OFF:
            yield from self._inside("file", part.raw.get("file"))
        if part.raw.get("driver") not in _OFF:
            yield f".driver: {shown(part.raw.get('driver'))}: none, Docker keeps it itself"
        if part.raw.get("template_driver") not in (*_OFF, "golang"):
            yield f".template_driver: {shown(part.raw.get('template_driver'))}: only golang"


def seconds_of(text: str) -> float | None:
    """Return a duration as Go writes it, such as ``1m30s``, in seconds; None if it is none."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(h|ms|m|us|s)", text))


def _has(value: Any, keys: tuple[str, ...]) -> bool:
    if not isinstance(value, dict):
        return False
    return any((key in keys and inner not in _OFF) or _has(inner, keys) for key, inner in value.items())


def _pairs(value: Any) -> list[tuple[str, str]]:
    """Return labels or options in either form, a list of ``name=value`` or a mapping, as pairs."""
    if isinstance(value, Mapping):
        return [(str(key), "" if inner is None else str(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [(name, text) for name, _, text in (str(entry).partition("=") for entry in value)]
    return []
