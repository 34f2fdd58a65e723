"""Compose files, merged as ``docker stack deploy -c a -c b`` merges what we read of them.

https://github.com/docker/cli/blob/master/cli/compose/loader/merge.go: labels merge by name, mounts by target,
configs and secrets by source, networks by name, ports by what they publish; a volume, network, config or
secret at the top is replaced whole by a later file that has the same key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from ccci.errors import ComposeError, UsageError
from ccci.model import safeyaml
from ccci.model.interpolation import SECTIONS, Interpolator
from ccci.model.names import RESOURCE_NAME_MAX, shown, volume_name
from ccci.model.servicereader import Service, read_service
from ccci.model.shortsyntax import Mount, Port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Compose", "Mount", "NetworkDef", "Part", "Port", "ResourceDef", "Service", "VolumeDef"]

_KEY = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_Definitions = dict[str, dict[str, Any]]


@attrs.frozen
class Part:
    """One definition as one file has it, before files are merged.

    Attributes:
        where: the file's name.
        section: the key at the top of the file, such as ``services``.
        key: the definition's name; empty for what is no mapping of definitions.
        raw: what the file says, variables replaced.
    """

    where: str
    section: str
    key: str
    raw: Mapping[str, Any]


@attrs.frozen
class VolumeDef:
    """A volume at the top of a compose file.

    Attributes:
        key: its name in the file.
        name: its explicit real name, or None.
        external: True if the stack does not own it.
        raw: everything the file says about it.
    """

    key: str
    name: str | None
    external: bool
    raw: Mapping[str, Any]


@attrs.frozen
class ResourceDef:
    """A config or secret at the top of a compose file.

    Attributes:
        key: its name in the file.
        name: its explicit real name, or None.
        external: True if the stack does not own it.
        file: the path of its content, relative to the recipe's tree, or None.
        raw: everything the file says about it.
    """

    key: str
    name: str | None
    external: bool
    file: str | None
    raw: Mapping[str, Any]

    def real_name(self, stack: str) -> str:
        """Name it as docker does.

        Args:
            stack: the stack's name.

        Returns:
            Its explicit name, else its key for an external one and ``<stack>_<key>`` for an own one.
        """
        return self.name or (self.key if self.external else f"{stack}_{self.key}")


@attrs.frozen
class NetworkDef:
    """A network at the top of a compose file.

    Attributes:
        key: its name in the file.
        name: its explicit real name, or None.
        external: True if the stack does not own it.
    """

    key: str
    name: str | None
    external: bool


@attrs.frozen
class Compose:
    """What a set of compose files asks for.

    Attributes:
        version: the version of the file format; an extra file must have the same one, or docker refuses both.
        services: the services by name.
        volumes: the volumes by key.
        secrets: the secrets by key.
        configs: the configs by key.
        networks: the networks by key.
        unset: the variables that had neither value nor default; docker warns of them and goes on with "".
        parts: every definition of every file, for `ccci.model.policy`.
    """

    version: str
    services: Mapping[str, Service]
    volumes: Mapping[str, VolumeDef]
    secrets: Mapping[str, ResourceDef]
    configs: Mapping[str, ResourceDef]
    networks: Mapping[str, NetworkDef]
    unset: tuple[str, ...]
    parts: tuple[Part, ...] = ()

    @classmethod
    def load(cls, files: Sequence[tuple[str, str]], env: Mapping[str, str]) -> Compose:
        """Read and merge compose files.

        Args:
            files: (name, text) in the order of the ``-c`` options.
            env: the variables; nothing comes from the environment of this process.

        Returns:
            The whole.

        Raises:
            ComposeError: docker would refuse a file, or it exceeds a limit; the message names file and place.
        """
        unset, version = dict[str, None](), ""
        services: dict[str, Service] = {}
        tops: dict[str, _Definitions] = {section: {} for section in SECTIONS}
        parts: list[Part] = []
        for where, text in files:
            interpolator = Interpolator(env, where, unset)
            content = interpolator.sections(safeyaml.load_mapping(text, where=where))
            version = _version(content, version, where)
            for section in SECTIONS:
                tops[section].update(_definitions(content, section, where))
            parts += _parts(content, where)
            for name, raw in _definitions(content, "services", where).items():
                service = read_service(name, raw, where)
                services[name] = services[name].merged(service) if name in services else service
        places = ", ".join(name for name, _ in files) or "no file"
        if not services:
            raise ComposeError(f"no service is defined in {places}", hint="add a 'services:' section")
        return cls(
            version=version or "3.8",
            services={name: service.checked(places) for name, service in services.items()},
            volumes={key: VolumeDef(key, *explicit_name(raw), raw) for key, raw in tops["volumes"].items()},
            secrets={key: _resource(key, raw) for key, raw in tops["secrets"].items()},
            configs={key: _resource(key, raw) for key, raw in tops["configs"].items()},
            networks={key: NetworkDef(key, *explicit_name(raw)) for key, raw in tops["networks"].items()},
            unset=tuple(unset),
            parts=tuple(parts),
        )

    def volume_names(self, stack: str) -> dict[str, str]:
        """Name the volumes that the stack owns.

        Args:
            stack: the stack's name.

        Returns:
            The real names by key; external volumes are not among them.
        """
        return {v.key: v.name or f"{stack}_{v.key}" for v in self.volumes.values() if not v.external}

    def used_volumes(self) -> tuple[str, ...]:
        """List the volumes that services really mount.

        Returns:
            Their keys, in the order of the file; external ones are among them.
        """
        mounts = [mount for service in self.services.values() for mount in service.volumes]
        sources = {mount.source for mount in mounts if mount.type == "volume"}
        return tuple(key for key in self.volumes if key in sources)

    def resource_name_faults(self, stack: str) -> list[str]:
        """Find configs and secrets that swarm would refuse for the length of their names.

        Args:
            stack: the stack's name.

        Returns:
            One sentence for each.
        """
        kinds = [("config", self.configs), ("secret", self.secrets)]
        return [
            f"{kind} {name} has {len(name)} characters; swarm takes {RESOURCE_NAME_MAX} at most"
            for kind, definitions in kinds
            for definition in definitions.values()
            if len(name := definition.real_name(stack)) > RESOURCE_NAME_MAX
        ]


def _version(content: Mapping[str, Any], before: str, where: str) -> str:
    value = content.get("version")
    if value is None:
        return before
    version = str(value) if "." in str(value) else f"{value}.0"
    if isinstance(value, bool) or not re.fullmatch(r"3\.[0-9]{1,2}", version):
        raise ComposeError(f"{where}: version is {shown(value)}", hint='swarm needs version: "3.8" or another 3.x')
    if before and version != before:
        raise ComposeError(
            f"{where}: version is {version}, but {before} in the files before it",
            hint="give all files one version",
        )
    return version


def _definitions(content: Mapping[str, Any], section: str, where: str) -> _Definitions:
    entries = content.get(section)
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise _wrong(where, section, "a mapping", entries)
    for key, raw in entries.items():
        if not _KEY.fullmatch(key):
            raise ComposeError(
                f"{where}: {section} has the key {shown(key)}", hint="use letters, digits, '.', '_' and '-'"
            )
        if not isinstance(raw, dict) and (raw is not None or section == "services"):
            raise _wrong(where, f"{section}.{key}", "a mapping", raw)
        _check_definition(raw or {}, section, f"{where}: {section}.{key}")
    return {key: raw or {} for key, raw in entries.items()}


def _parts(content: Mapping[str, Any], where: str) -> list[Part]:
    parts = [Part(where, key, "", {}) for key in content if key not in SECTIONS]
    for section in SECTIONS:
        parts += [Part(where, section, key, raw) for key, raw in _definitions(content, section, where).items()]
    return parts


def _check_definition(raw: Mapping[str, Any], section: str, place: str) -> None:
    if section == "services":
        return
    external = raw.get("external")
    if isinstance(external, str) and external.lower() in {"true", "false"}:  # a variable was replaced here
        external = external.lower() == "true"
    if not isinstance(external, bool | dict | None):
        raise ComposeError(f"{place}.external is {shown(external)}", hint="use true or false")
    for field, value in [("name", raw.get("name")), ("file", raw.get("file")), *_external_name(external)]:
        if value is not None and not isinstance(value, str):
            raise ComposeError(f"{place}.{field} is {shown(value)}", hint="put it in quotes")
    name, is_external = explicit_name(raw)
    if section == "volumes" and name and not is_external:
        try:
            volume_name(name, what=f"{place}.name")
        except UsageError as error:
            raise ComposeError(error.what, hint=error.hint) from None


def _external_name(external: Any) -> list[tuple[str, Any]]:
    return [("external.name", external.get("name"))] if isinstance(external, dict) else []


def explicit_name(raw: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the explicit real name of a definition, or None, and whether the stack does not own it."""
    external = raw.get("external")
    if isinstance(external, dict):
        return raw.get("name") or external.get("name") or None, True
    return raw.get("name") or None, str(external).lower() == "true"


def _resource(key: str, raw: Mapping[str, Any]) -> ResourceDef:
    return ResourceDef(key, *explicit_name(raw), raw.get("file"), raw)


def _wrong(where: str, path: str, wanted: str, value: Any) -> ComposeError:
    return ComposeError(f"{where}: {path} must be {wanted}, but is {shown(value)}", hint="correct the file")
