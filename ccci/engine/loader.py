"""Find playbooks, and prepare the run that one is given."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import ccci
from ccci.engine.playbook import Playbook
from ccci.engine.request import Context
from ccci.engine.run import HostRun, Run
from ccci.engine.session import Session
from ccci.errors import UsageError
from ccci.model.app import cold_app
from ccci.model.deployment import Files
from ccci.model.enrolment import find_recipe, refuse_providers_domain
from ccci.model.recipe import Recipe
from ccci.model.run import Mode, Release, Verdict
from ccci.settings import Settings
from ccci.steps.head import (
    choose_base,
    compose_at,
    fetch_pull_request,
    fetch_recipe,
    find_head,
    read_files,
    read_source,
)
from ccci.steps.localtests import bring_local_tests
from ccci.steps.recover import recover_cold_apps
from ccci.steps.registry import find_canonical


def folders_of(settings: Settings) -> list[Path]:
    """Return the folders of playbooks: those that come with ccci, then the settings' one, which wins.

    Raises:
        UsageError: there is none.
    """
    package = Path(ccci.__file__).parent
    own = next((f for f in (package.parent / "playbooks", package / "_playbooks") if f.is_dir()), None)
    folders = [f for f in (own, settings.playbooks) if f is not None]
    if not folders:
        raise UsageError("no playbooks found", hint="set `playbooks` in the settings to their folder")
    return folders


def load_all(settings: Settings) -> dict[str, Playbook]:
    """Load every playbook by name."""
    found: dict[str, Playbook] = {}
    for folder in folders_of(settings):
        for path in sorted(folder.glob("[a-z]*.py")):
            found |= {made.name: made for made in _load(path)}
    return found


def load(settings: Settings, name: str) -> Playbook:
    """Load one playbook.

    Raises:
        UsageError: there is none of that name; the hint lists those there are.
    """
    known = load_all(settings)
    if name not in known:
        raise UsageError(f"no playbook {name!r}", hint=f"there are {', '.join(sorted(known))}")
    return known[name]


def _load(path: Path) -> list[Playbook]:
    spec = importlib.util.spec_from_file_location(f"ccci_playbook_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [value for value in vars(module).values() if isinstance(value, Playbook)]


def prepare(session: Session, context: Context, made: Playbook) -> HostRun:
    """Find out everything that a playbook needs, and refuse it while nothing was changed.

    Raises:
        UsageError: the recipe, the ref or the recipe's files are not usable.
    """
    if made.mode is Mode.HOST:
        return HostRun(session=session, request=context.request, mode=made.mode)
    return _prepare_recipe(session, context, made)


def _prepare_recipe(session: Session, context: Context, made: Playbook) -> Run:
    request, base = context.request, session.host_settings.base_domain
    recipe = find_recipe(request.recipe, context.settings.recipes)
    refuse_providers_domain(recipe, base, context.settings.recipes)
    if not request.dry_run:
        for done in recover_cold_apps(session, recipe.name):
            session.say(done, keep=True)
    fetch_recipe(session, recipe.name, request, must=made.mode.is_lane)
    if request.pull_request and not request.skip_fetch:
        fetch_pull_request(session, recipe.name, request)
    source = read_source(session, recipe)
    head = find_head(session, source, request, made.mode)

    def fall_back_to(run: Run, name: str) -> Verdict:
        run.mode = load(context.settings, name).mode
        if not request.ref and not request.pull_request:
            run.head = find_head(session, source, request, run.mode)
            run.base, run.no_base = choose_base(source, run.head, run.canonical)
        if run.head.commit not in run.files:
            run.files[run.head.commit] = read_files(session, recipe.name, run.head.commit)
        return load(context.settings, name)(run)

    run = Run(
        session=session,
        request=request,
        recipe=recipe,
        mode=made.mode,
        head=head,
        base=None,
        canonical=None if recipe.meta.provider else find_canonical(session, recipe.name),
        files={head.commit: read_files(session, recipe.name, head.commit)},
        fall_back_to=fall_back_to,
        releases=source.releases,
    )
    run.base, run.no_base = choose_base(source, head, run.canonical)
    if run.mode.is_lane:
        _check_head(session, recipe, head, run.files[head.commit])
    _check_what_is_deployed_first(run)
    bring_local_tests(run)
    return run


def _check_head(session: Session, recipe: Recipe, head: Release, files: Files) -> None:
    """Plan the head once for an app that never will be, so that what cannot be deployed is refused now."""
    app = cold_app(recipe.name, "000000", session.host_settings.base_domain)
    compose_at(files, head, app, recipe)


def _check_what_is_deployed_first(run: Run) -> None:
    """Plan the release from which a lane upgrades, too: it could be one that the policy refuses by now."""
    before = run.base if run.mode is Mode.COLD else None
    if run.mode is Mode.QUICK and run.canonical is not None:
        record = run.canonical.record
        before = Release(record.commit, record.version, released=True)
    if before is not None and run.wants("upgrade"):
        if before.commit not in run.files:
            run.files[before.commit] = read_files(run.session, run.recipe.name, before.commit)
        _check_head(run.session, run.recipe, before, run.files[before.commit])
