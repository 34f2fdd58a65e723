"""The result of a run: made, stored here and on the host, and said in the summary."""

from __future__ import annotations

import os
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite
from junitparser import TestCase as JUnitCase

from ccci import paths
from ccci.engine.request import Context
from ccci.engine.run import HostRun
from ccci.engine.session import Session, utc_now
from ccci.errors import EXIT_LOCKED, EXIT_USAGE, CcciError, Stopped, UsageError
from ccci.model import codec
from ccci.model.run import (
    DeployCount,
    KnownGoodChange,
    Mode,
    RunResult,
    StageResult,
    StageStatus,
    Verdict,
)
from ccci.operations.record import file_written

if TYPE_CHECKING:
    from ccci.engine.playbook import Playbook

_HINT_RESULTS = "choose another folder: --result, or `results` in the settings (CCCI_RESULTS)"
_HINT_STOPPED = "every clean-up was run; start it again when you like"


@attrs.define
class Outcome:
    """What came of a run so far."""

    started: str
    start: float
    run: HostRun | None = None
    verdict: Verdict = Verdict.ERRORED
    error: CcciError | None = None


def make_result(session: Session, context: Context, made: Playbook, outcome: Outcome) -> RunResult:
    """Put the result together."""
    run, error, request = outcome.run, outcome.error, context.request
    hint = (error.hint or (_HINT_STOPPED if isinstance(error, Stopped) else "")) if error else ""
    result = RunResult(
        schema=RunResult.SCHEMA,
        run_id=session.run_id,
        playbook=made.name,
        mode=run.mode if run else made.mode,
        recipe=request.recipe,
        host=session.host_settings.name,
        ref=request.ref,
        commit=run.commit if run else "",
        version_before=run.version_before if run else "",
        version_after=run.version_after if run else "",
        verdict=outcome.verdict,
        exit_code=error.exit_code if error else 0,
        reason=error.what if error else "",
        hint=hint,
        detail=(error.detail or "") if error else "",
        stages=list(run.stages) if run else [],
        steps=list(session.steps),
        deploy_count=DeployCount(session.deploys, run.expected_deploys if run else 0),
        known_good=run.known_good if run else KnownGoodChange(),
        alerts=list(session.alerts),
        notes=[*session.notes, *(run.summary if run else [])],
        started=outcome.started,
        finished=utc_now(),
        seconds=round(time.monotonic() - outcome.start, 1),
        outcome=run.outcome if run else "",
        disk=session.disk,
        pull_request=request.pull_request,
    )
    return session.stream.cleaned(result)


def store(session: Session, context: Context, result: RunResult) -> None:
    """Write result.json, junit.xml and the log here, then on the host as far as it can be reached."""
    texts = {
        "result.json": codec.dump(result),
        "junit.xml": junit(result),
        "log": "\n".join(session.log) + "\n",
    }
    try:
        _store_here(context, result, texts)
    except OSError as error:
        session.say(f"the result could not be written here: {error}")
    if not result.stages:
        return  # refused before anything was changed: the host keeps no trace of it
    try:
        for name, text in texts.items():
            session.perform(file_written, paths.RUNS / result.run_id / name, text=text)
    except CcciError as error:
        session.say(f"the result could not be written on the host: {error.what}")


def _store_here(context: Context, result: RunResult, texts: dict[str, str]) -> None:
    if context.request.result is not None:
        write_whole(context.request.result, texts["result.json"])
    folder = results_folder(context, result.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(folder / name, text)


def check_places(context: Context) -> None:
    """Refuse a run whose result could not be written, before it starts.

    Raises:
        UsageError: a folder is missing or cannot be written.
    """
    wanted = [context.settings.results]
    if context.request.result is not None:
        wanted.append(context.request.result.absolute().parent)
    try:
        context.settings.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"results cannot be kept in {context.settings.results}: {error}", hint=_HINT_RESULTS
        ) from error
    for folder in wanted:
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise UsageError(f"results cannot be written to {folder}: no such folder, or not ours", hint=_HINT_RESULTS)


