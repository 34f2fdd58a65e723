"""Remove what no enrolled recipe needs; whoever cannot tell what is needed removes nothing of that kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from ccci import paths
from ccci.engine.run import HostRun
from ccci.engine.session import Session, utc_now
from ccci.engine.steps import step
from ccci.errors import CcciError, InfrastructureError, UsageError
from ccci.facts.docker import StackLeftovers, Volumes
from ccci.facts.pruning import FolderSizes, LiveRuns
from ccci.facts.warm import Exists, File, Folder
from ccci.model.canonical import Status
from ccci.model.enrolment import all_names
from ccci.model.night import moment
from ccci.model.pruning import Doomed, Kind, dead_runs, old_runs, orphans, size_text
from ccci.operations.image import images_removed
from ccci.operations.recipe import no_worktrees
from ccci.operations.record import file_written, removed
from ccci.operations.volume import remove_volumes
from ccci.steps.app import take_down
from ccci.steps.needs import doomed_images
from ccci.steps.operator import NO_RECIPES
from ccci.steps.recover import app_of, forget
from ccci.steps.registry import read_journal, read_record

ORPHAN = "unenrolled"  # in a canonical's folder: since when its recipe is not enrolled


def find_unneeded(run: HostRun) -> list[Doomed]:
    """Find what no enrolled recipe needs: images, canonicals after their grace, old results, what dead runs left.

    Adds a line for each to the summary, and one for all.

    Raises:
        UsageError: no recipe is enrolled, so all would seem to be in nobody's need.
    """
    session = run.session
    enrolled = all_names(session.settings.recipes)
    if not enrolled:
        raise UsageError(
            f"no recipe is enrolled in {session.settings.recipes}: everything on the host would go",
            hint="set `recipes` in the settings to the folder of the enrolled recipes",
        )
    live = session.read(LiveRuns)
    found = [
        *doomed_images(session, enrolled, live),
        *_canonicals(session, enrolled, mark=not run.request.dry_run),
        *_runs(session, live),
        *_scratch(session, live),
        *_volumes(session, live),
    ]
    would = "would go" if run.request.dry_run else "goes"
    run.summary += [f"{would}: {each.kind.value} {each.name} ({size_text(each.size)}): {each.why}" for each in found]
    total = size_text(sum(each.size for each in found))
    run.summary.append(f"{len(found)} in all, {total} at the most" if found else "all that is there is needed")
    if run.request.dry_run:
        run.summary.append("nothing was changed")
    return found


def remove_unneeded(run: HostRun, found: list[Doomed]) -> None:
    """Remove what was found, unless this is a dry run; each is tried.

    Raises:
        InfrastructureError: some could not be removed.
    """
    if run.request.dry_run:
        return
    how: dict[Kind, Callable[[Session, Doomed], None]] = {
        Kind.IMAGE: _remove_image,
        Kind.CANONICAL: _remove_canonical,
        Kind.RUN: _remove_folder,
        Kind.SCRATCH: _remove_scratch,
        Kind.VOLUME: _remove_volume,
    }
    failed = []
    for each in found:
        try:
            how[each.kind](run.session, each)
        except CcciError as error:
            failed.append(f"{each.kind.value} {each.name}: {error.what}")
            run.session.say(f"could not be removed: {failed[-1]}", keep=True)
    if failed:
        raise InfrastructureError(f"not everything could be removed: {failed[0]}", detail="\n".join(failed))


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _sizes(session: Session, kind: Kind, why: str, at: dict[str, str]) -> list[Doomed]:
    """Return things by name with the size of their folders."""
    sizes = session.read(FolderSizes, folders=list(at.values()))
    return [Doomed(kind, name, why, size, (folder,)) for (name, folder), size in zip(at.items(), sizes, strict=True)]


@step("looking for old results and for what dead runs left")
def _runs(session: Session, live: tuple[str, ...]) -> list[Doomed]:
    days = session.settings.keep_runs
    there = session.read(Folder, path=paths.RUNS)
    names = old_runs(there, now=_now(), days=days, live=live)
    return _sizes(session, Kind.RUN, f"older than {days:g} days", {name: str(paths.RUNS / name) for name in names})


def _scratch(session: Session, live: tuple[str, ...]) -> list[Doomed]:
    there = session.read(Folder, path=paths.SCRATCH)
    names = dead_runs(there, now=_now(), live=live)
    return _sizes(session, Kind.SCRATCH, "its run is dead", {name: str(paths.SCRATCH / name) for name in names})


def _volumes(session: Session, live: tuple[str, ...]) -> list[Doomed]:
    """Return forks and trial restores of dead runs: by their own names, which no app's volume has."""
    known = session.read(Volumes)
    ours = {name: _run_of(name) for name in known if _run_of(name)}
    dead = set(dead_runs(ours.values(), now=_now(), live=live))
    at = {name: known[name].mountpoint for name, run_id in ours.items() if run_id in dead}
    return _sizes(session, Kind.VOLUME, "its run is dead", at)


