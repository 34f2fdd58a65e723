"""Look over a whole host for what dead runs have left, and put it right."""

from __future__ import annotations

from collections.abc import Callable

from ccci import paths
from ccci.engine.run import HostRun
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import CcciError, InfrastructureError, Locked
from ccci.facts.warm import Exists, Folder, Lock
from ccci.model.app import App
from ccci.model.enrolment import providers_in
from ccci.model.recipe import Recipe
from ccci.steps.operator import NO_RECIPES
from ccci.steps.providers import forget_dead_leases, leases, live_hexes
from ccci.steps.realms import KEYCLOAK, reap
from ccci.steps.recover import app_of, recover_canonical, recover_cold_apps


def recover_all(run: HostRun) -> None:
    """Recover every canonical, cold app and realm that a dead run has left; live runs are left alone.

    A provider whose reconcile died is put back by its own next reconcile.

    Raises:
        InfrastructureError: some could not be recovered; every one is tried.
    """
    session = run.session
    known = providers_in(session.settings.recipes)
    providers = {provider.name for provider in known}
    failed = _tried(session, lambda: _cold_apps(session))
    for name in session.read(Folder, path=paths.WARM):
        if name not in NO_RECIPES and name not in providers:
            failed += _tried(session, lambda name=name: _canonical(session, name))  # type: ignore[misc]
    for provider in known:
        failed += _tried(session, lambda provider=provider: _leases(session, provider))  # type: ignore[misc]
    if failed:
        raise InfrastructureError(f"not everything could be recovered: {failed[0]}", detail="\n".join(failed))
    if not session.notes:
        run.summary.append("nothing was left over")


def _tried(session: Session, work: Callable[[], None]) -> list[str]:
    """Do one part; an error of it must not keep the others from being done."""
    try:
        work()
    except Locked:
        return []  # somebody took it meanwhile: it lives
    except CcciError as error:
        session.say(f"could not be recovered: {error.what}", keep=True)
        return [error.what]
    return []


@step("looking for cold apps of dead runs")
def _cold_apps(session: Session) -> None:
    for done in recover_cold_apps(session, ""):
        session.say(done, keep=True)


def _canonical(session: Session, name: str) -> None:
    app = app_of(session, name)
    if session.read(Lock, home=app.home).holder is not None:
        return
    if not (session.read(Exists, path=app.home / "canonical.json") or session.read(Exists, path=app.journal)):
        return
    _recover(session, app)


@step("looking at canonical {1.domain}")
def _recover(session: Session, app: App) -> None:
    session.lock(app)
    try:
        if found := recover_canonical(app):
            session.say(found, keep=True)
    finally:
        session.unlock(app)


def _leases(session: Session, provider: Recipe) -> None:
    where = provider.app_at(session.host_settings.base_domain)
    live = live_hexes(session, where)
    if set(leases(session, where)) <= live:
        return
    if provider.name == KEYCLOAK:
        for realm in reap(where, live):
            session.say(f"realm {realm} of a dead run is deleted", keep=True)
    forget_dead_leases(session, where)
