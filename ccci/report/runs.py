"""What a report says of one run, worked out of its result: plain values for the templates. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ccci.model.run import Mode, RunResult, StageResult, StepResult, TestCase
from ccci.report.text import clean, log_lines, took, when_said

_KINDS = {
    "good": ("passed", "pass", "ok", "idle", "up"),
    "bad": ("failed", "fail", "down", "unreadable"),
    "warn": ("errored", "error", "stopped", "dirty", "held", "warm"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}


@attrs.frozen
class Mark:
    """A word with a colour: what it says is in the word, never in the colour alone."""

    word: str

    @property
    def kind(self) -> str:
        """The colour: good, bad, warn, or none."""
        return _KIND_OF.get(self.word, "none")


@attrs.frozen
class Part:
    """A stage, step or test of a run: its share of the run's time is in percent."""

    name: str
    mark: Mark
    took: str
    share: float
    note: str = ""
    log: Sequence[str] = ()
    parts: Sequence[Part] = ()


@attrs.frozen
class RunView:
    """One run."""

    id: str
    host: str
    recipe: str
    lane: str
    what: str
    mark: Mark
    version: str
    ref: str
    commit: str
    started: str
    stamp: str
    took: str
    reason: str
    hint: str
    log: Sequence[str]
    notes: Sequence[str]
    facts: Sequence[tuple[str, str]]
    stages: Sequence[Part]
    steps: Sequence[Part]

    @property
    def page(self) -> str:
        """Its page, from the index."""
        return f"runs/{self.id}.html"

    @property
    def title(self) -> str:
        """What it was, in a few words."""
        return f"{self.recipe} {self.lane}".strip() or self.what


def run_view(result: RunResult) -> RunView:
    """Return a run as it is shown."""
    total = max(result.seconds, 0.001)
    change = result.known_good
    moved = f"{change.before or 'none'} → {change.after or 'none'}" if change.before or change.after else ""
    facts = [
        ("host", result.host),
        ("commit", result.commit),
        ("asked for", result.ref or "the lane's own choice"),
        ("upgrade", f"{result.version_before} → {result.version_after}" if result.version_before else ""),
        ("known-good", moved),
        ("proof", change.proof),
        ("apps brought up", f"{result.deploy_count.actual}, expected {result.deploy_count.expected}"),
        ("outcome", result.outcome),
        ("alerts", ", ".join(result.alerts)),
        ("exit code", str(result.exit_code)),
        ("playbook", result.playbook),
    ]
    return RunView(
        id=result.run_id,
        host=clean(result.host),
        recipe=clean(result.recipe),
        lane=result.mode.value if result.mode.is_lane else "reconcile" if result.mode is Mode.RECONCILE else "",
        what=clean(result.playbook),
        mark=Mark(result.verdict.value),
        version=clean(_version(result)),
        ref=clean(result.ref),
        commit=clean(result.commit[:7]),
        started=when_said(result.started),
        stamp=clean(result.started),
        took=took(result.seconds),
        reason=clean(result.reason),
        hint=clean(result.hint),
        log=log_lines(result.detail),
        notes=[clean(note) for note in result.notes],
        facts=[(name, clean(value)) for name, value in facts if value],
        stages=[_stage(stage, total) for stage in result.stages],
        steps=[_step(step, total) for step in result.steps],
    )


def _version(result: RunResult) -> str:
    if result.version_after:
        return result.version_after
    install = next((stage.note for stage in result.stages if stage.name == "install"), "")
    passed = any(stage.name == "install" and stage.status.value == "pass" for stage in result.stages)
    return install if passed else result.ref


def _share(seconds: float, total: float) -> float:
    return round(min(100.0, 100.0 * max(seconds, 0.0) / total), 1)


def _stage(stage: StageResult, total: float) -> Part:
    tests = [_test(test, total) for test in stage.tests]
    mark, share = Mark(stage.status.value), _share(stage.seconds, total)
    return Part(clean(stage.name), mark, took(stage.seconds), share, clean(stage.note), parts=tests)


def _test(test: TestCase, total: float) -> Part:
    mark, share = Mark(test.status.value), _share(test.seconds, total)
    return Part(clean(test.name), mark, took(test.seconds), share, log=log_lines(test.message))


def _step(step: StepResult, total: float) -> Part:
    again = f"{step.attempts} attempts" if step.attempts > 1 else ""
    return Part(clean(step.name), Mark(clean(step.status)), took(step.seconds), _share(step.seconds, total), again)
