"""The report's text, pages, feed and badges: harmless, whole, true."""

from __future__ import annotations

import itertools
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from ccci.model.alert import Alert
from ccci.model.canonical import CanonicalRecord, Generation, Status
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
from ccci.report.collect import HostFindings
from ccci.report.site import page, write_site
from ccci.report.text import LINES, WIDTH, clean, log_lines, took
from ccci.report.view import make_board
from ccci.steps.operator import Glance

HOSTILE = "<script src=//evil.test></script><img src=x onerror=alert(1)>\"'><b style=x>{{7*7}}</style>&amp;"
VOID = {"meta", "link", "rect", "br"}
ALLOWED = {
    *VOID, "html", "head", "title", "style", "body", "header", "main", "footer", "nav", "section", "h1", "h2", "h3",
    "p", "a", "ul", "ol", "li", "dl", "dt", "dd", "div", "span", "strong", "code", "time", "pre", "svg", "details",
    "summary", "table", "caption", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def result(number: int, verdict: Verdict = Verdict.PASSED, *, text: str = "", mode: Mode = Mode.COLD) -> RunResult:
    """Return a result; `text` stands wherever a recipe, a log or a request can put something."""
    stage = StageStatus.PASS if verdict is Verdict.PASSED else StageStatus.FAIL
    return RunResult(
        schema=RunResult.SCHEMA,
        run_id=f"20261124t1200{number:02}-abc{number:03}",
        playbook=mode.value,
        mode=mode,
        recipe="blog",
        host="one",
        ref=text,
        commit="c" * 40,
        version_before="1.0.0+1",
        version_after="1.1.0+1",
        verdict=verdict,
        exit_code=0,
        reason=text,
        hint=text,
        detail=text,
        stages=[StageResult("install", stage, 2.0, [TestCase(f"test_x{text}", stage, 0.5, text)], text)],
        steps=[StepResult(f"step {text}", "step", "ok", 1.0, 2)],
        deploy_count=DeployCount(1, 1),
        known_good=KnownGoodChange(before="1.0.0+1", after="1.0.0+1", proof=text),
        alerts=[text] if text else [],
        notes=[text] if text else [],
        started="2026-11-24T12:00:00Z",
        finished="2026-11-24T12:01:00Z",
        seconds=4.0,
    )


def findings(*results: RunResult, text: str = "") -> HostFindings:
    """Return what a host with one canonical would give."""
    previous = Generation("1.0.0+1", "b" * 40, "d" * 64)
    record = CanonicalRecord(
        CanonicalRecord.SCHEMA, "blog", "warm-blog.example.com", "1.1.0+1", "c" * 40, Status.IDLE, "e" * 64, [],
        "2026-11-24T12:00:00Z", previous=previous,
    )  # fmt: skip
    row = {"work": "cold", "recipe": text or "blog", "verdict": text or "passed", "run_id": "20261124t120001-abc001"}
    night = {"run_id": "20261124t120000-abc000", "verdict": "passed", "hosts": ["one"], "seconds": 3.0, "rows": [row]}
    alert = Alert(app="blog", kind="rolled-back", title=f"alert {text}", text=text, todo=text)
    return HostFindings(
        "one", docker="20.10", free=1, size=10, canonicals=[Glance(record, (), None)], results=list(results),
        nights=[night], alerts={"a.json": alert}, faults=[text] if text else [],
    )  # fmt: skip


class Reader(HTMLParser):
    """Collects what a page is made of, and sees that its tags fit into one another."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.words.append(data)


def written(tmp_path: Path, *found: HostFindings, address: str = "") -> dict[str, str]:
    """Return the files of a report, by name."""
    files = write_site(make_board(found), tmp_path, address=address)
    return {path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in files}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Markup in whatever a recipe, a log or a request can say is shown as it is, in every page, and is no markup."""
    bad = result(1, Verdict.FAILED, text=HOSTILE)
    files = written(tmp_path, findings(bad, text=HOSTILE))
    for name in ("index.html", f"runs/{bad.run_id}.html"):
        read = Reader(files[name])
        assert {tag for tag, _ in read.tags} <= ALLOWED
        names = {key for tag, attributes in read.tags for key in attributes if tag not in ("svg", "rect")}
        assert not {key for key in names if key.startswith("on") or key in ("src", "style", "srcset", "action")}
        assert HOSTILE in "".join(read.words)
    svg = ET.fromstring(files["badges/blog.svg"])  # noqa: S314  (our own text)
    assert "ccci blog: no result" in "".join(svg.itertext())


def test_pages_ask_nothing_outside(tmp_path: Path) -> None:
    """Every link of every page leads to another file of the report, which is there; the policy forbids all else."""
    files = written(tmp_path, findings(result(1), result(2, Verdict.FAILED, text="no")))
    for name, text in files.items():
        if not name.endswith(".html"):
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("https://jsonfeed.org/", "")
            continue
        read = Reader(text)
        [policy] = [a["content"] for tag, a in read.tags if tag == "meta" and "http-equiv" in a]
        assert policy
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        for _, attributes in read.tags:
            target = attributes.get("href")
            if target and not target.startswith("#"):
                assert (tmp_path / name).parent.joinpath(target).resolve().exists(), target
        assert "url(" not in text
        assert "@import" not in text


def test_pages_can_be_read_by_machines_that_read_aloud(tmp_path: Path) -> None:
    """One h1 first and no heading level left out; every table has a caption and scopes; ids are there once."""
    for name, text in written(tmp_path, findings(result(1), result(2, Verdict.FAILED, text="no"))).items():
        if not name.endswith(".html"):
            continue
        tags = Reader(text).tags
        levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        assert [tag for tag, _ in tags].count("table") == [tag for tag, _ in tags].count("caption")
        assert all(a.get("scope") in ("col", "row") for tag, a in tags if tag == "th")
        ids = [a["id"] for _, a in tags if "id" in a]
        assert len(ids) == len(set(ids))
        assert {a["aria-labelledby"] for _, a in tags if "aria-labelledby" in a} <= set(ids)
        assert ("html", {"lang": "en"}) in tags


def test_feed_is_a_json_feed(tmp_path: Path) -> None:
    """feed.json has what JSON Feed 1.1 requires, the newest run first, with links if the address is known."""
    found = findings(result(1), result(2, Verdict.FAILED, text="broke"))
    feed = json.loads(written(tmp_path, found, address="https://ci.example.com/report")["feed.json"])
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["title"] == "ccci: one"
    assert feed["feed_url"] == "https://ci.example.com/report/feed.json"
    assert [item["id"][-3:] for item in feed["items"]] == ["002", "001"]
    first = feed["items"][0]
    assert first["url"] == f"https://ci.example.com/report/runs/{first['id']}.html"
    assert first["title"] == "blog cold: failed"
    assert "broke" in first["content_text"]
    assert first["date_published"] == "2026-11-24T12:00:00Z"
    bare = json.loads(written(tmp_path, found)["feed.json"])
    assert not {"home_page_url", "feed_url"} & set(bare)
    assert "url" not in bare["items"][0]


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([result(1)], "ccci blog: passed 1.1.0+1"),
        ([result(1), result(2, Verdict.FAILED)], "ccci blog: failed"),
        ([result(1), result(2, Verdict.ERRORED)], "ccci blog: errored"),
        ([result(1), result(2, Verdict.FAILED, text="a-branch")], "ccci blog: passed 1.1.0+1"),
        ([result(1), result(2, Verdict.FAILED, mode=Mode.QUICK)], "ccci blog: passed 1.1.0+1"),
        ([], "ccci blog: no result"),
    ],
)
def test_badge(tmp_path: Path, results: list[RunResult], says: str) -> None:
    """A badge says what the newest cold run without a ref found out; runs of branches and quick ones do not count."""
    svg = ET.fromstring(written(tmp_path, findings(*results))["badges/blog.svg"])  # noqa: S314  (our own text)
    assert svg.attrib["aria-label"] == says


