"""A night of several hosts: one process a host, all at once; one table at the end. A host that is down is reported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import gevent

from ccci.engine.alerts import raise_in
from ccci.engine.body import new_run_id
from ccci.engine.children import Child, Ended, side_by_side
from ccci.engine.connect import connected
from ccci.engine.request import Context
from ccci.engine.results import write_whole
from ccci.engine.session import STOPPING, Session, utc_now
from ccci.errors import EXIT_FAILED, EXIT_INFRASTRUCTURE, EXIT_LOCKED, EXIT_PASSED, CcciError, Locked, Stopped
from ccci.events import Note, RunEnded, Stream
from ccci.model import codec
from ccci.model.alert import Alert
from ccci.model.enrolment import swept
from ccci.model.night import Night, NightRow, Work, judge, share, table
from ccci.model.run import DeployCount, KnownGoodChange, Mode, RunResult, Verdict

_CLEAN_UP = 1800.0  # seconds that a host's night gets beyond its deadline, until it counts as hanging
_CODES = {Verdict.FAILED: EXIT_FAILED, Verdict.ERRORED: EXIT_INFRASTRUCTURE}


def play_on_group(context: Context, hosts: tuple[str, ...], stream: Stream) -> RunResult:
    """Let every host of a group do its share of the night, side by side.

    A recipe is always tested by the same host, since its known-good lies there: those of a host that is down are
    reported as not tested, and are not moved to another.

    Args:
        context: settings and request.
        hosts: the names of the hosts.
        stream: is told when each host has ended.

    Returns:
        The result of all together.

    Raises:
        Locked: a night is under way on every host.

    Side effects: those of the hosts' nights; nightly.json and result.json of the whole on this machine.
    """
    began, start = utc_now(), time.monotonic()
    with _stoppable():
        ends = _play(context, hosts, stream)
    if all(ended.code == EXIT_LOCKED for ended in ends.values()):
        raise Locked(_why(ends[hosts[0]]), hint="wait for that night, or stop it: its lock goes with it")
    made = _night(context, hosts, ends)
    if not context.request.dry_run:
        recipes = swept(context.settings.recipes)
        verdict, reason = judge(made.rows, enrolled=len(recipes), mine=len(recipes))
        alerts = [*made.alerts, *_alert_of_down(context, ends, stream)]
        made = attrs.evolve(made, verdict=verdict, reason=reason, alerts=alerts)
    made = attrs.evolve(made, started=began, finished=utc_now(), seconds=round(time.monotonic() - start, 1))
    result = _result(context, made)
    _store(context, made, result)
    stream.send(RunEnded(result))
    return result


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let the first signal end the block in order: it is thrown where the block waits, and the hosts' nights stop."""
    waiter = gevent.getcurrent()
    came: list[int] = []

    def stop(signum: int) -> None:
        came.append(signum)
        if len(came) == 1:  # later ones must not end the clean-ups that the first one began
            gevent.get_hub().loop.run_callback(waiter.throw, Stopped(signum))

    handlers = [gevent.signal_handler(signum, stop, signum) for signum in STOPPING]
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


def _night(context: Context, hosts: tuple[str, ...], ends: dict[str, Ended]) -> Night:
    return Night(
        run_id=new_run_id(),
        hosts=list(hosts),
        verdict=Verdict.SKIPPED,
        started="",
        finished="",
        seconds=0.0,
        rows=[row for host, ended in ends.items() for row in _rows(context, host, hosts, ended)],
        alerts=[name for ended in ends.values() if ended.result for name in ended.result.alerts],
    )


def _play(context: Context, hosts: tuple[str, ...], stream: Stream) -> dict[str, Ended]:
    request = context.request
    words = [request.playbook, *["--all"] * request.every, *["--dry-run"] * request.dry_run]
    limit = context.settings.night_deadline + _CLEAN_UP
    children = [Child([*words, "--host", host], limit=limit) for host in hosts]
    for host in hosts:
        stream.send(Note(f"the night of {host} begins"))
    ends = side_by_side(children, told=lambda place, ended: stream.send(Note(_told(hosts[place], ended))))
    return dict(zip(hosts, ends, strict=True))


def _why(ended: Ended) -> str:
    if ended.result is not None:
        return ended.result.reason
    lines = [line for line in ended.said.splitlines() if line.strip()]
    return lines[0].removeprefix("ccci: ") if lines else f"it ended with {ended.code} and said nothing"


def _told(host: str, ended: Ended) -> str:
    word = ended.result.verdict.value if ended.result else "DOWN"
    why = _why(ended)
    return f"the night of {host}: {word} after {ended.seconds:.1f} s{f': {why}' if why else ''}"


def _rows(context: Context, host: str, hosts: tuple[str, ...], ended: Ended) -> list[NightRow]:
    """Return the rows of a host's own night; of one that had none, a red row for each recipe of its share."""
    if ended.result is not None:
        path = context.settings.results / ended.result.run_id / "nightly.json"
        if path.exists():
            return codec.load(Night, path.read_text("utf-8"), where=str(path)).rows
    mine = share(swept(context.settings.recipes), hosts, host)
    row = NightRow(work=Work.COLD, recipe="", host=host, verdict=Verdict.ERRORED, reason=f"not tested: {_why(ended)}")
    return [attrs.evolve(row, recipe=recipe) for recipe in mine]


def _alert_of_down(context: Context, ends: dict[str, Ended], stream: Stream) -> list[str]:
    """Raise an alert about each host that is down on one that is up: alerts wait on hosts."""
    down = {host: _why(ended) for host, ended in ends.items() if ended.result is None}
    up = [host for host in ends if host not in down]
    if not down or not up:
        return []
    settings = context.settings
    try:
        with connected(settings, up[0]) as (state, host):
            session = Session(state, host, settings, new_run_id(), stream)
            for name, why in down.items():
                mine = ", ".join(share(swept(settings.recipes), settings.night_group(name), name)) or "none"
                alert = Alert(
                    app=f"host-{name}",
                    kind="host-down",
                    title=f"{name} did not do its share of the night",
                    text=f"{why}\nNot tested: {mine}.",
                    todo=f"`ccci doctor --host {name}`; its recipes are not moved, since their known-good lies there",
                )
                raise_in(session, alert)
            return list(session.alerts)
    except CcciError as error:
        stream.send(Note(f"no alert could be raised: {error.what}", keep=True))
        return []


def _result(context: Context, made: Night) -> RunResult:
    return RunResult(
        schema=RunResult.SCHEMA,
        run_id=made.run_id,
        playbook=context.request.playbook,
        mode=Mode.HOST,
        recipe="",
        host=",".join(made.hosts),
        ref="",
        commit="",
        version_before="",
        version_after="",
        verdict=made.verdict,
        exit_code=_CODES.get(made.verdict, EXIT_PASSED),
        reason=made.reason,
        hint="each red row has an alert: `ccci alerts list`" if made.reason else "",
        detail="",
        stages=[],
        steps=[],
        deploy_count=DeployCount(0, 0),
        known_good=KnownGoodChange(),
        alerts=made.alerts,
        notes=table(made.rows),
        started=made.started,
        finished=made.finished,
        seconds=made.seconds,
    )


def _store(context: Context, made: Night, result: RunResult) -> None:
    folder = context.settings.results / made.run_id
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "nightly.json", codec.dump(made))
    write_whole(folder / "result.json", codec.dump(result))
    if context.request.result is not None:
        write_whole(context.request.result, codec.dump(result))
