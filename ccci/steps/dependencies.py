"""What a recipe depends on: live providers are used, everything else is deployed with the app and torn down with it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ccci.engine.request import Request
from ccci.engine.run import Run
from ccci.engine.steps import cleaned_up, step
from ccci.model.app import App, cold_app
from ccci.model.deployment import app_env
from ccci.model.enrolment import find_recipe
from ccci.model.recipe import Recipe
from ccci.model.run import Mode
from ccci.steps.app import bring_up, files_of, gate
from ccci.steps.head import fetch_recipe, find_head, read_source
from ccci.steps.realms import KEYCLOAK, check_up, realm_of
from ccci.steps.recover import tear_down
from ccci.steps.registry import write_journal


@contextmanager
def dependencies(run: Run, app: App) -> Iterator[None]:
    """Have everything that a recipe depends on, for as long as its app is there.

    Raises:
        ProviderDown: a live provider does not answer.
        InfrastructureError: another dependency did not come up.
    """
    with ExitStack() as have:
        for name in run.recipe.meta.deps:
            dep = find_recipe(name, run.session.settings.recipes)
            if dep.meta.provider is None:
                have.enter_context(_deployed(run, app, dep))
            elif name == KEYCLOAK:
                have.enter_context(realm_of(run, app, dep))
            else:
                check_up(dep.app_at(run.session.host_settings.base_domain), dep)
        yield


@contextmanager
def _deployed(run: Run, app: App, dep: Recipe) -> Iterator[None]:
    """Deploy the newest release of a recipe beside the app."""
    session = run.session
    beside = cold_app(dep.name, run.hex, session.host_settings.base_domain)
    session.lock(beside)
    try:
        with cleaned_up(functools.partial(tear_down, beside, session.run_id)):
            write_journal(session, beside, forked=False)
            _bring_up(beside, dep, run)
            run.dep_domains[dep.name] = beside.domain
            _tell(run, app)
            session.say(f"dep: {dep.name} is deployed for this run @ {beside.domain}", keep=True)
            yield
    finally:
        run.dep_domains.pop(dep.name, None)
        session.unlock(beside)


@step("deploying dependency {1.name} at {0.domain}")
def _bring_up(beside: App, dep: Recipe, run: Run) -> None:
    session = run.session
    request = Request(run.request.playbook, dep.name, skip_fetch=run.request.skip_fetch)
    fetch_recipe(session, dep.name, request)
    release = find_head(session, read_source(session, dep), request, Mode.RECONCILE)
    run.expected_deploys += beside.domain not in session.deployments
    env = app_env(files_of(run, beside, release), beside, release, dep.meta.env_with({}))
    bring_up(run, beside, release, env)
    gate(session, beside, dep.meta.health)


def _tell(run: Run, app: App) -> None:
    """Lay the dependencies' domains over the app's env file, for this run only."""
    plain, filled = run.recipe.meta.env, run.recipe.meta.env_with(run.dep_domains)
    overlay = {key: value for key, value in filled.items() if value != plain[key]}
    run.overlay[app.domain] = {**run.overlay.get(app.domain, {}), **overlay}