def test_old_pages_go_and_others_stay(tmp_path: Path) -> None:
    """A page of a run that is not in the report any more goes; what is none of ours is left alone."""
    written(tmp_path, findings(result(1)))
    (tmp_path / "runs" / "notes.html").write_text("mine")
    files = written(tmp_path, findings(result(2)))
    there = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert there == sorted([*files, "runs/notes.html"])


def test_a_run_found_twice_counts_once(tmp_path: Path) -> None:
    """A run whose result is on the host and here has one entry; a host that cannot be read is shown with its error."""
    down = HostFindings("two", error="host two cannot be reached")
    board = make_board([findings(result(1)), down, HostFindings("", results=[result(1), result(3)])])
    assert [run.id[-3:] for run in board.runs] == ["003", "001"]
    write_site(board, tmp_path)
    assert "host two cannot be reached" in (tmp_path / "index.html").read_text("utf-8")


@given(st.text(), st.lists(st.sampled_from(["\x1b[31m", "\x1b]0;t\x07", "\x1b[2J", "\u202e", "\x00", "\x9b1m", "\r"])))
def test_cleaned_text_steers_nothing(text: str, escapes: list[str]) -> None:
    """Whatever a container prints: no control character, no escape and no direction mark comes through."""
    for line in log_lines("".join([text, *escapes, text])):
        assert all(c in {"\t", "\ufffd"} or c.isprintable() or c.isspace() for c in line)
        assert not {"\x1b", "\u202e", "\x00", "\r", "\x9b"} & set(line)


def test_logs_are_cut() -> None:
    """The last lines of a log are shown, each up to a width, and how many there were before; colours are gone."""
    lines = log_lines("\n".join(f"\x1b[31mline {n}\x1b[0m" + "x" * 999 for n in range(100)))
    assert lines[0] == f"… {100 - LINES} lines before"
    assert lines[1].startswith(f"line {100 - LINES}x")
    assert max(map(len, lines)) <= WIDTH + 2
    assert log_lines("\n \n") == []
    assert clean("\x1b[1;31mred\x1b[0m") == "red"


DURATIONS = {0: "0.0 s", 9.94: "9.9 s", 10: "10 s", 59.7: "1 min 00 s", 185: "3 min 05 s", 3725: "1 h 02 min"}


@pytest.mark.parametrize(("seconds", "said"), DURATIONS.items())
def test_durations(seconds: float, said: str) -> None:
    """Durations are said in the unit that people would use."""
    assert took(seconds) == said


def test_unknown_names_in_templates_are_faults() -> None:
    """A template that names what it is not given fails, so that no page is silently empty."""
    from datetime import datetime, timezone  # noqa: PLC0415

    values: dict[str, Any] = {}
    with pytest.raises(Exception, match="'run' is undefined"):
        page("run.html.j2", made=datetime.now(timezone.utc), root="", **values)
