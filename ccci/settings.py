"""Settings: frozen, strict, ranked: default < file < environment variable < flag.

Each option is declared once, below, with its type, default, help, environment variable and the check that
reads it; everything else here walks over those declarations. All faults of all sources are reported together.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs
import tomli

from ccci.errors import SettingsError
from ccci.model import names
from ccci.model.bridge import BridgeOptions
from ccci.model.optionreaders import about, checked, matching, names_of_recipes, path, port, seconds
from ccci.model.optiontable import complete, options, read_all
from ccci.model.upkeep import Upkeep
from ccci.paths import controller_home

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE = "CCCI_SETTINGS"
FILE_NAME = "ccci.toml"
DEFAULT_HOST = "lab"
ALL = "all"  # the group that pyinfra puts every host into
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_FORGE = re.compile(r"(?:(?:https?|ssh|git|file)://|/)[!-z|~]*(?:\{recipe\}[!-z|~]*)+")

_read_name = matching(_NAME, "a name of letters, digits, '_', '.' and '-'")


@attrs.frozen
class Host:
    """A cc-ci host; the ``help`` of each option is in its declaration."""

    name: str
    address: str = attrs.field(
        metadata=about("DNS name or IP address", checked(names.host_name, "a DNS name or IP address"))
    )
    base_domain: str = attrs.field(
        metadata=about("domain below which apps get theirs", checked(names.domain, "a full DNS name"))
    )
    port: int = attrs.field(default=22, metadata=about("port of its SSH server", port))
    user: str = attrs.field(default="root", metadata=about("user to log in as", matching(_USER, "the name of a user")))
    key: Path | None = attrs.field(default=None, metadata=about("private key; else what SSH offers", path))
    known_hosts: Path | None = attrs.field(
        default=None, metadata=about("file with the host's key; else the user's own", path)
    )
    ca: Path | None = attrs.field(
        default=None, metadata=about("certificate that signs its apps' ones; else the system's", path)
    )
    forge: str = attrs.field(
        default="https://git.coopcloud.tech/coop-cloud/{recipe}.git",
        metadata=about("where recipes are cloned from", matching(_FORGE, "a URL or path with {recipe} in it")),
    )
    group: str = attrs.field(default=ALL, metadata=about("its group in the inventory", _read_name))


@attrs.frozen(kw_only=True)
class Settings(Upkeep):
    """All settings; the ``help`` of each option is in its declaration."""

    hosts: Mapping[str, Host]
    host: str = attrs.field(metadata=about("name of the host to work on", _read_name, "CCCI_HOST"))
    recipes: Path = attrs.field(metadata=about("folder of the enrolled recipes", path, "CCCI_RECIPES"))
    results: Path = attrs.field(metadata=about("folder for the results of runs", path, "CCCI_RESULTS"))
    playbooks: Path | None = attrs.field(
        default=None, metadata=about("folder of playbooks besides ccci's own", path, "CCCI_PLAYBOOKS")
    )
    fork: Literal["auto", "off"] = attrs.field(
        default="auto",
        metadata=about(
            "whether quick runs work on copy-on-write forks where the host can: auto or off",
            matching(re.compile("auto|off"), "'auto' or 'off'"),
            "CCCI_FORK",
        ),
    )
    alerts: Path | None = attrs.field(
        default=None,
        metadata=about("file with the addresses that alerts go to, one a line; mode 0600", path, "CCCI_ALERTS"),
    )
    gate_timeout: float | None = attrs.field(
        default=None,
        metadata=about("seconds a health gate may take; else the recipe's own", seconds(1), "CCCI_GATE_TIMEOUT"),
    )
    connect_timeout: float = attrs.field(
        default=10.0,
        metadata=about("seconds until a host has to answer", seconds(0.1), "CCCI_CONNECT_TIMEOUT"),
    )
    keepalive: float = attrs.field(
        default=15.0,
        metadata=about("seconds between probes of a connection", seconds(0.1), "CCCI_KEEPALIVE"),
    )
    dead_after: float = attrs.field(
        default=30.0,
        metadata=about("seconds until a silent connection counts as lost", seconds(0.1), "CCCI_DEAD_AFTER"),
    )
    provider_wait: float = attrs.field(
        default=1800.0,
        metadata=about(
            "seconds that runs wait for a provider's reconcile, it for them, and promotions for a canonical",
            seconds(0.1),
            "CCCI_PROVIDER_WAIT",
        ),
    )
    test_timeout: float = attrs.field(
        default=900.0,
        metadata=about("seconds that the tests of one stage may take", seconds(1), "CCCI_TEST_TIMEOUT"),
    )
    local_tests: tuple[str, ...] = attrs.field(
        default=(),
        metadata=about("recipes whose pull requests' own tests run here", names_of_recipes, "CCCI_LOCAL_TESTS"),
    )

    bridge: BridgeOptions | None = None

    def night_group(self, name: str) -> tuple[str, ...]:
        """Return the names of the hosts that share a host's night with it, itself among them, sorted.

        They are those that `night_hosts` names, else those of its group. The group `all` is no group: a host
        that is in no other one has its night for itself.
        """
        if self.night_hosts:
            return tuple(sorted({name, *self.night_hosts}))
        group = self.get_host(name).group
        return tuple(sorted(h.name for h in self.hosts.values() if h.name == name or h.group == group != ALL))

    def get_host(self, name: str | None = None) -> Host:
        """Look up a host.

        Args:
            name: its name, or None for the default host.

        Returns:
            The host.

        Raises:
            SettingsError: there is none of that name; the message lists those there are.
        """
        wanted = self.host if name is None else name
        if wanted in self.hosts:
            return self.hosts[wanted]
        known = ", ".join(sorted(self.hosts))
        if known:
            raise SettingsError(f"host {names.shown(wanted)} is not known; known: {known}", hint="choose one of them")
        raise SettingsError(
            f"host {names.shown(wanted)} is not known, and neither is any other",
            hint="start a disposable one with: ccci lab up",
        )


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Collect the settings from all sources.

    Args:
        file: the settings file; else the one that CCCI_SETTINGS names, ``./ccci.toml`` or
            ``ccci/ccci.toml`` in the user's configuration, whichever is first.
        environ: the environment variables; else those of this process. An empty one counts as not set.
        flags: values from the command line by the names of the options; None counts as not given.

    Returns:
        The settings, every path absolute. Relative ones are relative to the file that names them, or to the
        current folder.

    Raises:
        SettingsError: anything is wrong anywhere; the message lists it all.
    """
    environ = os.environ if environ is None else environ
    faults: list[str] = []
    found = _find_file(file, environ)
    content = _read_toml(found, faults) if found else {}
    hosts = _hosts(content.pop("hosts", {}), found, faults)
    bridge = _bridge(content.pop("bridge", None), found, faults)
    values = _from_file(content, found, faults)
    values.update(_from_environment(environ, faults))
    values.update(_from_flags(flags or {}, faults))
    defaults = {
        "host": next(iter(hosts)) if len(hosts) == 1 else DEFAULT_HOST,
        "recipes": _default_recipes(found),
        "results": controller_home() / "runs",
    }
    return _checked_whole(Settings(hosts=hosts, bridge=bridge, **{**defaults, **values}), faults)


