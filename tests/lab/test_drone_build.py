"""`.drone.yml`, step by step as Drone's exec runner does it, in a clean checkout with Drone's variables only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import heads
from tests.support.crash import until
from tests.support.droneexec import ExecBuild, repository

if TYPE_CHECKING:
    from tests.support.recipe import LabRecipe


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what this checkout holds."""
    return repository(tmp_path_factory.mktemp("drone"))


def runner(recipe: LabRecipe, results: Path) -> dict[str, str]:
    """Return what this machine's runner gives every step: where the settings are, and the caches."""
    ours = recipe.host.environment()
    wanted = {"CCCI_HOME", "CCCI_HOST", "XDG_CONFIG_HOME", "CCCI_CACHE"}
    return {name: value for name, value in ours.items() if name in wanted} | {
        "CCCI_RECIPES": str(recipe.enrolments),
        "CCCI_RESULTS": str(results),
    }


def the_result(results: Path) -> dict[str, Any]:
    """Return the one result.json that a build has left."""
    (found,) = results.glob("*/result.json")
    data: dict[str, Any] = json.loads(found.read_text("utf-8"))
    return data


def test_a_build_runs_its_parameters(recipe: LabRecipe, checkout: Path, tmp_path: Path) -> None:
    """RECIPE, REF and STAGES of a build become a run of that commit and no more, which says its mode and passes."""
    head = recipe.stage(heads.new_release)
    params = {"RECIPE": recipe.name, "REF": head, "STAGES": "install"}
    build = ExecBuild(checkout, params, runner(recipe, tmp_path)).start()
    assert build.finish() == 0, build.text
    assert f"mode=cold recipe={recipe.name} ref={head}" in build.text
    result = the_result(tmp_path)
    assert (result["commit"], result["mode"], result["verdict"]) == (head, "cold", "passed")
    assert [stage["name"] for stage in result["stages"] if stage["status"] == "pass"] == ["install"]
    assert not build.root.exists()


def test_a_cancelled_build_cleans_up(recipe: LabRecipe, checkout: Path, tmp_path: Path) -> None:
    """The shell killed, the workspace gone, nobody reading: the run still leaves nothing, and its result says 143."""
    build = ExecBuild(checkout, {"RECIPE": recipe.name}, runner(recipe, tmp_path)).start()
    until(lambda: " fresh at " in build.text or build.code is not None, "the run to deploy", patience=300)
    build.cancel()
    until(lambda: list(tmp_path.glob("*/result.json")), "the run to end", patience=240)
    result = the_result(tmp_path)
    assert (result["exit_code"], result["verdict"], result["reason"]) == (143, "errored", "stopped by SIGTERM"), result
    assert f"{recipe.tag}-" not in json.dumps(recipe.host.docker())


def test_a_build_without_parameters_is_refused(recipe: LabRecipe, checkout: Path, tmp_path: Path) -> None:
    """A build by hand that names no recipe ends with 2 and says what to set; it tests nothing in its place."""
    build = ExecBuild(checkout, {}, runner(recipe, tmp_path)).start()
    assert build.finish() == 2, build.text
    assert "RECIPE is not set" in build.text
