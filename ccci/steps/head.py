"""Find out what a run tests, before anything is changed."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.commands import git
from ccci.engine.request import Request
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import CommandFailed, UsageError
from ccci.facts.git import Commit, HasClone, Tag, Tags, Tree
from ccci.model.app import App, canonical_app
from ccci.model.canonical import Canonical
from ccci.model.compose import Compose
from ccci.model.deployment import Files, Place, app_env, plan, version_label
from ccci.model.recipe import Recipe
from ccci.model.run import Mode, Release
from ccci.model.version import Version, is_version, newest, newest_before
from ccci.operations.recipe import cloned, fetched, pull_fetched

FORGE_HEAD = "refs/remotes/origin/HEAD"
LOCAL_HEAD = "HEAD"


@attrs.frozen
class Source:
    """A recipe's repository as it is on the host now: released versions, by version."""

    recipe: Recipe
    releases: dict[Version, Release]


@step("fetching recipe {1}")
def fetch_recipe(session: Session, recipe: str, request: Request, *, must: bool = True) -> None:
    """Clone a recipe on the host if it is not there, else bring it up to date.

    Args:
        session: the session.
        recipe: its name.
        request: the request; with `skip_fetch` a clone that is there is used as it is.
        must: whether a clone that cannot be brought up to date is an error, or is used with a note.

    Raises:
        UsageError: the forge has no such recipe.
    """
    repo = paths.recipe_clone(recipe)
    url = session.host_settings.forge.format(recipe=recipe)
    try:
        new = session.perform(cloned, repo, url=url)
        if not new and not request.skip_fetch:
            session.perform(fetched, repo)
    except CommandFailed as error:
        if not must and session.read(HasClone, repo=repo):
            session.say(f"{recipe} could not be brought up to date from {url}: the clone is used as it is", keep=True)
            return
        raise UsageError(
            f"recipe {recipe} cannot be fetched from {url}",
            hint="check the forge in the settings, and that the host can reach it",
            detail=error.detail,
        ) from error


@step("fetching pull request {2.pull_request} of {1}")
def fetch_pull_request(session: Session, recipe: str, request: Request) -> None:
    """Fetch the head of the pull request that is to be tested, from the recipe's repository at the forge only.

    No submodule and no large file (LFS) comes along, and nothing of it is run.

    Raises:
        UsageError: there is none of that number, it is too large, or its objects are damaged.
    """
    number = request.pull_request
    url = session.host_settings.forge.format(recipe=recipe)
    try:
        session.perform(pull_fetched, paths.recipe_clone(recipe), url=url, number=number)
    except CommandFailed as error:
        raise UsageError(
            f"pull request {number} of {recipe} cannot be fetched from {url}",
            hint=f"is there one of that number? It may add {git.PULL_LIMIT >> 20} MiB at most, of sound objects",
            detail=error.detail,
        ) from error


def read_source(session: Session, recipe: Recipe) -> Source:
    """Read a recipe's released versions: its annotated tags. A light tag is a mistake, and is said."""
    tags = session.read(Tags, repo=paths.recipe_clone(recipe.name))
    versions = [tag for tag in tags if is_version(tag.name)]
    for tag in versions:
        if not tag.annotated:
            session.say(f"tag {tag.name} is a light tag, so it is no release; release with `git tag -a`")
    released = {Version.parse(t.name): _release(t) for t in versions if t.annotated}
    return Source(recipe, released)


def _release(tag: Tag) -> Release:
    return Release(tag.commit, tag.name, released=True)


