"""Which images enrolled recipes need: of each release that a run may deploy next."""

from __future__ import annotations

from ccci.engine.request import Request
from ccci.engine.session import Session
from ccci.engine.steps import step
from ccci.errors import CcciError
from ccci.facts.pruning import Images, UsedImages
from ccci.facts.warm import File
from ccci.model import envfile
from ccci.model.deployment import Place, app_env, plan
from ccci.model.enrolment import find_recipe
from ccci.model.pruning import Doomed, unneeded_images
from ccci.model.recipe import Recipe
from ccci.model.run import Mode, Release
from ccci.steps.head import fetch_recipe, find_base, find_head, read_files, read_source
from ccci.steps.keeping import read_last_good
from ccci.steps.registry import read_record


@step("looking which images somebody needs")
def doomed_images(session: Session, enrolled: tuple[str, ...], live: tuple[str, ...]) -> list[Doomed]:
    """Return the images that no enrolled recipe needs and nothing uses; none if that cannot be told for all.

    Args:
        session: the session.
        enrolled: every recipe that has an enrolment.
        live: runs that are under way: one may have fetched an image for a service that it is about to make.
    """
    if live:
        session.say(f"images are left alone: {len(live)} run(s) are under way", keep=True)
        return []
    needed: set[str] = set()
    for name in enrolled:
        try:
            needed |= images_of(session, find_recipe(name, session.settings.recipes))
        except CcciError as error:
            session.say(f"images are left alone: what {name} needs cannot be told: {error.what}", keep=True)
            return []
    images, used = session.read(Images), session.read(UsedImages)
    return unneeded_images(images, needed, used)


def images_of(session: Session, recipe: Recipe) -> set[str]:
    """Return the images of a recipe's newest release, of the one before it, and of what is known-good.

    Raises:
        UsageError: the recipe cannot be fetched, or has no release.
        ComposeError: a release cannot be read.
    """
    request = Request("prune", recipe.name)
    fetch_recipe(session, recipe.name, request)
    source = read_source(session, recipe)
    head = find_head(session, source, request, Mode.COLD)
    app = recipe.app_at(session.host_settings.base_domain)
    text = session.read(File, path=app.env_file)
    own = envfile.parse(text, where=str(app.env_file)) if text else {}
    found: set[str] = set()
    wanted = [head, find_base(source, head), *_kept(session, recipe)]
    for release in {release.commit: release for release in wanted if release}.values():
        files = read_files(session, recipe.name, release.commit)
        new = app_env(files, app, release, recipe.meta.env_with({}))
        for env in (new, {**new, **own}):
            compose = plan(files, release, Place(app, env)).compose
            found |= {service.image for service in compose.services.values()}
    return found


def _kept(session: Session, recipe: Recipe) -> list[Release]:
    """Return what the host may have to go back to: the canonical's known-good, or a provider's last good."""
    app = recipe.app_at(session.host_settings.base_domain)
    if recipe.meta.provider is not None:
        good = read_last_good(session, app)
        return [Release(good.commit, good.version, released=True)] if good else []
    record = read_record(session, app)
    return [Release(record.commit, record.version, released=True)] if record else []
