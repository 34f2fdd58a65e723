"""Providers and those who use them: a reconcile works alone, runs work side by side.

A run that uses a provider holds a lease on it: a lock of its own in the provider's folder. It takes
the lease first and looks for a reconcile then; a reconcile takes the provider's lock first and looks for
leases then. So whichever is second sees the other, and waits. A run that has to wait gives its lease
back meanwhile: a reconcile that waits comes first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import gevent

from ccci.engine.run import Run
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import Locked
from ccci.facts.warm import Folder, Lock, LockState
from ccci.model.app import App
from ccci.model.enrolment import providers_in
from ccci.model.recipe import Recipe
from ccci.operations.record import removed
from ccci.steps.registry import write_journal

POLL = 0.2  # seconds between two looks at somebody else's lock
LEASES = "leases"


def providers(run: Run) -> list[Recipe]:
    """Return the providers that a run uses: those it depends on, and those that every run uses."""
    known = providers_in(run.session.settings.recipes)
    return [p for p in known if p.name in run.recipe.meta.deps or (p.meta.provider and p.meta.provider.everybody)]


@contextmanager
def providers_held(run: Run) -> Iterator[None]:
    """Keep the run's providers as they are: no reconcile changes them until this run is over.

    Raises:
        Locked: a reconcile did not end within `provider_wait`.
    """
    with ExitStack() as leases:
        for provider in providers(run):
            leases.enter_context(_leased(run, provider_app(run.session, provider)))
        yield


def provider_app(session: Session, provider: Recipe) -> App:
    """Return a provider's app on this host."""
    return provider.app_at(session.host_settings.base_domain)


@contextmanager
def _leased(run: Run, provider: App) -> Iterator[None]:
    lease = lease_of(provider, run.hex, recipe=run.recipe.name)
    session = run.session
    _take(session, lease, provider)
    try:
        yield
    finally:
        with session.shielded():
            _give_back(session, lease)


def _give_back(session: Session, lease: App) -> None:
    """End a lease, while it is held: its holder writes into the folder when it ends, and `rm` would trip over that."""
    try:
        session.perform(removed, lease.home)
    finally:
        session.unlock(lease)


def lease_of(provider: App, hex6: str, *, recipe: str = "") -> App:
    """Return a run's lease on a provider, in the form of an app: what can be locked and has a journal."""
    return App(recipe, f"{hex6}.lease.{provider.domain}", provider.home / LEASES / hex6)


@step("holding {2.domain}")
def _take(session: Session, lease: App, provider: App) -> None:
    deadline = time.monotonic() + session.settings.provider_wait
    while True:
        session.lock(lease)
        if session.read(Lock, home=provider.home).holder is None:
            write_journal(session, lease, forked=False)
            return
        session.unlock(lease)
        _wait_for_reconcile(session, lease, provider, deadline)


def _wait_for_reconcile(session: Session, lease: App, provider: App, deadline: float) -> None:
    """Wait until no reconcile is at work, and until the host has noticed that the lease was given back.

    Raises:
        Locked: that does not come before the deadline.
    """
    said = ""
    while True:
        holder = session.read(Lock, home=provider.home).holder
        if holder is None and session.read(Lock, home=lease.home).holder is None:
            return
        if holder is not None and holder != said:
            said = holder
            session.waiting(f"{provider.domain} is being reconciled: {holder}")
        if time.monotonic() > deadline:
            raise Locked(
                f"{provider.domain} is being reconciled by {said or 'another run'}, and that does not end",
                hint="look at that run; `provider_wait` in the settings says how long others wait for it",
            )
        gevent.sleep(POLL)


def leases(session: Session, provider: App) -> dict[str, tuple[App, LockState]]:
    """Return the leases on a provider and the state of their locks, by the hex of their run."""
    found = {}
    for hex6 in session.read(Folder, path=provider.home / LEASES):
        lease = lease_of(provider, hex6)
        found[hex6] = (lease, session.read(Lock, home=lease.home))
    return found


def lease_holders(session: Session, provider: App) -> dict[str, str]:
    """Return who holds the live leases on a provider, by the hex of their run."""
    known = leases(session, provider)
    return {hex6: lock.holder for hex6, (_, lock) in known.items() if lock.holder is not None}


def live_hexes(session: Session, provider: App) -> set[str]:
    """Return the hexes of the runs that use a provider, and of those that may only have lost their connection."""
    grace = session.settings.dead_after * 2
    known = leases(session, provider)
    return {hex6 for hex6, (_, lock) in known.items() if lock.holder is not None or lock.free_for < grace}


def forget_dead_leases(session: Session, provider: App) -> None:
    """Remove the leases of runs that died; what they had on the provider must be gone by now."""
    live = live_hexes(session, provider)
    dead = [lease.home for hex6, (lease, _) in leases(session, provider).items() if hex6 not in live]
    session.perform(removed, *dead)


@step("waiting until no run uses {1.domain}")
def wait_for_runs(session: Session, provider: App) -> None:
    """Wait until no live run holds a lease on a provider that this run has locked.

    Raises:
        Locked: one still does after `provider_wait`.
    """
    deadline = time.monotonic() + session.settings.provider_wait
    while holders := lease_holders(session, provider):
        who = min(holders.values())
        session.waiting(f"{len(holders)} run(s) use {provider.domain}: {who}")
        if time.monotonic() > deadline:
            raise Locked(
                f"{provider.domain} is used by {who}",
                hint="it is tried again by the timer; `provider_wait` in the settings says how long it waits",
            )
        gevent.sleep(POLL)
