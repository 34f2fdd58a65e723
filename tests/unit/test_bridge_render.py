"""What comments say: right, harmless, short enough, and without secrets."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.bridge.render import BODY_MAX, Asked, Ended, Progress, marker, queued, running, status_words, verdict
from ccci.model.markdown import LINE_MAX, LINES_MAX, block, inline
from ccci.model.redact import redacted
from ccci.model.run import Mode, StageResult, StageStatus, StepResult, TestCase, Verdict
from tests.support.fakedrone import result_of

PARAMS = {"RECIPE": "custom-html", "REF": "a" * 40, "PR": "1"}
ASKED = Asked("custom-html", quick=False, sha="a" * 40, token="f" * 32, build="https://drone.example.org/ci/ccci/7")
QUICK = attrs.evolve(ASKED, quick=True)
HOSTILE = [
    "@anna",
    "# heading",
    "#12 and !12 and coop/x#3",
    "**bold** _it_ ~~no~~",
    "[text](https://evil.example)",
    "https://evil.example www.evil.example",
    "<script>alert(1)</script><img src=x onerror=y>",
    "a | b | c",
    "`code` ``` fence",
    "<!-- ccci:trigger 00 -->",
    "[[wiki]]",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\u202ereversed\u2066",
    "line\r\nbreak\u2028more",
    "![x](https://evil.example/pixel.png)",
    "\\*",
    "&lt;b&gt;",
]
SECRETS = [
    "hunter2hunter2",
    "Zx9pQ7aVb3Lm1Kd8Rt5W",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "AKIAIOSFODNN7EXAMPLE",
]
_SAFE_INLINE = re.compile(r"[*_`~\[\]<>|\\#@!]")


def ended(**changes: Any) -> Ended:
    """Return an end whose result has these changes."""
    result = attrs.evolve(result_of(PARAMS), **changes)
    return Ended(result.verdict, result.reason, result, "https://ci.example.org/runs/x/")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_others_is_more_than_text(text: str) -> None:
    """Within a line every mark of Markdown and HTML is an entity; mentions, references and links are broken."""
    made = inline(text)
    assert not _SAFE_INLINE.search(re.sub(r"&#\d+;", "", made))
    seen = unescape(made)
    assert not re.search(r"[@#!]\w|://\w|:/|\[\[|www\.", seen.replace(":\u200b//", ""))
    assert seen.isprintable() or "\u200b" in seen
    assert "\n" not in made


@given(st.text() | st.lists(st.sampled_from(HOSTILE)).map(" ".join))
def test_inline_never_forms_markup(text: str) -> None:
    """Whatever comes in, what goes out has no mark of Markdown or HTML, no control character, and is cut."""
    made = inline(text)
    assert not _SAFE_INLINE.search(re.sub(r"&#\d+;", "", made))
    assert all(c.isprintable() or c == "\u200b" for c in made)
    assert len(unescape(made).replace("\u200b", "")) <= 300


@given(
    st.text() | st.lists(st.sampled_from([*HOSTILE, "```", "~~~", "````text", "x" * 999]), max_size=60).map("\n".join)
)
def test_a_log_never_leaves_its_block(text: str) -> None:
    """A block's fence is longer than any run of backticks in it; lines are few and short; nothing is mentioned."""
    made = block(text)
    if not made:
        return
    first, *lines, last = made.split("\n")
    fence = first.removesuffix("text")
    assert last == fence
    assert set(fence) == {"`"}
    assert all(len(run) < len(fence) for line in lines for run in re.findall("`+", line))
    assert len(lines) <= LINES_MAX
    assert all(len(line.replace("\u200b", "")) <= LINE_MAX for line in lines)
    assert not re.search(r"@\w", made)
    assert all(c in "\n\u200b" or c.isprintable() for c in made)


def test_queued_and_running() -> None:
    """Before the verdict the comment says what is awaited, the lane, the commit, the stages that are over, the step."""
    assert queued(ASKED).startswith("**ccci: queued** · custom&#45;html · cold lane · commit aaaaaaaaaa")
    text = running(QUICK, Progress([StageResult("install", StageStatus.PASS, 3.0)], "deploying @me"))
    assert "**ccci: running**" in text
    assert "| install | pass |  | 3.0 |  |" in text
    assert "now: deploying &#64;\u200bme" in text
    assert "lower confidence: does not gate a merge" in text
    assert "[build](https://drone.example.org/ci/ccci/7)" in text
    assert text.endswith(marker("f" * 32) + "\n")


def test_a_verdict_has_everything() -> None:
    """The verdict: stages in a table, versions before and after, notes, links to report and build."""
    text = verdict(ASKED, ended())
    assert text.startswith("**ccci: passed** · ")
    assert "| upgrade | pass | 1 | 9.1 |" in text
    assert unescape("version before: 1&#46;10") in unescape(text)
    assert "[report](https://ci.example.org/runs/x/) · [build](https://drone.example.org/ci/ccci/7)" in text
    assert "first failing step" not in text


