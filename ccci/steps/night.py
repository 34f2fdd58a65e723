"""A night on one host: providers up to date, recipes cold, snapshots proven restorable; one table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from ccci.engine.alerts import raise_in
from ccci.engine.children import Child, Ended
from ccci.engine.results import write_whole
from ccci.engine.run import HostRun
from ccci.engine.session import utc_now
from ccci.engine.steps import cleaned_up
from ccci.errors import EXIT_LOCKED, CcciError, InfrastructureError, RecipeFailed, Stopped
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.model.enrolment import providers_in, swept
from ccci.model.night import Night, NightRow, Work, judge, share, table
from ccci.model.run import Verdict
from ccci.steps.nights import bury_dead_night, keep_night, night_app, nights_before
from ccci.steps.registry import clear_journal, write_journal


@attrs.define(kw_only=True)
class Tonight:
    """A night that is under way.

    Attributes:
        run: the run that does it.
        hosts: the names of the hosts that share it.
        enrolled: the recipes that all of them test together.
        mine: those that this host tests.
        before: the nights before, newest first.
        rows: what was done until now.
        began: when, UTC.
        start: when, by the monotonic clock.
        error: what cut it off, if something did.
    """

    run: HostRun
    hosts: tuple[str, ...]
    enrolled: tuple[str, ...]
    mine: tuple[str, ...]
    before: list[Night]
    rows: list[NightRow] = attrs.field(factory=list)
    began: str = attrs.field(factory=utc_now)
    start: float = attrs.field(factory=time.monotonic)
    error: BaseException | None = None

    @property
    def host(self) -> str:
        """The name of the host."""
        return self.run.session.host_settings.name

    @property
    def dry(self) -> bool:
        """Whether nothing is done but to say what would be."""
        return self.run.request.dry_run

    @property
    def left(self) -> float:
        """The seconds until the night is over."""
        return self.run.session.settings.night_deadline - (time.monotonic() - self.start)

    def started(self, work: str, *words: str) -> Child:
        """Start a playbook on this host in a process of its own."""
        settings = self.run.session.settings
        self.run.session.say(f"{work} begins")
        limit = max(1.0, min(settings.run_deadline, self.left))
        return Child([*words, "--host", self.host], limit=limit)

    def add(self, row: NightRow, *, detail: str = "", known: bool = False) -> None:
        """Write down what came of a piece of work; an alert says what is red.

        Args:
            row: what came of it.
            detail: the last lines of the log that matters.
            known: whether it has raised an alert itself.
        """
        self.rows.append(row)
        self.run.session.say(
            f"{row.work.value} {row.recipe}: {row.verdict.value}{f' ({row.reason})' * bool(row.reason)}"
        )
        if row.red and not known and not self.dry:
            raise_in(self.run.session, _alert(row, detail))

    def skip(self, work: Work, recipe: str, *, because: str, version: str = "") -> None:
        """Write down what is left out, and why."""
        self.add(self.row(work, recipe, Verdict.SKIPPED, version=version, reason=because))

    def row(self, work: Work, recipe: str, verdict: Verdict, *, version: str = "", reason: str = "") -> NightRow:
        """Return a row of this host that ends now."""
        return NightRow(
            work=work,
            recipe=recipe,
            host=self.host,
            verdict=verdict,
            version=version,
            reason=reason,
            finished=utc_now(),
        )

    def add_ended(self, work: Work, recipe: str, ended: Ended, *, version: str = "") -> None:
        """Write down what came of a run."""
        row, result = self.row(work, recipe, Verdict.ERRORED, version=version), ended.result
        if result is not None:
            reason = result.reason or result.outcome
            row = attrs.evolve(row, verdict=result.verdict, run_id=result.run_id, reason=reason)
        else:
            row = attrs.evolve(row, reason=first_line(ended))
        if ended.late:
            limit = self.run.session.settings.run_deadline
            over = "the night was over" if self.left <= 0 else f"it took more than {limit:g} s"
            row = attrs.evolve(row, verdict=Verdict.ERRORED, reason=f"stopped: {over}")
        row = attrs.evolve(row, seconds=ended.seconds)
        self.add(row, detail=result.detail if result else ended.said, known=bool(result and result.alerts))

    def verdict(self) -> Verdict:
        """Return the verdict of a night whose rows are all right.

        Raises:
            RecipeFailed: a recipe or a new release of a provider is red.
            InfrastructureError: something else is, or nothing was tested.
        """
        if self.dry:
            return Verdict.SKIPPED
        verdict, reason = judge(self.rows, enrolled=len(self.enrolled), mine=len(self.mine))
        hint = "each red row has an alert: `ccci alerts list`"
        if verdict is Verdict.FAILED:
            raise RecipeFailed(reason, hint=hint)
        if verdict is Verdict.ERRORED:
            raise InfrastructureError(
                reason, hint=hint if self.enrolled else "enrol a recipe: docs/recipes.md says how"
            )
        return verdict


def first_line(ended: Ended) -> str:
    """Return what a run without a result said first."""
    lines = [line for line in ended.said.splitlines() if line.strip()]
    return lines[0].removeprefix("ccci: ") if lines else f"it ended with {ended.code} and said nothing"


def _alert(row: NightRow, detail: str) -> Alert:
    again = {
        Work.COLD: f"ccci play cold --recipe {row.recipe}",
        Work.RECONCILE: f"ccci play reconcile_{row.recipe}",
        Work.DRILL: f"ccci canonical verify {row.recipe}",
    }[row.work]
    where = f" The run is {row.run_id}." if row.run_id else ""
    return Alert(
        app=row.recipe,
        kind="night-red",
        title=f"{row.recipe}: {row.work.value} {row.verdict.value} in the night",
        text=f"{row.reason}.{where}\n{detail}".strip(),
        todo=f"see for yourself: {again} --host {row.host}",
        attempted=row.version,
    )


@contextmanager
def night(run: HostRun) -> Iterator[Tonight]:
    """Do one night on this host, alone; however it ends, its rows are kept and shown as one table.

    Raises:
        Locked: another night is under way.
    """
    session, app = run.session, night_app(run.session)
    hosts = session.settings.night_group(session.host_settings.name)
    recipes = swept(session.settings.recipes)
    mine = share(recipes, hosts, session.host_settings.name)
    if not run.request.dry_run:
        session.lock(app)
    try:
        before = list(nights_before(session))
        tonight = Tonight(run=run, hosts=hosts, enrolled=recipes, mine=mine, before=before)
        if tonight.dry:
            yield tonight
            run.summary += [*table(tonight.rows), "nothing was changed"]
            return
        bury_dead_night(session)
        write_journal(session, app, forked=False)
        with _kept(tonight):
            yield tonight
    finally:
        with session.shielded():
            session.unlock(app)


@contextmanager
def _kept(tonight: Tonight) -> Iterator[None]:
    """Keep the night's result, whatever happens inside."""
    with cleaned_up(lambda: _keep(tonight)):
        try:
            yield
        except BaseException as error:
            tonight.error = error
            raise


