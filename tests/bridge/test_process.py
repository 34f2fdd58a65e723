"""The real bridge, a process of its own, between a forge and a Drone that check every request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccci.model.run import StageResult, StageStatus, StepResult, Verdict
from tests.support.bridge import Bridge
from tests.support.crash import until
from tests.support.fakeforge import Pull, Written, signed
from tests.support.running import Running, clean_environment, python_program


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge that runs."""
    made = Bridge(tmp_path)
    made.start()
    yield made
    made.close()


def test_the_command_line_becomes_the_bridge(tmp_path: Path) -> None:
    """`ccci bridge serve` serves in the process that was started, without gevent's patch; SIGTERM ends it well."""
    made = Bridge(tmp_path)
    made.start("ccci", "bridge", "serve")
    assert made.process
    words = Path(f"/proc/{made.process.process.pid}/cmdline").read_bytes().split(b"\0")
    assert b"ccci.bridge" in words
    assert b"gevent" not in Path(f"/proc/{made.process.process.pid}/maps").read_bytes()
    assert "stopping" in made.stop()
    made.close()


def test_a_comment_becomes_a_run_and_a_verdict(bridge: Bridge) -> None:
    """A signed webhook: "queued" within a second, one build with the right parameters, verdict, status `ccci/cold`."""
    bridge.drone.held = True
    begin = time.monotonic()
    bridge.comment("!testme")
    until(lambda: bridge.forge.own, "our comment")
    assert time.monotonic() - begin < 1
    assert "queued" in bridge.forge.own[0].body
    bridge.drone.held = False
    bridge.wait_for("done")
    (own,) = bridge.forge.own
    assert own.body.startswith("**ccci: passed**")
    assert "https://ci.example.org/runs/20261124t120000-abcdef/" in own.body
    (build,) = bridge.drone.builds
    assert {k: v for k, v in build.params.items() if k != "CCCI_TRIGGER"} == {
        "RECIPE": "custom-html",
        "REF": "a" * 40,
        "PR": "1",
    }
    assert [(s["context"], s["state"]) for s in bridge.forge.statuses] == [
        ("ccci/cold", "pending"),
        ("ccci/cold", "success"),
    ]
    words = [text.split("·")[0] for _, text in bridge.forge.edits]
    assert words[0].startswith("**ccci: running**")
    assert "install" in bridge.forge.edits[0][1]


def test_quick_reports_under_its_own_context_and_never_a_success(bridge: Bridge) -> None:
    """A quick pass says what it is not, under `ccci/quick`, with a state that no rule of a forge takes for success."""
    bridge.comment(" !testme --quick\n", author="bert")
    bridge.wait_for("done")
    assert bridge.drone.builds[0].params["CCCI_QUICK"] == "1"
    assert {(s["context"], s["state"]) for s in bridge.forge.statuses} == {
        ("ccci/quick", "pending"),
        ("ccci/quick", "warning"),
    }
    assert all("lower confidence: does not gate a merge" in s["description"] for s in bridge.forge.statuses)
    assert "lower confidence: does not gate a merge" in bridge.forge.own[0].body


def test_a_failure_names_its_cause(bridge: Bridge) -> None:
    """A red run: the comment has the failing step and the last lines of the log, the status is a failure."""
    stage = StageResult("upgrade", StageStatus.FAIL, 3.0, [], "the app is unhealthy")
    step = StepResult("waiting until it is healthy", "health_gate", "failed", 3.0, 1)
    bridge.drone.status = "failure"
    bridge.drone.changes = {
        "verdict": Verdict.FAILED,
        "exit_code": 1,
        "reason": "service app crashed three times",
        "detail": "line one\n\x1b[31mpanic: @anna `rm -rf` <b>bold</b>\x1b[0m",
        "stages": [stage],
        "steps": [step],
    }
    bridge.comment()
    bridge.wait_for("done")
    body = bridge.forge.own[0].body
    assert "**ccci: FAILED**" in body
    assert "first failing step: waiting until it is healthy" in body
    assert "service app crashed three times" in body
    assert "```text\nline one\npanic: @\u200banna" in body
    assert "\x1b" not in body
    assert bridge.forge.statuses[-1]["state"] == "failure"


@pytest.mark.parametrize(
    ("status", "changes", "silent", "word"),
    [
        ("success", {"commit": "b" * 40}, False, "has tested the commit"),
        ("success", {"recipe": "other"}, False, "has tested the recipe other"),
        ("failure", {}, False, "the run passed, but its build is failure"),
        ("success", {}, True, "has left no result"),
        ("killed", {}, True, "the build is killed"),
        ("success", {"verdict": Verdict.SKIPPED}, False, "Nothing was tested"),
    ],
)
def test_what_is_no_clear_pass_is_none(
    bridge: Bridge, status: str, changes: dict[str, Any], silent: bool, word: str
) -> None:
    """A pass needs build, result, recipe and commit to agree; anything else makes the status an error."""
    bridge.drone.status, bridge.drone.changes, bridge.drone.silent = status, changes, silent
    bridge.comment()
    bridge.wait_for("done")
    assert word in bridge.forge.own[0].body.replace("\u200b", "")
    assert bridge.forge.statuses[-1]["state"] == "error"


