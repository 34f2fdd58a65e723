"""Mounts and published ports of a service, in the short and the long form that compose files use."""

from __future__ import annotations

import re
from typing import Any

import attrs

from ccci.model.names import shown

PORTS_MAX = 500  # of one service, ranges expanded; swarm is useless long before
_PORT_MAX = 65535
_PORT = re.compile(
    r"(?:(?P<ip>\[[0-9a-fA-F:.]*\]|[^:\[\]]*):)??(?:(?P<published>[0-9]+(?:-[0-9]+)?)?:)?"
    r"(?P<target>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>[a-zA-Z]+))?"
)
_MOUNT_TYPES = ("volume", "bind", "tmpfs", "npipe", "cluster")
_PROTOCOLS = ("tcp", "udp", "sctp")


class ShortSyntaxError(ValueError):
    """A mount or port cannot be read; the message says what is wrong with it, but not where it is."""


@attrs.frozen
class Mount:
    """A mount of a service.

    Attributes:
        type: ``volume``, ``bind``, ``tmpfs``, ``npipe`` or ``cluster``.
        source: the volume's key or the path on the host; None for an anonymous volume or a tmpfs.
        target: the path in the container.
        read_only: whether the container may not write.
    """

    type: str
    source: str | None
    target: str
    read_only: bool = False


@attrs.frozen
class Port:
    """A published port of a service.

    Attributes:
        target: the port in the container.
        published: the port on the host, or None where docker chooses one.
        mode: ``ingress`` (routing mesh) or ``host``.
        protocol: ``tcp``, ``udp`` or ``sctp``.
    """

    target: int
    published: int | None
    mode: str = "ingress"
    protocol: str = "tcp"


def read_mount(value: Any) -> Mount:
    """Read one entry of a service's ``volumes``.

    Args:
        value: ``[source:]target[:options]`` or a mapping.

    Returns:
        The mount.

    Raises:
        ShortSyntaxError: docker could not read it either.
    """
    if isinstance(value, dict):
        return _long_mount(value)
    if not isinstance(value, str) or not value:
        raise ShortSyntaxError(f"{shown(value)} is no mount")
    parts = value.split(":")
    if not all(parts) or len(parts) > 3:  # noqa: PLR2004 - source, target, options
        raise ShortSyntaxError(f"{shown(value)} is no mount of the form source:target:options")
    if len(parts) == 1:
        return Mount("volume", None, value)
    options = parts[2].split(",") if len(parts) > 2 else []  # noqa: PLR2004
    kind = "bind" if parts[0].startswith((".", "/", "~")) else "volume"
    return Mount(kind, parts[0], parts[1], "ro" in options)


def _long_mount(value: dict[str, Any]) -> Mount:
    kind, source, target = value.get("type"), value.get("source"), value.get("target")
    read_only = value.get("read_only", False)
    if isinstance(read_only, str):  # a variable was replaced here
        read_only = read_only.lower() in {"true", "yes", "on", "y", "1"}
    if kind not in _MOUNT_TYPES:
        raise ShortSyntaxError(f"a mount has the type {shown(kind)}")
    if not isinstance(target, str) or not target:
        raise ShortSyntaxError("a mount has no target")
    if not isinstance(source, str | None) or (kind == "bind" and not source):
        raise ShortSyntaxError(f"the mount at {shown(target)} has the source {shown(source)}")
    if not isinstance(read_only, bool):
        raise ShortSyntaxError(f"read_only of the mount at {shown(target)} is {shown(read_only)}")
    return Mount(kind, source or None, target, read_only)


def read_ports(value: Any) -> tuple[Port, ...]:
    """Read one entry of a service's ``ports``.

    Args:
        value: ``[ip:][published:]target[/protocol]``, a number or a mapping. Docker ignores the address in
            a swarm, and so do we.

    Returns:
        The ports; several for a range.

    Raises:
        ShortSyntaxError: docker could not read it either.
    """
    if isinstance(value, dict):
        mode, protocol = value.get("mode", "ingress"), value.get("protocol", "tcp")
        if mode not in {"ingress", "host"} or protocol not in _PROTOCOLS:
            raise ShortSyntaxError(f"a port has the mode {shown(mode)} and the protocol {shown(protocol)}")
        published = value.get("published") or None
        return (Port(_number(value.get("target")), published and _number(published), mode, protocol),)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ShortSyntaxError(f"{shown(value)} is no port")
    match = _PORT.fullmatch(str(value)) if len(str(value)) <= 100 else None  # noqa: PLR2004
    protocol = (match["protocol"] or "tcp").lower() if match else ""
    if not match or protocol not in _PROTOCOLS:
        raise ShortSyntaxError(f"{shown(value)} is no port of the form published:target/protocol")
    targets, published_ports = _range(match["target"]), _range(match["published"])
    if published_ports and len(targets) == 1:
        pairs: list[tuple[int, int | None]] = [(targets[0], port) for port in published_ports]
    elif published_ports and len(targets) != len(published_ports):
        raise ShortSyntaxError(f"the ranges of {shown(value)} differ in length")
    else:
        pairs = list(zip(targets, published_ports or [None] * len(targets), strict=True))
    return tuple(Port(target, port, "ingress", protocol) for target, port in pairs)


def _range(text: str | None) -> range:
    if not text:
        return range(0)
    first, _, last = text.partition("-")
    start, end = _number(first), _number(last or first)
    if end < start or end - start >= PORTS_MAX:
        raise ShortSyntaxError(f"the range of ports {shown(text)} is empty or longer than {PORTS_MAX}")
    return range(start, end + 1)


def _number(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) <= _PORT_MAX:
        raise ShortSyntaxError(f"{shown(value)} is no number of a port")
    return int(text)
