"""A night's own files on the host: who does it, what came of those before, and whether one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ccci import paths
from ccci.engine.alerts import HOST, raise_in
from ccci.engine.run import HostRun
from ccci.engine.session import Session, utc_now
from ccci.engine.steps import step
from ccci.errors import Locked, StateUnreadable
from ccci.facts.warm import File, Folder, Lock
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.model.app import App
from ccci.model.night import Night, newest_nights, overdue
from ccci.operations.record import file_written, removed
from ccci.steps.registry import clear_journal, read_journal

_SINCE = paths.NIGHTS / "since"  # since when somebody waits for the first night
_MISSED = paths.NIGHTS / "missed"  # the last night after which one was missed, so that this is said once


def night_app(session: Session) -> App:
    """Return a host's nights in the form of an app: what can be locked and has a journal."""
    return App("", f"nights.{session.host_settings.base_domain}", paths.NIGHTS)


def nights_before(session: Session) -> Iterator[Night]:
    """Read the results of the nights that are kept, newest first; one that cannot be read is said and passed over."""
    there = session.read(Folder, path=paths.NIGHTS)
    for name in newest_nights(there)[0]:
        text = session.read(File, path=paths.NIGHTS / name)
        try:
            yield codec.load(Night, text or "", where=str(paths.NIGHTS / name))
        except StateUnreadable as error:
            session.say(error.what, keep=True)


def keep_night(session: Session, night: Night) -> None:
    """Write a night's result to the host and drop those that are too old."""
    path = paths.NIGHTS / f"{night.run_id}.json"
    session.perform(file_written, path, text=codec.dump(night))
    there = session.read(Folder, path=paths.NIGHTS)
    _, old = newest_nights(there)
    session.perform(removed, *(paths.NIGHTS / name for name in old))


def bury_dead_night(session: Session) -> bool:
    """Raise an alert about a night that was cut off; the nights' lock must be ours.

    Returns:
        Whether there was one.
    """
    app = night_app(session)
    journal = read_journal(session, app)
    if journal is None:
        return False
    alert = Alert(
        app=HOST,
        kind="night-died",
        title=f"{session.host_settings.name}: the night was cut off",
        text=f"{journal.who} began the night at {journal.started} and did not come to its end.",
        todo="`ccci play nightly` does it again; `ccci play recover` clears up after its runs",
    )
    raise_in(session, alert)
    clear_journal(session, app)
    session.say(f"the night of {journal.who} was cut off", keep=True)
    return True


def watch_nights(run: HostRun) -> None:
    """Raise an alert if a night died, or if none has come to its end for too long; each is said once.

    This is the dead-man's switch of the nights, so it must be called by other timers than theirs.
    """
    _watch(run.session)


@step("looking whether a night is missing")
def _watch(session: Session) -> None:
    _bury_unless_alive(session)
    max_age = session.settings.night_max_age
    if max_age is None:
        return
    last = _last(session)
    if not overdue(last, now=utc_now(), max_age=max_age) or (session.read(File, path=_MISSED) or "").strip() == last:
        return
    alert = Alert(
        app=HOST,
        kind="night-missed",
        title=f"{session.host_settings.name}: no night since {last}",
        text=f"A night should come to its end every {max_age:g} hours; the last one did at {last}, or none ever has.",
        todo="`systemctl status ccci-nightly` on the host says whether its timer runs; `ccci play nightly` does it now",
    )
    raise_in(session, alert)
    session.perform(file_written, _MISSED, text=last)
    session.say(f"no night since {last}", keep=True)


def _bury_unless_alive(session: Session) -> None:
    app = night_app(session)
    lock = session.read(Lock, home=app.home)
    if lock.holder is not None or lock.free_for < session.settings.dead_after * 2 or read_journal(session, app) is None:
        return
    with suppress(Locked):  # somebody began the next night this moment, and has found it, too
        session.lock(app)
        try:
            bury_dead_night(session)
        finally:
            session.unlock(app)


def _last(session: Session) -> str:
    """Return when the last night ended, or since when one has been waited for."""
    for night in nights_before(session):
        return night.finished
    since = (session.read(File, path=_SINCE) or "").strip()
    if not since:
        since = utc_now()
        session.perform(file_written, _SINCE, text=since)
    return since