def refused_at_the_door(bridge: Bridge) -> dict[str, tuple[bytes, dict[str, str] | None, int]]:
    """Return deliveries that are refused as they come in: body, headers, the status of the answer."""
    good = bridge.forge.webhook(bridge.forge.write(1, "anna", "!testme"))
    issue = bridge.forge.webhook(bridge.forge.write(1, "anna", "!testme", is_pull=False))
    old = bridge.forge.webhook(bridge.forge.write(1, "anna", "!testme", age=100_000))
    edited = bridge.forge.webhook(bridge.forge.write(1, "anna", "!testme"), action="edited")
    elsewhere = bridge.forge.webhook(bridge.forge.write(1, "anna", "!testme"), repository={"full_name": "evil/x"})
    unsigned = {k: v for k, v in signed(good).items() if k != "X-Gitea-Signature"}
    return {
        "no signature": (good, unsigned, 401),
        "wrong signature": (good, signed(good, "another-secret"), 401),
        "wrong signature (it is none)": (good, {**unsigned, "X-Gitea-Signature": "x\xe4"}, 401),
        "wrong signature ": (good + b" ", signed(good), 401),
        "not a new comment": (edited, None, 200),
        "is no pull request": (issue, None, 200),
        "too old": (old, None, 200),
        "'evil/x' is not enrolled": (elsewhere, None, 200),
        "no JSON of a webhook": (b"{", None, 400),
        "no JSON of a webhook ": (b'{"a": 1, "a": 2}', None, 400),
        "no JSON of a webhook  ": (b"[" * 100_000, None, 400),
        "no JSON of a webhook   ": (b'{"action": NaN}', None, 400),
        "no JSON object": (b"[]", None, 400),
        "comment is missing": (b'{"action": "created"}', None, 400),
        "Entity Too Large": (b"x" * 10_000_000, None, 413),
    }


def test_what_is_refused_at_the_door_starts_nothing(bridge: Bridge) -> None:
    """Each bad delivery is refused with its reason; nothing is asked, queued or started."""
    for word, (body, headers, status) in refused_at_the_door(bridge).items():
        try:
            answer = bridge.deliver(body, headers)
        except OSError:
            assert status == 413  # it closes while we still send
            continue
        assert answer.status_code == status, word
        assert word.strip() in answer.text or status == 413
    assert bridge.rows() == []
    assert [line for line in bridge.forge.server.lines + bridge.drone.server.lines if "repos" in line] == []
    log = bridge.stop()
    for word in (
        "no signature",
        "wrong signature",
        "no pull request",
        "not enrolled",
        "no JSON",
        "too old",
        "Too Large",
    ):
        assert word in log


def test_what_the_forge_does_not_confirm_starts_nothing(bridge: Bridge) -> None:
    """Strangers, edited or vanished comments, false authors, bad branches and titles: refused and logged."""
    forge = bridge.forge
    forge.pulls |= {
        2: Pull(2, ref="--upload-pack=x"),
        3: Pull(3, title="**bold** [x](y) \x1b[31mred\x1b[0m"),
        4: Pull(4, state="closed"),
        5: Pull(5, sha="not a commit"),
    }
    cases: list[tuple[str, Written, dict[str, Any]]] = [
        ("no member", forge.write(1, "stranger", "!testme"), {}),
        ("edited", forge.write(1, "anna", "!testme"), {"updated": time.time() + 5}),
        ("edited", forge.write(1, "anna", "!testme"), {"body": "!testme --quick"}),
        ("is by 'anna'", forge.write(1, "bert", "!testme"), {"author": "anna"}),
        ("not on pull request 1", forge.write(1, "anna", "!testme"), {"number": 2}),
        ("branch: '--upload-pack=x'", forge.write(2, "anna", "!testme"), {}),
        ("control characters", forge.write(3, "anna", "!testme"), {}),
        ("is not open", forge.write(4, "anna", "!testme"), {}),
        ("is no commit", forge.write(5, "anna", "!testme"), {}),
        ("no such pull request", forge.write(9, "anna", "!testme"), {}),
    ]
    for _, comment, changes in cases:
        body = forge.webhook(comment)
        for name, value in changes.items():
            setattr(comment, name, value)
        assert bridge.deliver(body).status_code == 202
    gone = forge.write(1, "anna", "!testme")
    body = forge.webhook(gone)
    del forge.comments[gone.id]
    bridge.deliver(body)
    bridge.wait_for(*["refused"] * 11)
    reasons = [row["reason"] for row in bridge.rows()]
    for (word, _, _), reason in zip(cases, reasons, strict=False):
        assert word in reason
    assert "is gone" in reasons[-1]
    assert bridge.drone.builds == []
    assert forge.statuses == []
    assert forge.own == []
    log = bridge.stop()
    assert log.count("refused: ") == 11
    assert "\x1b" not in log


