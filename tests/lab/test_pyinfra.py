"""Plain pyinfra: the playbooks are deploy files, and the operations are idempotent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.test_quick import assert_failed, assert_passed
from tests.support import heads
from tests.support.imageregistry import image_to_pull
from tests.support.recipe import OLDER
from tests.support.running import Done

if TYPE_CHECKING:
    from tests.support.recipe import LabRecipe
    from tests.support.truth import KnownGood

ROOT = Path(__file__).parent.parent.parent


def pyinfra(recipe: LabRecipe, ref: str) -> Done:
    """Run the quick lane by pyinfra's own command line; the result is the one that it kept."""
    results = recipe.host.folder / "runs"
    before = set(results.glob("*"))
    words = [str(ROOT / "inventory.py"), str(ROOT / "playbooks" / "quick.py"), "-y"]
    words += ["--limit", f"@ccci/{recipe.host.name}", "--data", f"recipe={recipe.name}", "--data", f"ref={ref}"]
    done = recipe.host.start("pyinfra", *words, env={"CCCI_RECIPES": str(recipe.enrolments)}).finish()
    [folder] = set(results.glob("*")) - before or [Path("none")]
    assert folder.is_dir(), done.all
    result = json.loads((folder / "result.json").read_text("utf-8"))
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "log", "result.json"]
    return Done(done.code, done.lines, done.stderr, result)


def steps(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the steps of a run without what differs between any two runs."""
    return [(step["name"], step["operation"], step["status"]) for step in result["steps"]]


def test_pyinfra_plays_the_same(kept: KnownGood) -> None:
    """`pyinfra inventory.py playbooks/quick.py` does the same steps as `ccci play quick` and leaves the same files."""
    recipe = kept.recipe
    mine, theirs = recipe.quick(OLDER), pyinfra(recipe, OLDER)
    assert_passed(mine)
    assert_passed(theirs)
    assert steps(mine.result) == steps(theirs.result)
    assert mine.result.keys() == theirs.result.keys()
    for run in (mine, theirs):
        folder = f"/var/lib/ci-warm/runs/{run.result['run_id']}"
        assert recipe.host.sh(f"ls {folder}").split() == ["junit.xml", "log", "result.json"]
        assert json.loads(recipe.host.sh(f"cat {folder}/result.json")) == run.result


def test_pyinfra_fails_where_the_run_fails(kept: KnownGood) -> None:
    """A red run is exit code 1 of pyinfra, too, with the cause and no traceback."""
    assert_failed(pyinfra(kept.recipe, kept.recipe.stage(heads.missing_image)), "doesnotexist does not exist")


def test_operations_yield_nothing_the_second_time(kept: KnownGood) -> None:
    """Every idempotent operation, called twice, changes something first and nothing then."""
    recipe = kept.recipe
    with image_to_pull(recipe.host, recipe.name) as image:
        done = recipe.host.start("tests.support.twice", recipe.name, image, env={"PYTHONPATH": str(ROOT)}).finish()
    assert done.code == 0, done.all
    told = dict(line.text.split(": ") for line in done.lines if ": " in line.text)
    changing = set(json.loads(told.pop("idempotent")))
    assert changing <= set(told), f"not tried: {sorted(changing - set(told))}"
    wanted = dict.fromkeys(changing, "True False") | {"health_gate": "False False"}
    assert {name: told[name] for name in changing} == wanted
