"""Compose files as `docker stack deploy` reads them: interpolated, merged, turned into specs of services."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "com.docker.stack.namespace"
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>\w+)|\{(?P<name>\w+)(?::?-(?P<default>[^}]*))?\})")


class Refused(Exception):
    """What docker says on standard error when it ends with 1."""


def read(files: list[str], cwd: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Read compose files and merge them in order."""
    whole: dict[str, Any] = {}
    for name in files:
        data = yaml.safe_load((Path(cwd) / name).read_text("utf-8"))
        whole = _merged(whole, _filled(data, env))
    return whole


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, env) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, env) for part in value]
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        return env.get(match["plain"] or match["name"], "") or match["default"] or ""

    return _VARIABLE.sub(one, value)


def _merged(old: Any, new: Any, key: str = "") -> Any:
    if key in ("labels", "environment"):
        return {**_pairs(old), **_pairs(new)}
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old.get(name), part, name) for name, part in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and key != "command":
        return [*old, *(part for part in new if part not in old)]
    return old if new is None else new


def _pairs(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(key): str(part) for key, part in value.items()}
    return dict(str(part).partition("=")[::2] for part in value or [])


class Stack:
    """What the merged files of a stack ask for, under the names that it gets on the host."""

    def __init__(self, name: str, data: dict[str, Any], cwd: str) -> None:
        """Read the sections."""
        self.name, self._data, self._cwd = name, data, Path(cwd)
        self.services = {f"{name}_{key}": self._spec(key, value) for key, value in data["services"].items()}

    def names(self, section: str, *, external: bool) -> dict[str, str]:
        """Return the real names of volumes, networks, secrets or configs by their keys."""
        found = {}
        for key, value in (self._data.get(section) or {}).items():
            section_of = value or {}
            default = key if external else f"{self.name}_{key}"
            if bool(section_of.get("external")) == external:
                found[key] = str(section_of.get("name") or default)
        return found

    def all_names(self, section: str) -> dict[str, str]:
        """Return both kinds."""
        return self.names(section, external=True) | self.names(section, external=False)

    def content(self, section: str, key: str) -> str:
        """Return the text of a config's or secret's file."""
        file: str = self._data[section][key]["file"]
        return (self._cwd / file).read_text("utf-8")

    def _spec(self, key: str, data: dict[str, Any]) -> dict[str, Any]:
        deploy = data.get("deploy") or {}
        labels = {**_pairs(deploy.get("labels")), NAMESPACE: self.name}
        container = {
            "Image": data["image"],
            "Labels": {**_pairs(data.get("labels")), NAMESPACE: self.name},
            "Env": [f"{k}={v}" for k, v in sorted(_pairs(data.get("environment")).items())],
            "Command": _words(data.get("command")),
            "Healthcheck": data.get("healthcheck") or {},
            "Mounts": [self._mount(mount) for mount in data.get("volumes") or []],
            "Secrets": self._files("secrets", data),
            "Configs": self._files("configs", data),
        }
        restart = deploy.get("restart_policy") or {}
        return {
            "Name": f"{self.name}_{key}",
            "Labels": labels,
            "Mode": {"Replicated": {"Replicas": deploy.get("replicas", 1)}},
            "TaskTemplate": {
                "ContainerSpec": container,
                "RestartPolicy": {"Condition": restart.get("condition", "any")},
            },
            "UpdateConfig": {
                "FailureAction": (deploy.get("update_config") or {}).get("failure_action", "pause"),
                "Order": (deploy.get("update_config") or {}).get("order", "stop-first"),
            },
        }

    def _mount(self, mount: str) -> dict[str, str]:
        source, target = mount.split(":")[:2]
        if source.startswith("/"):
            return {"Type": "bind", "Source": source, "Target": target}
        return {"Type": "volume", "Source": self.all_names("volumes")[source], "Target": target}

    def _files(self, section: str, data: dict[str, Any]) -> list[dict[str, str]]:
        known, found = self.all_names(section), []
        for part in data.get(section) or []:
            source, target = (
                (part, part) if isinstance(part, str) else (part["source"], part.get("target") or part["source"])
            )
            found.append({"Name": known[source], "Target": target})
        return found


def _words(command: Any) -> list[str]:
    return command.split() if isinstance(command, str) else [str(word) for word in command or []]