def results_folder(context: Context, run_id: str) -> Path:
    """Return where this machine keeps a run's result."""
    return context.settings.results / run_id


def write_whole(path: Path, text: str) -> None:
    """Write a file of this machine: beside its place, then renamed."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def junit(result: RunResult) -> str:
    """Return the result as JUnit XML: a suite a stage."""
    xml = JUnitXml(f"ccci {result.playbook} {result.recipe}")
    for stage in result.stages:
        suite = TestSuite(stage.name)
        for case in _cases(stage):
            suite.add_testcase(case)
        xml.add_testsuite(suite)
    xml.update_statistics()
    buffer = BytesIO()
    xml.write(buffer)
    return buffer.getvalue().decode()


def _cases(stage: StageResult) -> list[JUnitCase]:
    cases = []
    for test in stage.tests:
        case = JUnitCase(_clean(test.name), classname=stage.name, time=test.seconds)
        if test.status is StageStatus.FAIL:
            case.result = [Failure(_clean(test.message))]
        elif test.status is StageStatus.SKIP:
            case.result = [Skipped(_clean(test.message))]
        cases.append(case)
    own = JUnitCase(f"stage {stage.name}", classname=stage.name, time=stage.seconds)
    if stage.status is StageStatus.FAIL:
        own.result = [Failure(_clean(stage.note))]
    elif stage.status is StageStatus.ERROR:
        own.result = [Error(_clean(stage.note))]
    elif stage.status is StageStatus.SKIP:
        own.result = [Skipped(_clean(stage.note))]
    return [*cases, own]


def _clean(text: str) -> str:
    """Drop what XML 1.0 cannot hold."""
    return "".join(c for c in text if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c <= "\ufffd" or c > "\uffff")


def summary(result: RunResult) -> list[str]:
    """Return the summary, line by line, as section 8 of the design has it."""
    if result.exit_code in (EXIT_USAGE, EXIT_LOCKED) and not result.stages:
        detail = [f"  | {line}" for line in result.detail.splitlines()[-15:]]
        return [f"ccci: {result.reason}", *detail, *([f"  what to do: {result.hint}"] if result.hint else [])]
    lines = [_headline(result)]
    lines += [_stage_line(stage) for stage in result.stages]
    if result.mode.is_lane:
        lines += [f"  deploy-count = {result.deploy_count.actual} (expect {result.deploy_count.expected})"]
    lines += [f"  {note}" for note in result.notes]
    lines += [f"  alert raised: {name}" for name in result.alerts]
    lines += [f"RECONCILE RESULT: {result.outcome}"] if result.outcome else []
    lines += [
        f"VERDICT {result.verdict.value} after {result.seconds:.1f} s" + (f": {result.reason}" if result.reason else "")
    ]
    lines += [f"  | {line}" for line in result.detail.splitlines()[-15:]]
    lines += [f"  what to do: {result.hint}"] if result.hint else []
    return lines


def _headline(result: RunResult) -> str:
    if result.mode is Mode.HOST:
        return f"SUMMARY {result.playbook} host={result.host}"
    confidence = " (lower confidence: does not gate a merge)" if result.mode is Mode.QUICK else ""
    ref = result.commit[:7] or result.ref or "?"
    pull = f" pr={result.pull_request}" if result.pull_request else ""
    return f"SUMMARY recipe={result.recipe}{pull} ref={ref} mode={result.mode.value}{confidence}"


def _stage_line(stage: StageResult) -> str:
    tests = f"{len(stage.tests)} test{'' if len(stage.tests) == 1 else 's'}" if stage.tests else ""
    words = "  ".join(word for word in (stage.note, tests) if word)
    return f"  {f'{stage.name}: {stage.status.value}':15} {words:46} {stage.seconds:5.1f} s"
