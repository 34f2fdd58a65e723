"""The lanes beside the quick one's main road: fall back, cold, lock, and what only a head had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.test_quick import assert_passed
from tests.support import heads
from tests.support.recipe import KNOWN_GOOD, OLDER
from tests.support.truth import census

if TYPE_CHECKING:
    from tests.support.recipe import Edit
    from tests.support.truth import KnownGood


def test_without_a_canonical_quick_falls_back_to_cold(kept: KnownGood) -> None:
    """`ccci run` with MODE=quick and no canonical says so, runs the whole cold lane, and seeds known-good."""
    done = kept.first_run
    assert done.code == 0
    assert "mode=quick recipe=" in done.out
    assert f"falling back to COLD: {kept.recipe.name} has no canonical yet" in done.summary
    assert "mode=cold" in done.summary.splitlines()[0]
    for words in ("install: pass", "upgrade: pass", "custom: pass", "promote: pass", "deploy-count = 3 (expect 3)"):
        assert words in done.summary, done.summary
    assert f"known-good is now {KNOWN_GOOD} (seeded)" in done.summary
    assert done.result["mode"] == "cold"
    assert (done.result["verdict"], done.result["known_good"]["after"]) == ("passed", KNOWN_GOOD)


def test_cold_pass_leaves_nothing(kept: KnownGood) -> None:
    """A green cold run with a ref leaves the host as it was, to the last entry, and promotes nothing."""
    recipe = kept.recipe
    before = census(recipe)
    done = recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", OLDER)
    assert done.code == 0, done.all
    assert "deploy-count = 2 (expect 2)" in done.summary
    assert f"known-good UNCHANGED ({KNOWN_GOOD}): a run with --ref never promotes" in done.summary
    assert [s["name"] for s in done.result["stages"]] == ["install", "upgrade", "custom"]
    assert {s["status"] for s in done.result["stages"]} == {"pass"}
    assert census(recipe) == before


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (heads.missing_image, "nginx:99.99.99-doesnotexist does not exist"),
        (heads.forgets_header, "test_says_nosniff"),
    ],
    ids=["install", "custom"],
)
def test_cold_fail_leaves_nothing(kept: KnownGood, edit: Edit, cause: str) -> None:
    """A red cold run, early or late, names its cause and leaves the host as it was, to the last entry."""
    recipe = kept.recipe
    commit = recipe.stage(edit)
    before = census(recipe)
    done = recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", commit)
    assert done.code == 1, done.all
    assert cause in done.summary
    assert cause in done.result["reason"]
    assert (done.result["verdict"], done.result["exit_code"]) == ("failed", 1)
    assert census(recipe) == before


def test_second_run_is_locked_out(kept: KnownGood) -> None:
    """A run on an app that another run holds ends with 4, says who holds it since when, and disturbs nothing."""
    recipe = kept.recipe
    first = recipe.start("play", "quick", "--recipe", recipe.name, "--ref", OLDER)
    try:
        first.wait_for("deploying canonical")
        second = recipe.quick(OLDER)
        third = recipe.ccci("canonical", "seed", recipe.name, "--yes")
    finally:
        done = first.finish()
    assert_passed(done)
    assert second.code == third.code == 4, second.all
    [said] = [line for line in second.out.splitlines() if line.startswith("ccci: ")]
    for words in (recipe.domain, "is locked by", done.result["run_id"], "(quick)", "since 20"):
        assert words in said
        assert words in second.result["reason"]
        assert words in third.stderr
    assert (second.result["verdict"], second.result["exit_code"]) == ("errored", 4)


def test_what_only_the_head_has_goes(kept: KnownGood) -> None:
    """A second service, a volume, a secret, a config and a network of the head stand in the run, and go with it."""
    recipe = kept.recipe
    commit = recipe.stage(heads.two_services)
    run = recipe.start("play", "quick", "--recipe", recipe.name, "--ref", commit)
    try:
        run.wait_for("done", 60)
        run.wait_for("running the upgrade tests", 120)
        during = census(recipe)
    finally:
        done = run.finish()
    assert_passed(done)
    for thing in ("services {}_second", "secrets {}_token_v1", "configs {}_second_conf_v1", "networks {}_backend"):
        assert thing.format(recipe.stack) in during
    assert any(line.startswith("volumes ") and line.endswith("more") for line in during)


def test_service_that_the_head_drops_goes(kept: KnownGood) -> None:
    """A service that the head does not have any more is removed by the upgrade, and the gate waits for that."""
    recipe = kept.recipe
    with recipe.released(recipe.stage(heads.two_services), "1.9.9+1.26.3"):  # older than known-good, as its base is
        done = recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", OLDER, "--stages", "upgrade")
    assert done.code == 0, done.all
    assert f"upgrade: pass 1.9.9+1.26.3 -> {OLDER}" in done.summary


def test_known_good_is_not_upgraded_to_itself(kept: KnownGood) -> None:
    """A cold run of the version that is known-good skips the upgrade, says why, and is as green as its other stages."""
    recipe = kept.recipe
    done = recipe.ccci("play", "cold", "--recipe", recipe.name, "--ref", kept.record["commit"])
    assert done.code == 0, done.all
    assert f"upgrade: skip the head is known-good {KNOWN_GOOD} itself" in done.summary
    assert "deploy-count = 1 (expect 1)" in done.summary
    assert {s["name"]: s["status"] for s in done.result["stages"]} == {
        "install": "pass",
        "upgrade": "skip",
        "custom": "pass",
    }


def test_operators_canonical_is_not_touched(kept: KnownGood) -> None:
    """A canonical that an operator has deployed is refused with exit code 2, and goes on serving."""
    recipe = kept.recipe
    assert recipe.ccci("canonical", "deploy", recipe.name).code == 0
    try:
        done = recipe.quick(OLDER)
        assert done.code == 2, done.all
        assert f"{recipe.domain} is deployed" in done.all
        assert f"ccci canonical undeploy {recipe.name}" in done.all
        assert any(line == f"services {recipe.stack}_app" for line in census(recipe))
    finally:
        undeployed = recipe.ccci("canonical", "undeploy", recipe.name)
    assert undeployed.code == 0, undeployed.all
    assert "its data are known-good" in undeployed.out
