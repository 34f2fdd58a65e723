"""What a run says at its end: summary, JUnit, the lines on the way, the log."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.engine.console import console_sink, line_of, log_sink
from ccci.engine.results import junit, summary
from ccci.events import Note, Output, RunEnded, StageEnded, StepEnded, StepStarted, Stream, Waiting
from ccci.model import codec
from ccci.model.run import (
    DeployCount,
    KnownGoodChange,
    Mode,
    RunResult,
    StageResult,
    StageStatus,
    StepResult,
    TestCase,
    Verdict,
)

PASS, FAIL, SKIP, ERROR = StageStatus.PASS, StageStatus.FAIL, StageStatus.SKIP, StageStatus.ERROR
UPGRADE = StageResult("upgrade", PASS, 9.14, [], "1.11.0+1.26.3 -> 1.10.0+1.22.1")
CUSTOM = StageResult("custom", PASS, 1.2, [TestCase(f"test_{i}", PASS, 0.1) for i in range(3)])
RESULT = RunResult(
    schema=RunResult.SCHEMA,
    run_id="20260101t000000-abcdef",
    playbook="quick",
    mode=Mode.QUICK,
    recipe="custom-html",
    host="ci",
    ref="main",
    commit="87a62a5" + "0" * 33,
    version_before="1.11.0+1.26.3",
    version_after="1.10.0+1.22.1",
    verdict=Verdict.PASSED,
    exit_code=0,
    reason="",
    hint="",
    detail="",
    stages=[UPGRADE, CUSTOM],
    steps=[StepResult("deploy", "deploy_canonical", "ok", 5.0, 1)],
    deploy_count=DeployCount(1, 1),
    known_good=KnownGoodChange("1.11.0+1.26.3", "1.11.0+1.26.3", "d", "d", "nothing changed"),
    alerts=[],
    notes=["canonical undeployed, volume retained, known-good UNCHANGED (1.11.0+1.26.3)"],
    started="2026-01-01T00:00:00Z",
    finished="2026-01-01T00:00:10Z",
    seconds=10.3,
)


def words(lines: list[str]) -> list[str]:
    """Return lines with single spaces: how columns line up is no promise."""
    return [" ".join(line.split()) for line in lines]


def test_the_summary_of_a_quick_run() -> None:
    """It has the words that the design promises, in that order."""
    assert words(summary(RESULT)) == [
        "SUMMARY recipe=custom-html ref=87a62a5 mode=quick (lower confidence: does not gate a merge)",
        "upgrade: pass 1.11.0+1.26.3 -> 1.10.0+1.22.1 9.1 s",
        "custom: pass 3 tests 1.2 s",
        "deploy-count = 1 (expect 1)",
        "canonical undeployed, volume retained, known-good UNCHANGED (1.11.0+1.26.3)",
        "VERDICT passed after 10.3 s",
    ]


def test_a_cold_run_claims_full_confidence() -> None:
    """Only the quick lane says that it does not gate a merge."""
    assert summary(attrs.evolve(RESULT, mode=Mode.COLD))[0].endswith("mode=cold")


def test_a_failure_says_why_with_its_last_lines_and_what_to_do() -> None:
    """The verdict's line has the reason; at most 15 lines of detail follow, then the way on."""
    detail = "\n".join(f"line {i}" for i in range(40))
    failed = attrs.evolve(
        RESULT, verdict=Verdict.FAILED, exit_code=1, reason="service app: crash loop", hint="read it", detail=detail
    )
    lines = summary(failed)
    at = lines.index("VERDICT failed after 10.3 s: service app: crash loop")
    assert lines[at + 1] == "  | line 25"
    assert lines[-2:] == ["  | line 39", "  what to do: read it"]


@pytest.mark.parametrize("code", [2, 4])
def test_a_refused_run_is_one_message(code: int) -> None:
    """What was refused before it began needs no table."""
    refused = attrs.evolve(
        RESULT, stages=[], exit_code=code, verdict=Verdict.ERRORED, reason="no recipe 'x'", hint="there is y"
    )
    assert summary(refused) == ["ccci: no recipe 'x'", "  what to do: there is y"]


def test_an_unknown_commit_shows_the_ref() -> None:
    """Before a commit is known what was asked for is shown."""
    assert "ref=main " in summary(attrs.evolve(RESULT, commit=""))[0]
    assert "ref=? " in summary(attrs.evolve(RESULT, commit="", ref=""))[0]


def read(xml: str) -> ET.Element:
    """Read JUnit XML as a CI system does."""
    return ET.fromstring(xml)  # noqa: S314 - our own output


