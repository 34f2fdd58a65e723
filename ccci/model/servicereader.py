"""One service of a compose file: what we read of it, and how a later file changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ccci.errors import ComposeError
from ccci.model.names import shown
from ccci.model.shortsyntax import PORTS_MAX, Mount, Port, ShortSyntaxError, read_mount, read_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

_REPLICAS_MAX = 10_000
_T = TypeVar("_T")


@attrs.frozen
class Service:
    """A service.

    Attributes:
        name: its name in the file.
        image: its image as written, or "" in a file that only changes a service of an earlier one.
        replicas: how many tasks are wanted; 1 where nothing is said and for a global service.
        labels: those of the service itself (``deploy.labels``), not of its containers.
        volumes: its mounts.
        networks: the keys of its networks.
        configs: the keys of its configs.
        secrets: the keys of its secrets.
        has_healthcheck: whether the file itself defines one; the image may have one too.
        endpoint_mode: ``vip``, ``dnsrr`` or None.
        ports: what it publishes.
        is_global: whether it runs once on every node.
        raw: everything the files say; lists of several files are joined.
    """

    name: str
    image: str
    replicas: int
    labels: Mapping[str, str]
    volumes: tuple[Mount, ...]
    networks: tuple[str, ...]
    configs: tuple[str, ...]
    secrets: tuple[str, ...]
    has_healthcheck: bool
    endpoint_mode: str | None
    ports: tuple[Port, ...]
    is_global: bool
    raw: Mapping[str, Any]

    def merged(self, later: Service) -> Service:
        """Apply what a later file says about the same service.

        Args:
            later: the service as that file alone describes it.

        Returns:
            The service of both files.
        """
        raw = _deep_merged(self.raw, later.raw)
        is_global = _deploy(raw).get("mode") == "global"
        replicas = self.replicas if _deploy(later.raw).get("replicas") is None else later.replicas
        return Service(
            name=self.name,
            image=later.image or self.image,
            replicas=1 if is_global else replicas,
            labels={**self.labels, **later.labels},
            volumes=_by(self.volumes + later.volumes, lambda mount: mount.target),
            networks=_by(self.networks + later.networks, str),
            configs=_by(self.configs + later.configs, str),
            secrets=_by(self.secrets + later.secrets, str),
            has_healthcheck=_has_healthcheck(raw),
            endpoint_mode=later.endpoint_mode or self.endpoint_mode,
            ports=_by(self.ports + later.ports, _place_of),
            is_global=is_global,
            raw=raw,
        )

    def checked(self, where: str) -> Service:
        """Check what only holds once all files are merged.

        Args:
            where: the files' names, for messages.

        Returns:
            The service itself.

        Raises:
            ComposeError: it has no image.
        """
        if not self.image:
            raise ComposeError(
                f"{where}: service {self.name} has no image", hint="swarm builds none: name one with 'image:'"
            )
        return self


def read_service(name: str, raw: Mapping[str, Any], where: str) -> Service:
    """Read a service from one file.

    Args:
        name: its name.
        raw: its mapping, variables replaced.
        where: the file's name, for messages.

    Returns:
        The service as this file alone describes it.

    Raises:
        ComposeError: a part that we read has a form that docker would refuse.
    """
    reader = _Reader(raw, f"{where}: services.{name}")
    deploy = reader.mapping("deploy")
    reader.mapping("healthcheck")
    inner = _Reader(deploy, f"{reader.place}.deploy")
    mode = inner.choice("mode", ("replicated", "global", "replicated-job", "global-job"))
    return Service(
        name=name,
        image=reader.text("image"),
        replicas=1 if mode == "global" else inner.count("replicas", 1),
        labels=inner.string_map("labels"),
        volumes=_by((reader.short(read_mount, entry) for entry in reader.entries("volumes")), lambda m: m.target),
        networks=reader.names("networks"),
        configs=reader.sources("configs"),
        secrets=reader.sources("secrets"),
        has_healthcheck=_has_healthcheck(raw),
        endpoint_mode=inner.choice("endpoint_mode", ("vip", "dnsrr")),
        ports=reader.ports(),
        is_global=mode == "global",
        raw=raw,
    )


@attrs.frozen
class _Reader:
    raw: Mapping[str, Any]
    place: str

    def wrong(self, key: str, wanted: str, value: Any) -> ComposeError:
        return ComposeError(
            f"{self.place}.{key} must be {wanted}, but is {shown(value)}",
            hint="correct the file in the recipe",
        )

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.raw.get(key)
        if not isinstance(value, dict | None):
            raise self.wrong(key, "a mapping", value)
        return value or {}

    def entries(self, key: str) -> list[Any]:
        value = self.raw.get(key)
        if not isinstance(value, list | None):
            raise self.wrong(key, "a list", value)
        return value or []

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str | None):
            raise self.wrong(key, "a string", value)
        return value or ""

    def choice(self, key: str, known: tuple[str, ...]) -> str | None:
        value = self.text(key)
        if value and value not in known:
            raise self.wrong(key, f"one of {', '.join(known)}", value)
        return value or None

    def count(self, key: str, default: int) -> int:
        value = self.raw.get(key)
        if value is None:
            return default
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:9])  # a variable was replaced here
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _REPLICAS_MAX:
            raise self.wrong(key, f"a number from 0 to {_REPLICAS_MAX}", self.raw.get(key))
        return value

    def string_map(self, key: str) -> dict[str, str]:
        value = self.raw.get(key)
        if isinstance(value, list):
            pairs = [self._scalar(key, entry).partition("=") for entry in value]
            return {name: text for name, _, text in pairs}
        return {name: self._scalar(key, item) for name, item in self.mapping(key).items()}

    def _scalar(self, key: str, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float | None):
            raise self.wrong(key, "text for each name", value)
        return "" if value is None else str(value)

    def names(self, key: str) -> tuple[str, ...]:
        value = self.raw.get(key)
        entries = list(value) if isinstance(value, dict) else self.entries(key)
        for entry in entries:
            if not isinstance(entry, str):
                raise self.wrong(key, "a list of names or a mapping", entry)
        return _by(entries, str)

    def sources(self, key: str) -> tuple[str, ...]:
        sources: list[str] = []
        for entry in self.entries(key):
            source = entry.get("source") if isinstance(entry, dict) else entry
            if not isinstance(source, str) or not source:
                raise self.wrong(key, "a list of names or of mappings with a source", entry)
            sources.append(source)
        return _by(sources, str)

    def ports(self) -> tuple[Port, ...]:
        ports = [port for entry in self.entries("ports") for port in self.short(read_ports, entry)]
        if len(ports) > PORTS_MAX:
            raise self.wrong("ports", f"at most {PORTS_MAX}", len(ports))
        return tuple(dict.fromkeys(ports))

    def short(self, read: Callable[[Any], _T], entry: Any) -> _T:
        try:
            return read(entry)
        except ShortSyntaxError as error:
            raise ComposeError(f"{self.place}: {error}", hint="correct the file in the recipe") from None


def _place_of(port: Port) -> Hashable:
    """Tell which ports replace each other: see the notes in `ccci.model.overrides` for docker's own rules."""
    return (port.published, port.protocol) if port.published else port


def _by(items: Iterable[_T], key: Callable[[_T], Hashable]) -> tuple[_T, ...]:
    """Keep the last of those that have the same key, in the order of the first."""
    return tuple({key(item): item for item in items}.values())


def _has_healthcheck(raw: Mapping[str, Any]) -> bool:
    check = raw.get("healthcheck") or {}
    off = str(check.get("disable", False)).lower() == "true" or check.get("test") in ("NONE", ["NONE"])
    return bool(check) and not off


def _deploy(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return raw.get("deploy") or {}


def _deep_merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            merged[key] = _deep_merged(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            merged[key] = before + value
        elif value is not None:
            merged[key] = value
    return merged
