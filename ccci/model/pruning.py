"""What prune may remove: decided here, from what is on the host and what enrolled recipes need. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum

import attrs

_RUN_ID = re.compile(r"(\d{8}t\d{6})-[0-9a-f]{6}")
YOUNG = timedelta(days=1)  # a run's files are left alone that long, whatever its lock says


class Kind(str, Enum):
    """What kind of thing it is."""

    IMAGE = "image"
    CANONICAL = "canonical"
    RUN = "run"
    SCRATCH = "scratch"
    VOLUME = "volume"


@attrs.frozen
class Doomed:
    """Something that nobody needs.

    Attributes:
        kind: what it is.
        name: its name, for people.
        why: why nobody needs it.
        size: bytes that go with it; images share layers, so of those it is at most that.
        words: what the host knows it by; several names of one image.
    """

    kind: Kind
    name: str
    why: str
    size: int = 0
    words: tuple[str, ...] = ()


@attrs.frozen
class Image:
    """An image on the host: its id, its names with tag or digest, and its bytes."""

    id: str
    names: tuple[str, ...]
    size: int


def unneeded_images(images: Iterable[Image], needed: Collection[str], used: Collection[str]) -> list[Doomed]:
    """Return the images that no enrolled recipe needs and no container is made of.

    Args:
        images: all that the host has.
        needed: names of images in enrolled recipes' compose files.
        used: ids and names of images that containers and services use now.
    """
    kept = {form for name in (*needed, *used) for form in forms(name)}
    found = []
    for image in images:
        if image.id in used or any(forms(name) & kept for name in image.names):
            continue
        tags = tuple(name for name in image.names if "@" not in name) or (image.id,)
        found.append(Doomed(Kind.IMAGE, ", ".join(tags), "no enrolled recipe needs it", image.size, tags))
    return found


def forms(name: str) -> frozenset[str]:
    """Return how Docker may list an image: by tag and by digest, without the default registry."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    plain, at, digest = name.partition("@")
    repository, colon, _ = plain.rpartition(":")
    tagged = bool(colon) and "/" not in plain.rpartition(":")[2]
    repository = repository if tagged else plain
    by_digest = {f"{repository}@{digest}"} if at else set()
    by_tag = {plain if tagged else f"{plain}:latest"} if tagged or not at else set()
    return frozenset(by_digest | by_tag)


def old_runs(run_ids: Iterable[str], *, now: datetime, days: float, live: Collection[str]) -> list[str]:
    """Return the runs whose results are older than some days; what is no run id is left alone."""
    return [r for r in run_ids if r not in live and _age(r, now) > timedelta(days=days)]


def dead_runs(run_ids: Iterable[str], *, now: datetime, live: Collection[str]) -> list[str]:
    """Return the runs that are over, for sure: no lock is theirs, and they began more than a day ago."""
    return [r for r in run_ids if r not in live and _age(r, now) > YOUNG]


def _age(run_id: str, now: datetime) -> timedelta:
    """Return how long ago a run began; what is no run id has just begun."""
    found = _RUN_ID.fullmatch(run_id)
    try:
        began = datetime.strptime(found[1], "%Y%m%dt%H%M%S").replace(tzinfo=timezone.utc) if found else now
    except ValueError:
        return timedelta(0)
    return now - began


def orphans(
    canonicals: Iterable[str], enrolled: Collection[str], since: Mapping[str, datetime], *, now: datetime, days: float
) -> tuple[list[str], list[str]]:
    """Sort the canonicals whose recipe is not enrolled any more.

    Args:
        canonicals: recipes that have one.
        enrolled: recipes that have an enrolment, whether sweeps include them or not.
        since: when prune first saw that one is not enrolled.
        now: the time now.
        days: how long one is left alone from then on.

    Returns:
        Those whose time is over, and those whose time begins now.
    """
    gone = [name for name in canonicals if name not in enrolled]
    over = [name for name in gone if name in since and now - since[name] > timedelta(days=days)]
    return over, [name for name in gone if name not in since]


def size_text(size: int) -> str:
    """Return bytes as people read them."""
    units = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
    return next((f"{size / unit:.1f} {name}" for unit, name in units if size >= unit), f"{size} B")