def test_junit_holds_each_test_and_each_stage() -> None:
    """A suite a stage, a case a test and one for the stage itself, with failures, errors and skips counted."""
    stages = [
        StageResult("install", FAIL, 3.0, [TestCase("a", PASS, 0.5), TestCase("b", FAIL, 0.5, "boom")], "tests failed"),
        StageResult("upgrade", ERROR, 1.0, [], "connection lost"),
        StageResult("custom", SKIP, 0.0, [TestCase("c", SKIP, 0.0, "not here")], "not asked for"),
    ]
    root = read(junit(attrs.evolve(RESULT, stages=stages)))
    suites = {suite.get("name"): suite for suite in root}
    keys = ("tests", "failures", "errors", "skipped")
    counts = {name: tuple(suite.get(key) for key in keys) for name, suite in suites.items()}
    assert counts == {
        "install": ("3", "2", "0", "0"),
        "upgrade": ("1", "0", "1", "0"),
        "custom": ("2", "0", "0", "2"),
    }
    assert [case.get("name") for case in suites["install"]] == ["a", "b", "stage install"]
    assert "boom" in junit(attrs.evolve(RESULT, stages=stages))


@given(st.text(max_size=40), st.text(max_size=40))
def test_junit_is_xml_whatever_a_test_says(name: str, message: str) -> None:
    """Names and messages come from untrusted tests: any character leaves a file that can be read."""
    stage = StageResult("custom", FAIL, 1.0, [TestCase(name, FAIL, 1.0, message)], message)
    read(junit(attrs.evolve(RESULT, stages=[stage])))


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\0b", "]]>", "<&>\"'", "\ufffe", "\uffff", "\ud800", "\x0b", "\x7f"])
def test_junit_survives_awkward_characters(text: str) -> None:
    """The characters that XML 1.0 cannot hold are dropped; the rest is there."""
    stage = StageResult("custom", FAIL, 1.0, [TestCase("t" + text, FAIL, 1.0, f"before{text}after")], text)
    xml = junit(attrs.evolve(RESULT, stages=[stage]))
    xml.encode()
    assert "before" in ET.tostring(read(xml), encoding="unicode")


def test_result_json_is_read_back() -> None:
    """What is stored is read as the same result."""
    assert codec.load(RunResult, codec.dump(RESULT), where="result.json") == RESULT


def test_lines_of_events() -> None:
    """Each kind of event has its word; pytest's lines show only if they say that something failed, or on request."""
    ended = StepEnded(StepResult("deploy x", "deploy", "ok", 5.04, 1))
    failed = StepEnded(StepResult("deploy x", "deploy", "failed", 5.0, 1), "no such image")
    stopped = StepEnded(StepResult("deploy x", "deploy", "stopped", 5.0, 1), "stopped by SIGINT")
    said = [line_of(event, verbose=False) for event in (ended, failed, stopped, Waiting("tasks"), Note("well"))]
    assert words(said) == [
        "done 5.0 s deploy x",
        "FAILED 5.0 s deploy x: no such image",
        "STOPPED 5.0 s deploy x: stopped by SIGINT",
        "waiting tasks",
        "note well",
    ]
    assert line_of(Output("1 passed"), verbose=False) == ""
    assert "1 passed" in line_of(Output("1 passed"), verbose=True)
    assert "t.py::a FAILED" in line_of(Output("t.py::a FAILED"), verbose=False)
    assert line_of(StepStarted("x"), verbose=True) == ""


def test_the_log_keeps_everything_with_its_time() -> None:
    """Begin, end, waiting, stage and summary all are in the log, with UTC times."""
    lines: list[str] = []
    sink = log_sink(lines)
    for event in (StepStarted("deploy x"), Output("1 passed"), StageEnded(UPGRADE), RunEnded(RESULT)):
        sink(3661.5, event)
    assert lines[0].startswith("01:01:01.500 begin")
    assert "1 passed" in lines[1]
    assert lines[2] == "01:01:01.500 stage upgrade: pass 1.11.0+1.26.3 -> 1.10.0+1.22.1"
    assert lines[3:] == summary(RESULT)


def test_plain_output_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal each event is one line without colours, and nothing is said of what has none."""
    sink = console_sink(verbose=False)
    for event in (StepStarted("deploy"), StepEnded(UPGRADED_STEP), Output("collected 1 item"), RunEnded(RESULT)):
        sink(0.0, event)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.splitlines()[1:] == summary(RESULT)


UPGRADED_STEP = StepResult("upgrade", "upgrade_in_place", "ok", 1.0, 1)


def test_a_terminal_shows_square_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text of hosts and tests is no markup: [bold] is shown, not obeyed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    sink = console_sink(verbose=True)
    sink(0.0, StepStarted("deploy [bold]x[/bold]"))
    sink(0.0, Waiting("[/dim] closing what was never open"))
    sink(0.0, StepEnded(attrs.evolve(UPGRADED_STEP, name="deploy [bold]x[/bold]")))
    sink(0.0, RunEnded(RESULT))
    assert "[bold]x[/bold]" in out.getvalue()
    assert "VERDICT passed" in out.getvalue()


def test_every_sink_gets_every_event() -> None:
    """One stream, several sinks: both see the same events with the same time."""
    stream, one, two = Stream(), list[object](), list[object]()
    stream.attach(lambda when, event: one.append((when, event)))
    stream.send(Note("a"))
    stream.attach(lambda when, event: two.append((when, event)))
    stream.send(Note("b"))
    assert len(one) == 2
    assert one[1:] == two