def find_head(session: Session, source: Source, request: Request, mode: Mode) -> Release:
    """Return what a run tests: the ref asked for, else the lane's own choice.

    The cold lane takes the newest release; the quick lane the default branch's head, or the clone's
    own HEAD where it is used as it is.

    Raises:
        UsageError: the ref names no commit, or there is no release.
    """
    name = source.recipe.name
    if request.pull_request:
        return release_at(session, source, _head_of_pull_request(session, name, request))
    if not request.ref and (mode is Mode.RECONCILE or (mode is Mode.COLD and not request.skip_fetch)):
        version = newest(str(v) for v in source.releases)
        if version is None:
            raise UsageError(
                f"{name} has no released version: no annotated tag like 1.0.0+2.3.4",
                hint="release it, or name a commit with --ref",
            )
        return source.releases[version]
    repo = paths.recipe_clone(name)
    ref = request.ref or (LOCAL_HEAD if request.skip_fetch else FORGE_HEAD)
    commit = session.read(Commit, repo=repo, ref=ref)
    if not commit:
        raise UsageError(
            f"{name} has no ref {ref!r}",
            hint="see `git branch -r` and `git tag` in the recipe; for a pull request's head use --pr",
        )
    return release_at(session, source, commit)


def _head_of_pull_request(session: Session, name: str, request: Request) -> str:
    """Return the commit that a pull request proposes now; a ref that is asked for, too, must be that commit."""
    repo, number = paths.recipe_clone(name), request.pull_request
    commit = session.read(Commit, repo=repo, ref=git.pull_ref(number))
    if not commit:
        raise UsageError(
            f"pull request {number} of {name} was never fetched", hint="do not set CCCI_SKIP_FETCH for this run"
        )
    if request.ref and session.read(Commit, repo=repo, ref=request.ref) != commit:
        raise UsageError(
            f"pull request {number} of {name} is at {commit[:10]} now, not at {request.ref}",
            hint="it has changed since: ask for another run, or leave out the ref",
        )
    return commit


def release_at(session: Session, source: Source, commit: str) -> Release:
    """Return a commit as a release: by its tag, or unreleased with what its compose file says."""
    tagged = sorted(v for v, release in source.releases.items() if release.commit == commit)
    if tagged:
        return source.releases[tagged[-1]]
    files = read_files(session, source.recipe.name, commit)
    app = canonical_app(source.recipe.name, "label.invalid")
    compose = compose_at(files, Release(commit, "", released=False), app, source.recipe)
    return Release(commit, version_label(compose, app.stack), released=False)


def compose_at(files: Files, release: Release, app: App, recipe: Recipe) -> Compose:
    """Return what a commit's compose files say for an app with a new env file.

    Raises:
        ComposeError: they cannot be deployed.
    """
    env = app_env(files, app, release, recipe.meta.env_with({}))
    return plan(files, release, Place(app, env, allow=recipe.meta.policy)).compose


def read_files(session: Session, recipe: str, commit: str) -> Files:
    """Return the plain files of a commit."""
    return session.read(Tree, repo=paths.recipe_clone(recipe), commit=commit)


def choose_base(source: Source, head: Release, known: Canonical | None) -> tuple[Release | None, str]:
    """Choose what the cold lane upgrades from: known-good, else the newest release that is older than the head.

    Known-good is what people are known to run; if it is newer than the head, an upgrade from it would be none.
    Nothing is ever upgraded from a version to itself.

    Returns:
        The base, or None and why there is none.
    """
    if known is not None:
        good = Release(known.record.commit, known.known_good, released=True)
        if good.commit == head.commit or (head.released and good.version == head.version):
            return None, f"the head is known-good {good.version} itself: there is nothing to upgrade"
        if good.parsed in source.releases and (not head.version or not head.parsed < good.parsed):
            return good, ""
    base = find_base(source, head)
    return base, "" if base else "no release is older than the head"


def find_base(source: Source, head: Release) -> Release | None:
    """Return the newest release that is older than the head, or None.

    For an unreleased head that is the newest release with an older or the same version number.
    """
    if not head.version:
        version = newest(str(v) for v in source.releases)
        return source.releases[version] if version else None
    if not head.released and head.parsed in source.releases:
        return source.releases[head.parsed]
    version = newest_before([str(v) for v in source.releases], head.parsed)
    return source.releases[version] if version else None