def _checked_whole(settings: Settings, faults: list[str]) -> Settings:
    keepalive, dead_after = settings.keepalive, settings.dead_after
    if dead_after <= keepalive:
        faults.append(f"dead_after ({dead_after:g}) must be more than keepalive ({keepalive:g})")
    if faults:
        what = "settings have faults:\n  " + "\n  ".join(faults)
        raise SettingsError(what, hint="see docs/settings.example.toml")
    return settings


def _find_file(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    if named := file or environ.get(FILE_VARIABLE):
        return Path(named).expanduser().absolute()
    config = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    places = (Path(FILE_NAME).absolute(), config.absolute() / "ccci" / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _default_recipes(file: Path | None) -> Path:
    here = Path("recipes").absolute()
    if file and (beside := file.parent / "recipes").is_dir():
        return beside
    return here if here.is_dir() else Path(__file__).absolute().parent.parent / "recipes"


def _read_toml(path: Path, faults: list[str]) -> dict[str, Any]:
    try:
        return tomli.loads(path.read_text("utf-8"))
    except OSError as error:
        faults.append(f"{path}: {error.strerror or type(error).__name__}")
    except (UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        faults.append(f"{path}: {error}")
    return {}


def _hosts(tables: Any, file: Path | None, faults: list[str]) -> dict[str, Host]:
    """Read the hosts of the settings file and those that have a file of their own; the former win."""
    sources: dict[str, tuple[Any, Path, str]] = {}
    for own in sorted(controller_home().glob("hosts/*.toml")):
        sources[own.stem] = (_read_toml(own, faults), own.parent, str(own))
    if file and isinstance(tables, dict):
        sources.update({name: (table, file.parent, f"{file}: hosts.{name}") for name, table in tables.items()})
    elif file:
        faults.append(f"{file}: hosts must be tables [hosts.<name>]")
    hosts = {name: _host(name, source, faults) for name, source in sources.items()}
    return {name: host for name, host in hosts.items() if host}


def _host(name: str, source: tuple[Any, Path, str], faults: list[str]) -> Host | None:
    table, base, where = source
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        faults.append(f"{where}: {names.shown(name)} must be a name of letters, digits, '_', '.', '-' with a table")
        return None
    values = complete(Host, table, base, where, faults)
    return Host(name=name, **values) if values else None


def _bridge(table: Any, file: Path | None, faults: list[str]) -> BridgeOptions | None:
    if table is None or file is None:
        return None
    where = f"{file}: bridge"
    if not isinstance(table, dict):
        faults.append(f"{where} must be a table [bridge]")
        return None
    values = complete(BridgeOptions, table, file.parent, where, faults)
    if values and not values.get("organisation") and not values.get("allow"):
        faults.append(f"{where}: organisation or allow must say who may ask for runs")
        return None
    return BridgeOptions(**values) if values else None


def _from_file(content: Mapping[str, Any], file: Path | None, faults: list[str]) -> dict[str, Any]:
    return read_all(Settings, content, file.parent, str(file), faults) if file else {}


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    variables = {field.name: field.metadata["env"] for field in options(Settings)}
    values: dict[str, Any] = {}
    for name, variable in variables.items():
        if value := environ.get(variable):
            values.update(read_all(Settings, {name: value}, Path.cwd(), f"environment variable {variable}", faults))
    return values


def _from_flags(flags: Mapping[str, object], faults: list[str]) -> dict[str, Any]:
    given = {key: value for key, value in flags.items() if value is not None}
    return read_all(Settings, given, Path.cwd(), "command line", faults)