def test_a_replayed_delivery_starts_nothing(bridge: Bridge) -> None:
    """The same delivery again, also after a restart and after its end, makes no second run."""
    comment = bridge.forge.write(1, "anna", "!testme")
    body = bridge.forge.webhook(comment)
    assert bridge.deliver(body).status_code == 202
    assert bridge.deliver(body).status_code == 200
    bridge.wait_for("done")
    bridge.stop()
    bridge.start()
    assert "has come before" in bridge.deliver(body).text
    assert bridge.states() == ["done"]
    assert len(bridge.drone.builds) == 1


def test_bad_requests_are_limited_and_good_ones_are_not(tmp_path: Path) -> None:
    """Who sends rubbish gets 429 and no more log lines; a signed delivery from the same address still comes in."""
    made = Bridge(tmp_path, extra="refusals = 3\nhourly = 1")
    made.start()
    codes = [made.deliver(b"x", {}).status_code for _ in range(6)]
    assert codes == [401, 401, 401, 429, 429, 429]
    made.comment()
    made.wait_for("done")
    made.comment()
    made.wait_for("done", "refused")
    assert "within the hour" in made.rows()[1]["reason"]
    assert made.stop().count("no signature") == 3
    made.close()


@pytest.mark.parametrize("name", ["forge", "drone"])
def test_a_service_that_is_away_keeps_the_queue(bridge: Bridge, name: str) -> None:
    """While the forge or Drone is away, webhooks are taken and /healthz says so; then the bridge catches up."""
    server = getattr(bridge, name).server
    server.away = True
    for _ in range(3):
        bridge.comment()
    until(lambda: bridge.health()[name]["state"] == "down", f"{name} to be down")
    said = bridge.health()
    assert (said["ok"], said["queue"]) == (False, 3)
    metrics = bridge.http.get(f"{bridge.url}/metrics", timeout=5).text
    assert f'ccci_bridge_service_up{{service="{name}"}} 0.0' in metrics
    server.away = False
    bridge.wait_for("done", "done", "done", patience=60)
    assert bridge.health() == {
        **said,
        "ok": True,
        name: {"state": "up"},
        "queue": 0,
        "states": bridge.health()["states"],
    }
    assert len(bridge.drone.builds) == len(bridge.forge.own) == 3
    metrics = bridge.http.get(f"{bridge.url}/metrics", timeout=5).text
    assert 'ccci_bridge_verdicts_total{verdict="passed"} 3.0' in metrics
    log = bridge.stop()
    assert f"{name} is away" in log
    assert f"{name} is back" in log


def test_polling_finds_what_no_webhook_brings(tmp_path: Path) -> None:
    """Polling takes each new trigger once, with or beside its webhook; edited and old ones never."""
    made = Bridge(tmp_path, extra="poll = 1")
    old = made.forge.write(1, "anna", "!testme", age=3600)
    made.start()
    old.updated = time.time() + 1  # somebody edits an old comment into a trigger
    until(lambda: sum("issues/comments" in line for line in made.forge.server.lines) > 2, "a poll")
    made.forge.write(1, "anna", "talk")
    made.forge.write(1, "anna", "!testme", is_pull=False)
    made.forge.write(1, "anna", "!testme")
    made.comment("!testme --quick")
    until(lambda: len(made.rows()) == 2, "both triggers")
    made.wait_for("done", "done")
    assert "it is on no pull request" in made.stop()
    made.start()
    time_of_polls = len(made.forge.server.lines)
    until(lambda: len(made.forge.server.lines) > time_of_polls + 3, "more polls")
    assert len(made.drone.builds) == 2
    assert made.states() == ["done", "done"]
    made.close()


def test_a_build_that_does_not_end_is_cancelled(tmp_path: Path) -> None:
    """A build that exceeds its time is cancelled, and the verdict is errored."""
    made = Bridge(tmp_path, extra="build_timeout = 1")
    made.drone.held = True
    made.start()
    made.comment()
    made.wait_for("done")
    assert made.drone.cancelled == [1]
    assert "did not end in its time" in made.forge.own[0].body
    made.close()


def test_a_second_bridge_on_the_same_queue_is_refused(bridge: Bridge) -> None:
    """Two bridges never work on one queue: the second ends with exit code 4 and says why."""
    env = clean_environment({"CCCI_SETTINGS": str(bridge.folder / "ccci.toml")})
    done = Running(python_program("ccci.bridge"), env, bridge.folder, None).finish(30)
    assert done.code == 4
    assert "another bridge works on the queue" in done.stderr


def test_no_secret_of_the_bridge_is_in_what_it_says(bridge: Bridge) -> None:
    """Tokens in a log are taken out of the comment, and the bridge's own log has none."""
    secrets = [(bridge.folder / name).read_text("utf-8").strip() for name in ("forge", "webhook", "drone")]
    bridge.drone.status = "failure"
    bridge.drone.changes = {"verdict": Verdict.FAILED, "reason": " ".join(secrets), "detail": "\n".join(secrets)}
    bridge.comment()
    bridge.wait_for("done")
    said = json.dumps([bridge.forge.edits, bridge.forge.statuses]) + bridge.stop()
    assert [secret for secret in secrets if secret in said] == []
    assert "[secret]" in bridge.forge.own[0].body.replace("&#91;", "[").replace("&#93;", "]")
