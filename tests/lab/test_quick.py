"""The quick lane, passed and failed: known-good is never touched, and the summary names the true cause."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.support import heads
from tests.support.recipe import KNOWN_GOOD, OLDER, Edit

if TYPE_CHECKING:
    from tests.support.running import Done
    from tests.support.truth import KnownGood

FORKS = ["auto", "off"]
REJECTION_TO_VERDICT = 10.0  # seconds


def assert_passed(done: Done, *words: str) -> None:
    """Check a green quick run by exit code, summary and result."""
    assert done.code == 0, done.all
    wanted = ("mode=quick", "upgrade: pass", "custom: pass", "deploy-count = 1 (expect 1)", *words)
    for word in (*wanted, f"canonical undeployed, volume retained, known-good UNCHANGED ({KNOWN_GOOD})"):
        assert word in done.summary, done.summary
    result = done.result
    assert (result["verdict"], result["exit_code"], result["reason"]) == ("passed", 0, "")
    assert result["deploy_count"] == {"actual": 1, "expected": 1}
    assert [(s["name"], s["status"]) for s in result["stages"]] == [("upgrade", "pass"), ("custom", "pass")]
    assert_data_kept(done)


def assert_data_kept(done: Done) -> None:
    """Check what the result says of known-good."""
    kept = done.result["known_good"]
    assert (kept["before"], kept["after"]) == (KNOWN_GOOD, KNOWN_GOOD)
    assert kept["digest_before"] == kept["digest_after"] != ""


def assert_failed(done: Done, *causes: str, stage: str = "upgrade") -> None:
    """Check a red quick run by exit code, summary and result, and that all of them name the cause."""
    assert done.code == 1, done.all
    assert f"{stage}: fail" in done.summary, done.summary
    assert "rolling back " in done.summary
    assert "restored known-good data; canonical idle (NOT promoted)" in done.summary
    [verdict] = [line for line in done.summary.splitlines() if line.startswith("VERDICT failed")]
    result = done.result
    assert (result["verdict"], result["exit_code"]) == ("failed", 1)
    [last] = [s for s in result["stages"] if s["status"] != "pass"]
    assert (last["name"], last["status"]) == (stage, "fail")
    for cause in causes:
        assert cause in verdict, done.summary
        assert cause in result["reason"]
        assert cause in last["note"]
    assert_data_kept(done)


@pytest.mark.parametrize("fork", FORKS)
def test_green_head_leaves_known_good_alone(kept: KnownGood, fork: str) -> None:
    """A head that is another release upgrades real data, is tested, and known-good stays as it was."""
    done = kept.recipe.quick(OLDER, env={"CCCI_FORK": fork})
    assert_passed(done, f"{KNOWN_GOOD} -> {OLDER}")
    assert done.result["version_after"] == OLDER


@pytest.mark.parametrize("fork", FORKS)
def test_green_head_that_rewrites_data(kept: KnownGood, fork: str) -> None:
    """A head that passes and rewrites the data on its way changes known-good's data not at all."""
    commit = kept.recipe.stage(heads.spoils_content)
    assert_passed(kept.recipe.quick(commit, env={"CCCI_FORK": fork}))


def test_head_of_the_clone_as_it_is(kept: KnownGood) -> None:
    """With CCCI_SKIP_FETCH and no ref, the quick lane tests the HEAD of the clone on the host."""
    recipe = kept.recipe
    commit = recipe.stage(heads.new_release, into="clone")
    before = recipe.host.sh(f"git -C {recipe.clone} symbolic-ref HEAD")
    recipe.host.sh(f"git -C {recipe.clone} checkout -q --detach {commit}")
    try:
        done = recipe.ccci("play", "quick", "--recipe", recipe.name, env={"CCCI_SKIP_FETCH": "1"})
    finally:
        recipe.host.sh(f"cd {recipe.clone} && git checkout -q {before.removeprefix('refs/heads/')}")
    assert_passed(done, f"{KNOWN_GOOD} -> 1.13.0+1.26.3")
    assert done.result["commit"] == commit


@attrs.frozen
class Broken:
    """A way to break a head, and what the summary must blame."""

    edit: Edit
    causes: tuple[str, ...]
    fork: str = "auto"
    gate: str = ""


BROKEN = {
    "answers-500": Broken(heads.answers_500, ("answers 500",), gate="15"),
    "crash-loop": Broken(heads.crash_loop, ("service app: crash loop", "exit code 7")),
    "never-healthy": Broken(heads.never_healthy, ("service app", "exit code 0", "its healthcheck did not pass")),
    "never-healthy-rude": Broken(heads.never_healthy_and_rude, ("service app", "its healthcheck never passed")),
    "deletes-content": Broken(heads.deletes_content, ("answers 403",), gate="15"),
    "deletes-content-unforked": Broken(heads.deletes_content, ("answers 403",), fork="off", gate="15"),
    "rolled-back": Broken(heads.rolled_back, ("service app: Swarm rolled the update back", "exit code 3")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_red_head_is_rolled_back(kept: KnownGood, name: str) -> None:
    """A broken head fails with its own true cause, and known-good's data are back, byte for byte."""
    broken = BROKEN[name]
    commit = kept.recipe.stage(broken.edit, into="clone")
    env = {"CCCI_SKIP_FETCH": "1", "CCCI_FORK": broken.fork, "CCCI_GATE_TIMEOUT": broken.gate}
    assert_failed(kept.recipe.quick(commit, env=env), *broken.causes)


@pytest.mark.parametrize("fork", FORKS)
def test_missing_image_fails_at_once(kept: KnownGood, fork: str) -> None:
    """An image that does not exist is named, within ten seconds of Docker's own rejection of the task."""
    recipe, times = kept.recipe, list[str]()
    commit = recipe.stage(heads.missing_image)
    watch = (
        "for i in $(seq 600); do "
        f"t=$(docker stack ps -q --no-trunc {recipe.stack} -f desired-state=shutdown 2>/dev/null | "
        "xargs -r docker inspect -f '{{.Status.State}} {{.Status.Timestamp}}' 2>/dev/null | grep rejected | tail -1);"
        ' [ -z "$t" ] || { date -d "$(echo "$t" | cut -d" " -f2-3)" +%s.%N; exit; }; sleep 0.1; done'
    )
    watcher = threading.Thread(target=lambda: times.append(recipe.host.sh(watch)))
    watcher.start()
    done = recipe.quick(commit, env={"CCCI_FORK": fork})
    watcher.join()
    assert_failed(done, "nginx:99.99.99-doesnotexist does not exist")
    failed = [line.when for line in done.lines if line.text.startswith("FAILED") and "doesnotexist" in line.text]
    assert 0 <= failed[0] - float(times[0]) < REJECTION_TO_VERDICT


def test_red_tests_fail_the_run(kept: KnownGood) -> None:
    """A head that stands but breaks a promise that the recipe tests is red in the stage custom, by that test's name."""
    commit = kept.recipe.stage(heads.forgets_header)
    done = kept.recipe.quick(commit)
    assert_failed(done, "test_says_nosniff", "X-Content-Type-Options is None", stage="custom")
    assert "upgrade: pass" in done.summary
