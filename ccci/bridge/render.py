"""What our comment on a pull request says, at each state of its trigger. Pure: values in, Markdown out.

Whatever comes from a log, a test or a recipe passes `redacted` first and `inline` or `block` then.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ccci.model.markdown import block, inline
from ccci.model.redact import redacted
from ccci.model.run import RunResult, StageResult, StageStatus, Verdict

LOWER = "lower confidence: does not gate a merge"
BODY_MAX = 30_000  # characters; forges take 65,000
_STAGES_MAX = 20
_NOTES_MAX = 12
_DETAIL_MAX = 20_000  # characters of a log that are looked at
_WORDS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "FAILED",
    Verdict.ERRORED: "ERRORED",
    Verdict.HELD: "held",
    Verdict.SKIPPED: "skipped",
}
_WHOSE = {
    Verdict.FAILED: "The change under test is at fault.",
    Verdict.ERRORED: "The host, the request or ccci is at fault: this says nothing about the change.",
    Verdict.SKIPPED: "Nothing was tested.",
}


@attrs.frozen
class Asked:
    """What was asked for.

    Attributes:
        recipe: the recipe.
        quick: whether the quick lane was asked for.
        sha: the commit.
        token: the trigger's.
        build: where the build can be looked at, or empty.
    """

    recipe: str
    quick: bool
    sha: str
    token: str
    build: str = ""

    @property
    def lane(self) -> str:
        """The lane in words; quick never without what it is not."""
        return f"quick lane ({LOWER})" if self.quick else "cold lane"


@attrs.frozen
class Progress:
    """How far a run is.

    Attributes:
        stages: those that are over.
        doing: the step that is under way, or empty.
    """

    stages: Sequence[StageResult] = ()
    doing: str = ""


@attrs.frozen
class Ended:
    """How a build ended.

    Attributes:
        verdict: what the pull request is told; `PASSED` only if the build and the run's result both say so.
        reason: the first cause, or empty.
        result: the run's result, or None if there is none.
        report: where to read more, or empty.
    """

    verdict: Verdict
    reason: str = ""
    result: RunResult | None = None
    report: str = ""


def marker(token: str) -> str:
    """Return the line by which our comment is known again; readers of the page do not see it."""
    return f"<!-- ccci:trigger {token} -->"


def queued(asked: Asked, known: Sequence[str] = ()) -> str:
    """Return the comment while nothing runs yet."""
    return _whole(asked, [f"**ccci: queued** · {_about(asked, known)}"])


def running(asked: Asked, progress: Progress, known: Sequence[str] = ()) -> str:
    """Return the comment while the run is under way.

    Args:
        asked: what was asked for.
        progress: how far the run is.
        known: secrets that must not be in it.
    """
    lines = [f"**ccci: running** · {_about(asked, known)}", *_table(progress.stages, known)]
    lines += ["", f"now: {_safe(progress.doing, known)}"] if progress.doing else []
    return _whole(asked, [*lines, "", *_links(asked, "")])


def verdict(asked: Asked, ended: Ended, known: Sequence[str] = ()) -> str:
    """Return the comment when all is over.

    Args:
        asked: what was asked for.
        ended: how it ended.
        known: secrets that must not be in it.
    """
    result = ended.result
    lines = [f"**ccci: {_WORDS[ended.verdict]}** · {_about(asked, known)}"]
    if result and result.mode.value == "cold" and asked.quick:
        lines += ["", f"The recipe has no canonical to be quick with, so the cold lane was run. Still {LOWER}."]
    lines += _table(result.stages, known) if result else []
    lines += _versions(result, known) if result else []
    if ended.verdict is not Verdict.PASSED:
        lines += _cause(ended, known)
    lines += ["", *(f"- {_safe(note, known)}" for note in result.notes[:_NOTES_MAX])] if result else []
    return _whole(asked, [*lines, "", *_links(asked, ended.report)])


def status_words(asked: Asked, ended: Ended | None, known: Sequence[str] = ()) -> str:
    """Return the description of the commit status: one line of plain text."""
    word = _WORDS[ended.verdict] if ended else "queued or running"
    text = f"{word} ({LOWER})" if asked.quick else word
    if ended and ended.reason:
        text = f"{text}: {' '.join(redacted(ended.reason, known).split())}"
    safe = "".join(c for c in text if c.isprintable()).replace("@", "@\u200b")
    return safe if len(safe) <= 140 else f"{safe[:139]}…"  # noqa: PLR2004  (what forges show of it)


def _about(asked: Asked, known: Sequence[str]) -> str:
    return f"{_safe(asked.recipe, known)} · {asked.lane} · commit {asked.sha[:10]}"


def _table(stages: Sequence[StageResult], known: Sequence[str]) -> list[str]:
    if not stages:
        return []
    lines = ["", "| stage | verdict | tests | seconds | |", "|---|---|--:|--:|---|"]
    for stage in stages[:_STAGES_MAX]:
        word = "pass" if stage.status is StageStatus.PASS else f"**{stage.status.value}**"
        tests = str(len(stage.tests)) if stage.tests else ""
        cells = (_safe(stage.name, known), word, tests, f"{stage.seconds:.1f}", _safe(stage.note, known))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _versions(result: RunResult, known: Sequence[str]) -> list[str]:
    if not result.version_before and not result.version_after:
        return []
    before, after = (_safe(v, known) or "-" for v in (result.version_before, result.version_after))
    return ["", f"version before: {before}, after: {after}"]


def _cause(ended: Ended, known: Sequence[str]) -> list[str]:
    result = ended.result
    lines = ["", f"{_WHOSE.get(ended.verdict, '')} {_safe(ended.reason, known)}".strip()]
    if result is None:
        return lines
    failed = next((step for step in result.steps if step.status not in {"ok", "unchanged"}), None)
    lines += ["", f"first failing step: {_safe(failed.name, known)}"] if failed else []
    stages = [s for s in result.stages if s.status in {StageStatus.FAIL, StageStatus.ERROR}]
    tests = [t for s in stages for t in s.tests if t.status in {StageStatus.FAIL, StageStatus.ERROR}]
    lines += ["", *(f"- test {_safe(t.name, known)}: {_safe(t.message, known)}" for t in tests[:5])] if tests else []
    lines += ["", block(redacted(result.detail[-_DETAIL_MAX:], known))] if result.detail.strip() else []
    lines += ["", f"what to do: {_safe(result.hint, known)}"] if result.hint else []
    return lines


def _links(asked: Asked, report: str) -> list[str]:
    parts = [f"[{word}]({url})" for word, url in (("report", report), ("build", asked.build)) if url]
    return [" · ".join(parts)] if parts else []


def _safe(text: str, known: Sequence[str]) -> str:
    return inline(redacted(text[:_DETAIL_MAX], known))


def _whole(asked: Asked, lines: Sequence[str]) -> str:
    """Put the comment together, and leave out details rather than exceed what forges take."""
    text = "\n".join(lines).rstrip()
    if len(text) > BODY_MAX:
        text = "\n".join([*lines[:1], "", "The details are too long for a comment.", "", lines[-1]])[:BODY_MAX]
    return f"{text}\n\n{marker(asked.token)}\n"