def test_a_red_verdict_names_the_first_cause() -> None:
    """A red one: whose fault, the reason, the failing step and test, the last lines of the log, what to do."""
    tests = [
        TestCase("test_a", StageStatus.PASS, 0.1),
        TestCase("test_b", StageStatus.FAIL, 0.1, "expected 200, got 500"),
    ]
    end = ended(
        verdict=Verdict.FAILED,
        reason="a test failed",
        hint="look at it",
        detail="\n".join(f"line {n}" for n in range(100)),
        stages=[StageResult("custom", StageStatus.FAIL, 1.0, tests, "a test failed")],
        steps=[
            StepResult("first", "a", "ok", 1, 1),
            StepResult("second", "b", "failed", 1, 1),
            StepResult("third", "c", "failed", 1, 1),
        ],
    )
    text = unescape(verdict(ASKED, end))
    assert "The change under test is at fault. a test failed" in text
    assert "first failing step: second" in text
    assert "- test test_b: expected 200, got 500" in text
    assert "line 99\n```" in text
    assert "line 79" not in text
    assert "what to do: look at it" in text
    assert "| custom | **fail** | 2 |" in text


def test_what_fell_back_from_quick_to_cold_says_so() -> None:
    """A quick request that ran cold is still of lower confidence."""
    text = verdict(QUICK, ended(mode=Mode.COLD))
    assert "has no canonical to be quick with" in text
    assert "Still lower confidence: does not gate a merge." in text


def test_status_words() -> None:
    """A status is one short plain line; quick always says what it is not."""
    assert status_words(ASKED, None) == "queued or running"
    assert status_words(QUICK, ended()) == "passed (lower confidence: does not gate a merge)"
    words = status_words(ASKED, Ended(Verdict.FAILED, "@all \x1b[1mbad\n" + "x" * 500))
    assert words.startswith("FAILED: @\u200ball ")
    assert len(words) <= 140
    assert "\x1b" not in words


@given(
    st.lists(st.text() | st.sampled_from(HOSTILE), min_size=8, max_size=8),
    st.sampled_from(list(Verdict)),
    st.integers(0, 400),
)
def test_no_result_makes_a_comment_too_long_or_breaks_its_end(texts: list[str], word: Verdict, many: int) -> None:
    """Whatever a result holds, the comment fits, begins with the verdict, and has its marker at the end."""
    stages = [
        StageResult(texts[0], StageStatus.FAIL, 1.0, [TestCase(texts[1], StageStatus.FAIL, 0.1, texts[2])], texts[3])
    ]
    end = ended(
        verdict=word,
        reason=texts[4],
        hint=texts[5],
        detail=texts[6] * many,
        stages=stages * many,
        notes=[texts[7]] * many,
    )
    text = verdict(ASKED, end)
    assert len(text) <= BODY_MAX + 100
    assert text.startswith("**ccci: ")
    assert text.count("<!--") == 1 + text.split(marker("f" * 32))[0].count("\n<!--")
    assert text.endswith(f"\n\n{marker('f' * 32)}\n")


def test_no_secret_gets_through() -> None:
    """Secrets planted in every field that is shown, known ones and ones that only look like it, are all taken out."""
    known = "a-known-secret-of-the-bridge"
    pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
    dirty = " ".join([
        f"DB_PASSWORD={SECRETS[0]}", f"admin_password: '{SECRETS[0]}'", f'"client_secret": "{SECRETS[0]}"', SECRETS[1],
        f"Authorization: Bearer {SECRETS[2]}", SECRETS[3], SECRETS[4], f"https://user:{SECRETS[0]}@example.org/",
        known, pem,
    ])  # fmt: skip
    test = TestCase(dirty, StageStatus.FAIL, 0.1, dirty)
    fields: dict[str, Any] = {
        "reason": dirty,
        "hint": dirty,
        "detail": dirty,
        "notes": [dirty],
        "version_before": dirty,
    }
    end = ended(
        verdict=Verdict.FAILED,
        stages=[StageResult(dirty, StageStatus.FAIL, 1.0, [test], dirty)],
        steps=[StepResult(dirty, "x", "failed", 1.0, 1)],
        **fields,
    )
    asked = attrs.evolve(ASKED, recipe=dirty)
    doing = Progress(end.result.stages if end.result else [], dirty)
    for text in (verdict(asked, end, [known]), running(asked, doing, [known]), status_words(asked, end, [known])):
        seen = unescape(text).replace("\u200b", "")
        assert [secret for secret in [*SECRETS, known, "b3BlbnNzaC1rZXk"] if secret in seen] == []


@pytest.mark.parametrize(
    "text",
    [
        "a" * 40,
        "sha256:" + "0123456789abcdef" * 4,
        "3 tests passed, 1 failed",
        "waiting until warm-custom-html.ci.example.org is healthy",
        "1.10.0+1.22.1 -> 1.11.0+1.26.3",
        "/var/lib/ci-warm/custom-html/snapshot/manifest.json",
        "service warm-keycloak_ci_example_org_app crashed three times",
        "20261124t120000-abcdef",
        "author: anna",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Commits, digests, versions, paths and sentences are left alone."""
    assert redacted(text) == text


@pytest.mark.parametrize("form", ["{}", "x{}y", "Basic {}", "k={}&z"])
def test_a_known_secret_is_found_in_its_forms(form: str) -> None:
    """A known secret is found as it is, in base64, and in a URL."""
    known = "p@ss/word+1"
    for value in (known, "p%40ss%2Fword%2B1", "cEBzcy93b3JkKzE="):
        assert value.rstrip("=") not in redacted(form.format(value), [known])
