"""Connect to a host the way pyinfra does, without pyinfra's command line."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyinfra.api import Config, Host, Inventory, State
from pyinfra.api.exceptions import ConnectError
from pyinfra.context import ctx_config, ctx_host, ctx_state

from ccci.errors import HostUnreachable
from ccci.settings import ALL, Settings
from ccci.settings import Host as HostSettings


def inventory_hosts(settings: Settings) -> list[tuple[str, dict[str, Any]]]:
    """Return the known hosts as pyinfra's inventory wants them: name and connector data."""
    return [(f"@ccci/{name}", connector_data(host, settings)) for name, host in sorted(settings.hosts.items())]


def inventory_groups(settings: Settings) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return the groups of the settings' hosts as pyinfra's inventory wants them, without the one of all hosts."""
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, host in sorted(settings.hosts.items()):
        if host.group != ALL:
            groups.setdefault(host.group, []).append((f"@ccci/{name}", connector_data(host, settings)))
    return groups


def connector_data(host: HostSettings, settings: Settings) -> dict[str, Any]:
    """Return the data that the connector needs for a host."""
    patience = min(settings.connect_timeout, settings.dead_after / 2)  # seconds for each part of a new connection
    data: dict[str, Any] = {
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": host.user,
        "ssh_strict_host_key_checking": "yes",
        "ccci_keepalive": settings.keepalive,
        "ccci_dead_after": settings.dead_after,
        "ssh_paramiko_connect_kwargs": {"banner_timeout": patience, "auth_timeout": patience, "timeout": patience},
    }
    if host.key:
        data["ssh_key"] = str(host.key)
    if host.known_hosts:
        data["ssh_known_hosts_file"] = str(host.known_hosts)
    return data


def ssh_command(host: HostSettings) -> str:
    """Return the ssh command that reaches a host, to try by hand."""
    options = f" -i {host.key}" if host.key else ""
    options += f" -o UserKnownHostsFile={host.known_hosts}" if host.known_hosts else ""
    return f"ssh -p {host.port}{options} {host.user}@{host.address} docker info"


@contextmanager
def connected(settings: Settings, name: str) -> Iterator[tuple[State, Host]]:
    """Connect to a host for the length of the block, ready to run operations at once.

    Raises:
        SettingsError: no such host.
        HostUnreachable: no connection; the hint is the ssh command to try.
    """
    os.environ.setdefault("PYINFRA_PROGRESS", "off")
    host_settings = settings.get_host(name)
    full = f"@ccci/{name}"
    inventory = Inventory(([(full, connector_data(host_settings, settings))], {}))
    state = State(inventory, Config(CONNECT_TIMEOUT=math.ceil(settings.connect_timeout)), check_for_changes=False)
    host = inventory.get_host(name if name in inventory.hosts else full)
    state.is_executing = True
    with ctx_state.use(state), ctx_config.use(state.config), ctx_host.use(host):
        try:
            host.connect(raise_exceptions=True)
        except (ConnectError, OSError) as error:
            raise unreachable(host_settings, error) from error
        state.activate_host(host)
        try:
            yield state, host
        finally:
            host.disconnect()


def unreachable(host: HostSettings, error: Exception) -> HostUnreachable:
    """Say that a host cannot be reached, with the command to try."""
    text = str(error)
    if "host key" in text.lower():
        return HostUnreachable(
            f"the SSH key of {host.name} ({host.address}:{host.port}) is not the one that is known: {text}",
            hint=f"if the host was made anew, remove the old key from {host.known_hosts or '~/.ssh/known_hosts'}; "
            "if not, somebody may be in between",
        )
    return HostUnreachable(
        f"host {host.name} ({host.address}:{host.port}) cannot be reached: {text}",
        hint=f"try: {ssh_command(host)}",
    )