def _run_of(volume: str) -> str:
    """Return the id of the run that a volume is named by; empty if it is not."""
    rest = volume.removeprefix("ccci-").removeprefix("drill-")
    return rest[:22] if volume.startswith("ccci-") else ""  # a run id has 22 characters


@step("looking for canonicals whose recipe is not enrolled any more")
def _canonicals(session: Session, enrolled: tuple[str, ...], *, mark: bool) -> list[Doomed]:
    there = [
        name
        for name in session.read(Folder, path=paths.WARM)
        if name not in NO_RECIPES and session.read(Exists, path=paths.WARM / name / "canonical.json")
    ]
    since = {name: moment(text) for name in there if (text := _orphan_since(session, name))}
    days = session.settings.prune_grace
    over, new = orphans(there, enrolled, since, now=_now(), days=days)
    for name in new:
        session.say(f"{name} is not enrolled any more: its canonical goes in {days:g} days", keep=True)
        if mark:
            session.perform(file_written, paths.WARM / name / ORPHAN, text=utc_now())
    if mark:
        session.perform(removed, *(paths.WARM / name / ORPHAN for name in since if name in enrolled))
    return [_doomed_canonical(session, name, days) for name in over]


def _orphan_since(session: Session, name: str) -> str:
    return (session.read(File, path=paths.WARM / name / ORPHAN) or "").strip()


def _doomed_canonical(session: Session, name: str, days: float) -> Doomed:
    known = session.read(Volumes)
    volumes = session.read(StackLeftovers, stack=app_of(session, name).stack).volumes
    folders = [str(paths.WARM / name), *(known[v].mountpoint for v in volumes if v in known)]
    sizes = session.read(FolderSizes, folders=folders)
    return Doomed(Kind.CANONICAL, name, f"its recipe is not enrolled, for more than {days:g} days", sum(sizes))


@step("removing canonical {1.name}")
def _remove_canonical(session: Session, doomed: Doomed) -> None:
    """Remove a canonical to the last trace, unless somebody uses it.

    Raises:
        Locked: a run does.
        UsageError: an operator does.
    """
    app = app_of(session, doomed.name)
    session.lock(app)
    try:
        if doomed.name in all_names(session.settings.recipes):
            raise UsageError(f"{doomed.name} is enrolled again meanwhile")
        record = read_record(session, app)
        running = session.read(StackLeftovers, stack=app.stack).running
        if running or record is None or record.status is not Status.IDLE or read_journal(session, app) is not None:
            raise UsageError(f"{app.domain} is not idle: it is deployed, or was changed, or is yet to be recovered")
        take_down(app)
        forget(app)
        session.perform(removed, app.home)
    finally:
        session.unlock(app)


@step("removing image {1.name}")
def _remove_image(session: Session, doomed: Doomed) -> None:
    session.perform(images_removed, doomed.words)


@step("removing results of run {1.name}")
def _remove_folder(session: Session, doomed: Doomed) -> None:
    session.perform(removed, paths.RUNS / doomed.name)


@step("removing files of dead run {1.name}")
def _remove_scratch(session: Session, doomed: Doomed) -> None:
    at = paths.SCRATCH / doomed.name
    for recipe in session.read(Folder, path=at):
        clone = paths.recipe_clone(recipe)
        if session.read(Exists, path=clone):
            session.perform(no_worktrees, clone, scratch=at / recipe)
    session.perform(removed, at)


@step("removing volume {1.name} of a dead run")
def _remove_volume(session: Session, doomed: Doomed) -> None:
    session.perform(remove_volumes, [doomed.name])
