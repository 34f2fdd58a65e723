"""What a pull request is told when its build is over: a pass only if everything says so."""

from __future__ import annotations

from pathlib import Path

from ccci.bridge.queue import Trigger
from ccci.bridge.render import Ended
from ccci.bridge.results import read_refusal, read_result
from ccci.clients.drone import Build
from ccci.errors import StateUnreadable
from ccci.model.bridge import BridgeOptions
from ccci.model.run import Mode, RunResult, Verdict


def judge(trigger: Trigger, build: Build, results: Path, options: BridgeOptions) -> Ended:
    """Find the verdict.

    Args:
        trigger: what was asked for.
        build: the build, over or overdue.
        results: the results folder.
        options: the settings of the bridge.

    Returns:
        How it ended. Without a readable result, or with one of another commit or recipe, it is `ERRORED`.
    """
    try:
        result = read_result(results, trigger.token)
    except StateUnreadable as error:
        return Ended(Verdict.ERRORED, error.what)
    if result is None:
        return Ended(Verdict.ERRORED, _why_none(trigger, build, results))
    report = options.report_url.replace("{run_id}", result.run_id) if options.report_url else ""
    return Ended(*_weighed(trigger, build, result), result, report)


def _weighed(trigger: Trigger, build: Build, result: RunResult) -> tuple[Verdict, str]:
    recipe = trigger.repo.partition("/")[2]
    if result.recipe != recipe:
        return Verdict.ERRORED, f"the build has tested the recipe {result.recipe}, not {recipe}"
    if result.commit != trigger.sha and (result.commit or result.passed):
        return Verdict.ERRORED, f"the build has tested the commit {result.commit[:10]}, not {trigger.sha[:10]}"
    if result.mode is not Mode.COLD and not trigger.quick:
        return Verdict.ERRORED, f"the build was {result.mode.value}, but the cold lane was asked for"
    if not result.passed:
        return result.verdict, result.reason
    if not build.passed:
        return Verdict.ERRORED, f"the run passed, but its build is {build.status}: {build.error or 'see its log'}"
    return Verdict.PASSED, ""


def _why_none(trigger: Trigger, build: Build, results: Path) -> str:
    if not build.ended:
        return "the build did not end in its time and was cancelled"
    if refusal := read_refusal(results, trigger.token):
        return f"{refusal.what}; what to do: {refusal.hint}" if refusal.hint else refusal.what
    return f"the build is {build.status} and has left no result: {build.error or 'see its log'}"
