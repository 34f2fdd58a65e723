"""Put ccci on a host, take it away again, and see how it is.

On the host: `/opt/ccci/releases/<digest>/` (Python packages, playbooks, recipes), `/opt/ccci/current` that names one of
them, `/opt/ccci/bin/ccci`; `/etc/ccci/` (settings, a key of its own, the host's public key); units in systemd. ccci
reaches the host from itself the way it always does, by SSH, with that key; it may log in from nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs
from pyinfra.operations import systemd

from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import CommandFailed, InfrastructureError, UsageError
from ccci.facts.system import MissingCommands, PythonThere, SshServer, SshServerThere, Unit, Units
from ccci.facts.warm import File, Folder
from ccci.hosting import units
from ccci.hosting.bundle import check_python, make_bundle
from ccci.model.enrolment import providers_in
from ccci.model.upkeep import Upkeep
from ccci.operations.host import authorised, key_made, switched, unauthorised, unpacked
from ccci.operations.record import file_written, removed
from ccci.settings import Host, Settings

OPT = PurePosixPath("/opt/ccci")
ETC = PurePosixPath("/etc/ccci")
STATE = PurePosixPath("/var/lib/ccci")
NIGHT_MAX_AGE = 30.0  # hours: a night, its length, and some patience
KEY = ETC / "id_ed25519"
_NEEDED = ("python3", "systemctl", "ssh-keygen", "tar", "gzip")
_LAUNCHER = f"""\
#!/bin/sh
# The ccci of this host; written by `ccci host install`. A run stays with the release that it began with.
release=$(readlink -f {OPT}/current) || exit 3
export CCCI_SETTINGS={ETC}/ccci.toml CCCI_HOME={STATE}
exec "$release/venv/bin/python" -I -m ccci "$@"
"""


def install(session: Session, *, alerts: Path | None) -> list[str]:
    """Put ccci and its units on the host, or bring what is there up to date; safe to repeat.

    Args:
        session: connected to the host.
        alerts: a file with addresses for alerts, or None to leave the host's own as it is.

    Returns:
        What somebody should know, a line each.

    Raises:
        UsageError: the host lacks something; nothing was changed.
        InfrastructureError: a part failed; what ran before runs on.
    """
    known = providers_of(session)
    _check(session)
    name = send_release(session)
    write_settings(session, alerts)
    try_release(session, name)
    write_units(session, known)
    start_units(session, known)
    drop_old_releases(session, name)
    return [f"installed on {session.host_settings.name}: {OPT}/bin/ccci, settings in {ETC}, release {name}"]


def providers_of(session: Session) -> list[str]:
    """Return the providers that are enrolled here: those that everybody uses first."""
    known = [recipe for recipe in providers_in(session.settings.recipes) if recipe.meta.provider]
    return [r.name for r in sorted(known, key=lambda r: (not (r.meta.provider and r.meta.provider.everybody), r.name))]


def _check(session: Session) -> None:
    missing = session.read(MissingCommands, names=_NEEDED)
    if missing:
        packages = "apt-get install python3 systemd openssh-client tar gzip"
        raise UsageError(f"the host lacks {', '.join(missing)}", hint=f"on Debian: {packages}")
    check_python(session.read(PythonThere))
    if session.host_settings.user != "root":
        raise UsageError("ccci must reach the host as root to be installed on it", hint="set `user` of the host")


@step("sending ccci")
def send_release(session: Session) -> str:
    """Send everything that ccci needs, unless just that is there; returns the release's name."""
    python = session.read(PythonThere)
    bundle = make_bundle(python, session.settings.recipes, session.settings.playbooks)
    if session.perform(unpacked, OPT / "releases" / bundle.name, archive=bundle.archive, python=python):
        session.say(f"sent {len(bundle.archive) / 1e6:.0f} MB for Python {python.full}")
    return bundle.name


@step("writing its settings")
def write_settings(session: Session, alerts: Path | None) -> None:
    """Write the host's own settings, by which ccci reaches it from itself with a key of its own."""
    server, host = session.read(SshServerThere), session.host_settings
    at = "127.0.0.1" if server.port == 22 else f"[127.0.0.1]:{server.port}"  # noqa: PLR2004  (ssh's own port)
    session.perform(file_written, ETC / "known_hosts", text="".join(f"{at} {key}\n" for key in server.keys))
    if host.ca is not None:
        session.perform(file_written, ETC / "ca.pem", text=host.ca.read_text("utf-8"))
    if alerts is not None:
        session.perform(file_written, ETC / "alerts", text=alerts.read_text("utf-8"), mode="0600")
    notify = alerts is not None or session.read(File, path=ETC / "alerts") is not None
    own = session.settings.playbooks is not None
    more = upkeep_of(session.settings, host.name)
    text = settings_text(host, server, alerts=notify, playbooks=own, more=more)
    session.perform(file_written, ETC / "ccci.toml", text=text)
    session.perform(key_made, KEY)
    session.perform(authorised, KEY.with_suffix(".pub"))


def upkeep_of(settings: Settings, name: str) -> dict[str, object]:
    """Return what the host is to have of nights and of the disk: what this machine has, and that nights are due."""
    known = {field.name: getattr(settings, field.name) for field in attrs.fields(Upkeep)}
    group = settings.night_group(name)
    return {
        **known,
        "night_max_age": settings.night_max_age or NIGHT_MAX_AGE,
        "night_hosts": list(group) if len(group) > 1 else [],
    }


