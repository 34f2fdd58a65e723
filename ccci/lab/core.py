"""The verbs of the lab: up, down, reset. Each is idempotent, and safe beside another of the same lab."""

from __future__ import annotations

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from ccci.errors import StateUnreadable, UsageError
from ccci.lab import building, container, hostimage, keys, outer, process, recipes, record
from ccci.lab.inside import PROXY_RECIPE, Inside
from ccci.paths import controller_home

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ccci.lab.outer import Engine
    from ccci.lab.record import Record

DEFAULT_NAME = "lab"
DEFAULT_RECIPES = ("custom-html",)


class Reporter(Protocol):
    """Where the verbs say what they do."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """A step that begins and, when the block is left, has ended."""


def up(name: str, wanted: Iterable[str], report: Reporter) -> Record:
    """Bring a lab up, or add to it what is missing; a lab that is complete is left alone.

    Args:
        name: the lab's name.
        wanted: the recipes whose images are to be in it.
        report: is told each step.

    Returns:
        The lab.

    Raises:
        UsageError: a name or recipe is wrong; nothing was changed.
        InfrastructureError: there is no engine, or a build or a start failed.

    Side effects: an engine, a container and two volumes on this machine; files in the controller's home
    and cache.
    """
    record.checked_name(name)
    asked = [recipes.load(recipe) for recipe in wanted]
    with _lab_locked(name), contextlib.ExitStack() as stack:
        with report.step("engine"):
            engine = stack.enter_context(outer.in_use(_engine_of(name)))
            container.check_owner(engine, record.blank(name))
        lab = _described(name, engine).with_recipes(tuple(recipe.name for recipe in asked))
        images = _images(lab)
        with report.step("images of the host and of the recipes"):
            built = _build(engine, images)
        with report.step("host"):
            lab = container.ensure(engine, lab, built)
            inside = Inside(engine, lab)
            inside.wait_until_up()
        with report.step("swarm"):
            inside.ensure_swarm()
        _fill(inside, images, report)
        lab.save()
        record.write_hosts_file(lab)
    return lab


def down(name: str, report: Reporter) -> bool:
    """Remove a lab whole: container, volumes, keys, hosts file, and our engine if nothing else uses it.

    Args:
        name: the lab's name.
        report: is told each step.

    Returns:
        Whether there was anything to remove.
    """
    record.checked_name(name)
    with _lab_locked(name), contextlib.ExitStack() as stack:
        there = record.folder(name).exists()
        with report.step("host"):
            # An engine that is down may still hold the lab's container and volumes.
            engine = stack.enter_context(outer.in_use(_engine_of(name))) if there else outer.running()
            if engine is not None:
                there = container.remove(engine, record.blank(name)) or there
            record.forget(name)
    with report.step("engine"):
        outer.stop_if_unused()
    return there


def reset(name: str, report: Reporter) -> Record:
    """Make a lab anew, with the same ports, keys and recipes, and nothing else of the old one.

    Raises:
        UsageError: there is no such lab.
    """
    lab = existing(name)
    # Held until the new one is up, so that our engine is not stopped and started in between.
    with outer.in_use(lab.engine) as engine:
        with _lab_locked(name), report.step("remove the old host"):
            container.remove(engine, lab)
        return up(name, lab.recipes, report)


def existing(name: str) -> Record:
    """The record of a lab.

    Raises:
        UsageError: there is no such lab.
    """
    lab = record.load(name)
    if lab is None:
        option = "" if name == DEFAULT_NAME else f" --name {name}"
        raise UsageError(f"there is no lab {name!r}", hint=f"`ccci lab up{option}` makes it")
    return lab


def everything() -> list[Record]:
    """The records of all labs of this controller's home."""
    return [existing(name) for name in record.names()]


def _lab_locked(name: str) -> AbstractContextManager[None]:
    return process.locked(controller_home() / "labs" / f".{name}.lock")


def _engine_of(name: str) -> str | None:
    """The engine that a lab was made in, if there is a lab that we can read."""
    try:
        lab = record.load(name)
    except StateUnreadable:
        return None
    return lab.engine if lab else None


def _described(name: str, engine: Engine) -> Record:
    old = record.load(name)
    if old is not None:
        return evolve(old, engine=engine.host)
    folder = record.folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.write_ssh_pair(folder / "id_ed25519", "ccci lab user")
    keys.write_ssh_pair(folder / "host_key", "ccci lab host")
    keys.write_certificates(folder, record.BASE_DOMAIN)
    lab = evolve(record.blank(name), engine=engine.host)
    lab.save()
    return lab


def _images(lab: Record) -> list[str]:
    """The images that a lab must have: the newest proxy first, since it is started while others load."""
    proxy = recipes.load(PROXY_RECIPE)
    newest = proxy.releases[-1].partition("+")[2]
    first = next(image for image in proxy.images if image.endswith(f":{newest}"))
    rest = [image for name in lab.recipes for image in recipes.load(name).images]
    return list(dict.fromkeys([first, *rest]))


def _build(engine: Engine, images: list[str]) -> str:
    """Build what is not in the cache, two at a time; returns the image of the host."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        host = pool.submit(hostimage.ensure, engine)
        archives = [pool.submit(building.ensure_archive, building.spec(image)) for image in images]
        for archive in archives:
            archive.result()
        return host.result()


def _fill(inside: Inside, images: list[str], report: Reporter) -> None:
    proxy = recipes.load(PROXY_RECIPE)
    with report.step("recipes"), tempfile.TemporaryDirectory(prefix="ccci-lab-") as folder:
        inside.trust_ca()
        inside.ensure_ca_config()
        if names := inside.outdated_recipes(recipes.known()):
            inside.put_recipes({name: recipes.build(recipes.load(name), Path(folder)) for name in names})
    there = inside.images()
    missing = [image for image in images if image not in there]
    with report.step("proxy"):
        if images[0] in missing:
            inside.load(images[0])
        inside.ensure_proxy(proxy.releases[-1])
    for image in missing:
        if image != images[0]:
            with report.step(image):
                inside.load(image)
    with report.step("proxy answers"):
        inside.wait_for_proxy()
