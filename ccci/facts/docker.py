"""Facts about Docker and Swarm, read from the Engine API over the host's socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
from pyinfra.api import StringCommand
from typing_extensions import override

from ccci.commands import docker
from ccci.commands.shell import all_of, argv, quote
from ccci.facts.base import HostFact
from ccci.model.stack import StackState
from ccci.model.stackreader import read_stack


def answers(lines: list[str], count: int) -> list[Any]:
    """Return the Engine API's answers, one a line; ValueError if there is another number of them."""
    found = [json.loads(line) for line in lines if line.strip()]
    if len(found) != count:
        raise ValueError(f"{len(found)} answers, {count} expected")
    return found


class Stack(HostFact[StackState]):
    """A stack's services and tasks at one instant, with the host's clock."""

    @override
    def command(self, stack: str) -> StringCommand:
        """Args: stack: its name."""
        self.stack = stack
        paths = docker.of_stack("/services", stack) + "&status=true", docker.of_stack("/tasks", stack)
        return self.shell(all_of(argv("date", "+%s.%N"), docker.get(*paths)))

    @override
    def parse(self, lines: list[str]) -> StackState:
        services, tasks = answers(lines[1:], 2)
        return read_stack(self.stack, services, tasks, float(lines[0]))


@attrs.frozen
class Leftovers:
    """What is on the host under a stack's name: names by kind; `stopped` are ids of containers that do not run."""

    services: tuple[str, ...]
    containers: tuple[str, ...]
    stopped: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    secrets: tuple[str, ...]
    configs: tuple[str, ...]

    @property
    def running(self) -> tuple[str, ...]:
        """What of it must be gone before its volumes are at rest."""
        return self.services + self.containers + self.networks


def _named(item: Any) -> str:
    return str(item.get("Name") or item.get("Spec", {}).get("Name") or "")


class StackLeftovers(HostFact[Leftovers]):
    """What exists under a stack's name: by its label, or by its name as prefix."""

    @override
    def command(self, stack: str) -> StringCommand:
        """Args: stack: its name."""
        self.stack = stack
        containers = docker.filtered("/containers/json", label=[f"{docker.NAMESPACE}={stack}"]) + "&all=true"
        networks = docker.of_stack("/networks", stack)
        paths = docker.of_stack("/services", stack), containers, networks, "/volumes", "/secrets", "/configs"
        return self.shell(docker.get(*paths))

    def _is_mine(self, item: Any) -> bool:
        labels = item.get("Labels") or item.get("Spec", {}).get("Labels") or {}
        return _named(item).startswith(f"{self.stack}_") or labels.get(docker.NAMESPACE) == self.stack

    @override
    def parse(self, lines: list[str]) -> Leftovers:
        services, containers, networks, volumes, secrets, configs = answers(lines, 6)

        def mine(items: Any) -> tuple[str, ...]:
            return tuple(sorted(_named(item) for item in items or [] if self._is_mine(item)))

        return Leftovers(
            services=tuple(sorted(_named(s) for s in services)),
            containers=tuple(sorted(str(c["Names"][0]).lstrip("/") for c in containers)),
            stopped=tuple(c["Id"] for c in containers if c["State"] in ("exited", "dead")),
            networks=tuple(sorted(_named(n) for n in networks)),
            volumes=mine(volumes["Volumes"]),
            secrets=mine(secrets),
            configs=mine(configs),
        )


@attrs.frozen
class Volume:
    """One volume: name, labels, where its data lie on the host, options of its driver."""

    name: str
    driver: str
    mountpoint: str
    labels: dict[str, str]
    options: dict[str, str]


class Volumes(HostFact[dict[str, Volume]]):
    """Every volume of the host by name."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(docker.get("/volumes"))

    @override
    def parse(self, lines: list[str]) -> dict[str, Volume]:
        [data] = answers(lines, 1)
        found = [
            Volume(v["Name"], v["Driver"], v["Mountpoint"], v.get("Labels") or {}, v.get("Options") or {})
            for v in data["Volumes"] or []
        ]
        return {volume.name: volume for volume in found}


class Secrets(HostFact[dict[str, dict[str, str]]]):
    """Every swarm secret: its labels by name."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(docker.get("/secrets"))

    @override
    def parse(self, lines: list[str]) -> dict[str, dict[str, str]]:
        [data] = answers(lines, 1)
        return {s["Spec"]["Name"]: s["Spec"].get("Labels") or {} for s in data}


class FailedHealthcheck(HostFact["str | None"]):
    """What a container's failing healthcheck printed last; None if it has none, or it did not fail."""

    @override
    def command(self, container: str) -> StringCommand:
        """Args: container: its id; one that is gone counts as one without a healthcheck."""
        return self.shell(f"{{ {quote(docker.get(f'/containers/{container}/json'))} 2>/dev/null || echo '{{}}'; }}")

    @override
    def parse(self, lines: list[str]) -> str | None:
        data = json.loads(next((line for line in lines if line.startswith("{")), "{}"))
        health = (data.get("State") or {}).get("Health") or {}
        looks = [look for look in health.get("Log") or [] if look.get("ExitCode")]
        if health.get("Status") != "unhealthy" and not looks:
            return None
        return str(looks[-1].get("Output") or "").strip() if looks else ""


@attrs.frozen
class Engine:
    """The host's Docker: version, whether it is a Swarm manager, whether IPVS is in the kernel."""

    version: str
    manager: bool
    ipvs: bool
    root: str


class DockerEngine(HostFact[Engine]):
    """What kind of Docker the host has."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        ipvs = "[ -e /proc/net/ip_vs ] && echo ipvs || echo none"
        return self.shell(all_of(docker.get("/info"), f"{{ {ipvs}; }}"))

    @override
    def parse(self, lines: list[str]) -> Engine:
        lines = [line for line in lines if line]
        data = json.loads(lines[0])
        return Engine(
            version=data["ServerVersion"],
            manager=bool(data["Swarm"].get("ControlAvailable")),
            ipvs=lines[1] == "ipvs",
            root=data["DockerRootDir"],
        )


class Networks(HostFact[tuple[str, ...]]):
    """The names of all networks."""

    @override
    def command(self) -> StringCommand:
        """Take no argument."""
        return self.shell(docker.get("/networks"))

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        [data] = answers(lines, 1)
        return tuple(sorted(n["Name"] for n in data))


class MissingImages(HostFact[tuple[str, ...]]):
    """Which of these images the host does not have."""

    @override
    def command(self, names: Sequence[str]) -> StringCommand:
        """Args: names: images, by name and tag."""
        return self.shell(docker.missing_images(names))

    @override
    def parse(self, lines: list[str]) -> tuple[str, ...]:
        return tuple(line for line in lines if line)
