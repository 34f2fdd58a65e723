"""The modules for NixOS: they are read and evaluated by Nix itself, and give the units that `ccci host install` writes.

nixpkgs is not here: a stand-in for its module system evaluates them (tests/support/nix), so names and types of NixOS's
own options are not checked.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ccci.hosting.units import PROGRAM, all_units

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "nix" / "modules"
STAND_IN = ROOT / "tests" / "support" / "nix" / "stand-in.nix"
ALL = ("proxy", "warm-keycloak", "nightly")
Unit = dict[str, dict[str, str]]


def nix(*words: str) -> str:
    """Run nix-instantiate without a store, and return what it printed."""
    program = shutil.which("nix-instantiate")
    assert program, "scripts/test installs it; on Debian: apt-get install nix-bin"
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def systemd(*enabled: str) -> dict[str, Any]:
    """Return `config.systemd` of a host that has all modules and enables some."""
    on = " ".join(f"{name}.enable = true;" for name in enabled)
    modules = " ".join(f"{MODULES}/{name}.nix" for name in ALL)
    text = f'import {STAND_IN} [ {modules} ] {{ services.ccci = {{ program = "{PROGRAM}"; {on} }}; }}'
    config = json.loads(nix("--eval", "--strict", "--json", "--store", "dummy://", "--expr", text))
    found: dict[str, Any] = config.get("systemd", {"services": {}, "timers": {}})
    return found


def plain(value: object) -> str:
    """Return a value as systemd's files have it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return re.sub(r"^true$", "yes", str(value))


def written(text: str) -> Unit:
    """Return what a unit file says, but for its environment: NixOS has one of its own."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    unit = {name: {key: plain(parser[name][key]) for key in parser[name]} for name in parser.sections()}
    unit.get("Service", {}).pop("Environment", None)
    return unit


def evaluated(made: dict[str, Any]) -> Unit:
    """Return what a unit of NixOS says, in the words of systemd's files."""
    heads = {"description": "Description", "after": "After", "wants": "Wants"}
    heads |= {"startLimitIntervalSec": "StartLimitIntervalSec", "startLimitBurst": "StartLimitBurst"}
    unit = {"Unit": {heads[key]: plain(made[key]) for key in heads if key in made}}
    for key, section in (("serviceConfig", "Service"), ("timerConfig", "Timer")):
        if key in made:
            unit[section] = {name: plain(value) for name, value in made[key].items()}
    if made["wantedBy"]:
        unit["Install"] = {"WantedBy": plain(made["wantedBy"])}
    return unit


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.nix")), ids=lambda path: path.name)
def test_modules_are_nix(path: Path) -> None:
    """Nix reads each file, and none names a version of what it keeps up."""
    nix("--parse", str(path))
    assert not re.search(r"\d+\.\d+", path.read_text("utf-8"))


def test_modules_give_the_units_of_other_hosts() -> None:
    """Evaluated, the modules give exactly the units that `ccci host install` writes, to every key."""
    made = systemd(*ALL)
    units = {f"{name}.service": evaluated(unit) for name, unit in made["services"].items()}
    units |= {f"{name}.timer": evaluated(unit) for name, unit in made["timers"].items()}
    assert units == {unit.name: written(unit.text) for unit in all_units(["traefik", "keycloak"])}


def test_a_switch_of_the_system_stops_no_run() -> None:
    """No unit is restarted because the system's configuration changed, and each knows ccci's settings."""
    for name, unit in systemd(*ALL)["services"].items():
        assert unit["restartIfChanged"] is False, name
        assert unit["environment"]["CCCI_SETTINGS"] == "/etc/ccci/ccci.toml", name


@pytest.mark.parametrize("name", ALL)
def test_each_module_is_enabled_by_itself(name: str) -> None:
    """A module gives its own units alone, and none before it is enabled."""
    assert systemd() == {"services": {}, "timers": {}}
    mine, whole = systemd(name), systemd(*ALL)
    assert mine["services"]
    for kind in ("services", "timers"):
        assert mine[kind].items() <= whole[kind].items()
    others = [other for other in ALL if other != name]
    assert not mine["services"].keys() & systemd(*others)["services"].keys()
