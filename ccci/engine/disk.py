"""The host's disk in a run: looked at before, watched while, looked at after; below the floor no run starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from ccci.commands.host import watch_free
from ccci.commands.shell import quote
from ccci.engine.alerts import HOST, raise_once
from ccci.engine.session import Session
from ccci.errors import CcciError, InfrastructureError
from ccci.facts.docker import DockerEngine
from ccci.facts.system import DiskSpace
from ccci.model.alert import Alert
from ccci.model.pruning import size_text
from ccci.model.run import DiskUse

GIGABYTE = 10**9


def check_floor(session: Session) -> int:
    """Return how many bytes are free where the host keeps images and volumes.

    Raises:
        InfrastructureError: less than the settings' floor; an alert says so, too.
    """
    root = session.read(DockerEngine).root
    free, floor = session.read(DiskSpace, path=root).free, session.settings.disk_floor * GIGABYTE
    if free >= floor:
        return free
    name = session.host_settings.name
    what = f"{size_text(free)} are free at {root} on {name}, less than the floor of {size_text(int(floor))}"
    todo = "`ccci play prune --dry-run` says what nobody needs; `disk_floor` in the settings is the floor"
    alert = Alert(app=HOST, kind="disk-low", title=f"{name}: the disk is nearly full", text=f"{what}.", todo=todo)
    raise_once(session, alert)
    raise InfrastructureError(f"no run starts: {what}", hint=todo)


@contextmanager
def disk_watched(session: Session) -> Iterator[None]:
    """Let no run start below the floor; measure what it uses, and say so in the result.

    Raises:
        InfrastructureError: too little is free.
    """
    before = check_floor(session)
    root = session.read(DockerEngine).root
    session.disk = DiskUse(before=before)
    channel = session.connector.open_command(quote(watch_free(root)))
    try:
        yield
    finally:
        with session.shielded():
            _measure(session, channel, root)


def _measure(session: Session, channel: Any, root: str) -> None:
    """Read what the watch saw; a connection that was lost ends it, and that is no fault of the run."""
    lowest = _last_number(channel)
    try:
        after = session.read(DiskSpace, path=root).free
    except CcciError as error:
        session.say(f"the disk could not be measured: {error.what}")
        return
    before = session.disk.before
    session.disk = attrs.evolve(session.disk, lowest=min(lowest, after, before) if lowest else 0, after=after)
    peak = f", {size_text(session.disk.peak)} more in use at the most" if lowest else ""
    change = before - after
    word = f"{size_text(abs(change))} {'more' if change > 0 else 'less'} in use than before"
    session.say(f"disk: {size_text(after)} free, {word}{peak}", keep=True)


def _last_number(channel: Any) -> int:
    try:
        channel.settimeout(5)
        channel.shutdown_write()
        lines = channel.makefile("rb").read(1 << 20).decode("ascii", "replace").split()
        channel.close()
        return int(lines[-1]) if lines else 0
    except (OSError, EOFError, ValueError):
        return 0