def _keep(tonight: Tonight) -> None:
    run, session, error = tonight.run, tonight.run.session, tonight.error
    verdict, reason = judge(tonight.rows, enrolled=len(tonight.enrolled), mine=len(tonight.mine))
    if error is not None:
        verdict, reason = Verdict.ERRORED, error.what if isinstance(error, CcciError) else str(error)
    made = Night(
        run_id=run.id,
        hosts=[tonight.host],
        verdict=verdict,
        reason=reason,
        started=tonight.began,
        finished=utc_now(),
        seconds=round(time.monotonic() - tonight.start, 1),
        rows=tonight.rows,
        alerts=list(session.alerts),
    )
    run.summary += table(tonight.rows)
    write_here(run, made)
    keep_night(session, made)
    if error is None or isinstance(error, Stopped):  # one that failed by itself is a dead one: its journal says so
        clear_journal(session, night_app(session))


def write_here(run: HostRun, made: Night) -> None:
    """Write nightly.json beside the run's result on this machine."""
    folder = run.session.settings.results / made.run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "nightly.json", codec.dump(made))
    except OSError as error:
        run.session.say(f"nightly.json could not be written here: {error}", keep=True)


def reconcile_providers(tonight: Tonight) -> None:
    """Reconcile every provider, the one that everybody uses first; what one does wrong does not stop the rest."""
    known = providers_in(tonight.run.session.settings.recipes)
    for provider in sorted(known, key=lambda p: (not (p.meta.provider and p.meta.provider.everybody), p.name)):
        if tonight.dry:
            tonight.skip(Work.RECONCILE, provider.name, because="would be reconciled")
            continue
        child = tonight.started(f"reconcile {provider.name}", f"reconcile_{provider.name}")
        try:
            ended = child.end()
        except BaseException:
            child.stop()
            child.end()
            raise
        if ended.code == EXIT_LOCKED and ended.result is not None:
            tonight.skip(Work.RECONCILE, provider.name, because=ended.result.reason)
        else:
            tonight.add_ended(Work.RECONCILE, provider.name, ended)