def settings_text(
    host: Host, server: SshServer, *, alerts: bool, playbooks: bool, more: Mapping[str, object] | None = None
) -> str:
    """Return the settings file for the host.

    Args:
        host: the host as this machine knows it.
        server: its sshd.
        alerts: whether it has a file of addresses.
        playbooks: whether it has playbooks besides ccci's own.
        more: further options.
    """
    current = OPT / "current"
    top: dict[str, object] = {"host": host.name, "recipes": f"{current}/recipes"}
    top |= {"playbooks": f"{current}/playbooks"} if playbooks else {}
    top |= {"alerts": "alerts"} if alerts else {}
    top |= more or {}
    table: dict[str, object] = {
        "address": "127.0.0.1",
        "base_domain": host.base_domain,
        "key": KEY.name,
        "known_hosts": "known_hosts",
    }
    table |= {"forge": host.forge, "group": host.group} | ({"ca": "ca.pem"} if host.ca else {})
    lines = ["# Written by `ccci host install`.", *(f"{key} = {json.dumps(value)}" for key, value in top.items())]
    lines += ["", f"[hosts.{json.dumps(host.name)}]", f"port = {server.port}"]
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""])


@step("trying it on the host")
def try_release(session: Session, name: str) -> None:
    """Make a release the current one if it works there: doctor reaches the host from itself.

    Raises:
        InfrastructureError: it does not; the release before stays the current one.
    """
    session.perform(file_written, OPT / "bin/ccci", text=_LAUNCHER, mode="0755")
    try:
        session.perform(switched, OPT / "current", to=OPT / "releases" / name, settings=ETC / "ccci.toml", home=STATE)
    except CommandFailed as error:
        raise InfrastructureError(
            "ccci does not work on the host; nothing was switched",
            hint=error.hint or "mend what its doctor names below",
            detail=error.detail,
        ) from error


@step("writing units")
def write_units(session: Session, providers: list[str]) -> None:
    """Write the units, and take away those of providers that are not enrolled any more."""
    wanted = units.all_units(providers)
    names = {unit.name for unit in wanted}
    stale = [name for name in installed_units(session) if name not in names]
    _stop_units(session, stale)
    changed = False
    for unit in wanted:
        changed |= session.perform(file_written, PurePosixPath(units.FOLDER, unit.name), text=unit.text)
    if changed or stale:
        session.perform(systemd.daemon_reload)


@step("starting units")
def start_units(session: Session, providers: list[str]) -> None:
    """Enable and start the units; what brings providers up ends when they are healthy.

    Raises:
        InfrastructureError: one does not start; journalctl says why.
    """
    for unit in units.all_units(providers):
        if not unit.started:
            continue
        session.waiting(unit.name)
        try:
            session.perform(systemd.service, unit.name, running=True, enabled=True)
        except CommandFailed as error:
            hint = f"`journalctl -u {unit.name}` on the host; then `ccci host install` again"
            raise InfrastructureError(f"{unit.name} does not start", hint=hint, detail=error.detail) from error


@step("removing older releases")
def drop_old_releases(session: Session, name: str) -> None:
    """Keep this release and the one before; runs that are under way may still use that."""
    others = [r for r in session.read(Folder, path=OPT / "releases") if r != name]
    before = session.read(File, path=OPT / "before")
    keep = (before or "").strip()
    session.perform(removed, *(OPT / "releases" / other for other in others if other != keep))
    session.perform(file_written, OPT / "before", text=name)


def installed_units(session: Session) -> list[str]:
    """Return the names of ccci's units that are on the host."""
    there = session.read(Folder, path=PurePosixPath(units.FOLDER))
    ours = [name for name in there if name.startswith(("ccci-", "warm-")) and name.endswith((".service", ".timer"))]
    marked = [name for name in ours if "`ccci host install`" in (_unit_text(session, name) or "")]
    return sorted(marked)


def _unit_text(session: Session, name: str) -> str | None:
    return session.read(File, path=PurePosixPath(units.FOLDER, name))


def _stop_units(session: Session, names: list[str]) -> None:
    for name in sorted(names, key=lambda name: not name.endswith(".timer")):
        session.perform(systemd.service, name, running=False, enabled=False)
    session.perform(removed, *(PurePosixPath(units.FOLDER, name) for name in names))


@step("removing units, key and programs")
def uninstall(session: Session) -> list[str]:
    """Take ccci's units, key, settings and programs off the host; safe to repeat.

    What it kept up goes on running, and what it knows stays: known-good, alerts, results.
    """
    names = installed_units(session)
    _stop_units(session, names)
    if names:
        session.perform(systemd.daemon_reload)
    session.perform(unauthorised, KEY.with_suffix(".pub"))
    session.perform(removed, OPT, ETC)
    return [f"kept: /var/lib/ci-warm, results in {STATE}, and every app that is up"]


def unit_states(session: Session) -> list[Unit]:
    """Return the states of ccci's units on the host, by name; none if it is not installed."""
    names = installed_units(session)
    found = session.read(Units, names=names) if names else {}
    return [found[name] for name in names if name in found]


def missing_units(session: Session) -> list[str]:
    """Return the names of units that the host should have for the recipes enrolled here, and has not."""
    have = set(installed_units(session))
    return [unit.name for unit in units.all_units(providers_of(session)) if unit.name not in have]
