"""Runs of a pull request's head: what is fetched, from where, and what of it never runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import heads
from tests.support.recipe import GIT

if TYPE_CHECKING:
    from tests.support.recipe import Edit, LabRecipe, Tree
    from tests.support.truth import KnownGood

PASSES = '''"""A promise that the pull request brings."""


def test_of_the_pull_request(app):
    """The app serves."""
    assert app.get("/").status_code == 200
'''
FAILS = PASSES.replace("== 200", "== 418")
_BAD_TREE = """
set -e; cd {origin}; config=$(printf '[core]\\n' | git hash-object -w --stdin)
inner=$(printf '100644 blob %s\\tconfig\\n' $config | git mktree)
raw=$(printf %s $inner | sed 's/../\\\\x&/g')
tree=$({{ printf '40000 .git\\0'; printf "$raw"; }} | git hash-object -t tree -w --stdin --literally)
{git} commit-tree -m bad -p main $tree
"""
_HUGE = """
set -e; cd {origin}; blob=$(head -c 70000000 /dev/urandom | git hash-object -w --stdin)
tree=$({{ git ls-tree main; printf '100644 blob %s\\thuge\\n' $blob; }} | git mktree)
{git} commit-tree -m huge -p main $tree
"""
_NESTED = """
set -e; cd {origin}; blob=$(printf x | git hash-object -w --stdin)
tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\tf%s\\n' $blob $i; done | git mktree)
for level in 1 2 3 4 5 6 7 8 9; do
tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\td%s\\n' $tree $i; done | git mktree); done
{git} commit-tree -m nested -p main $tree
"""


def propose(recipe: LabRecipe, number: int, commit: str) -> None:
    """Make a commit the head of a pull request, as a forge keeps it, and of no branch."""
    origin = f"/srv/git/{recipe.name}.git"
    recipe.host.sh(
        f"cd {origin} && git update-ref refs/pull/{number}/head {commit} &&"
        f" git for-each-ref --points-at {commit} --format='%(refname)' refs/heads |"
        ' while read -r ref; do git update-ref -d "$ref"; done'
    )


def made(recipe: LabRecipe, script: str) -> str:
    """Return a commit that a script makes in the recipe's repository."""
    return recipe.host.sh(script.format(origin=f"/srv/git/{recipe.name}.git", git=GIT))


def with_tests(text: str) -> Edit:
    """Return an edit that brings tests, and asks git for all that a checkout could run."""

    def edit(tree: Tree) -> None:
        heads.new_release(tree)
        tree["tests/test_mine.py"] = text
        tree[".gitattributes"] = "* filter=lfs diff=lfs\n"
        tree[".gitmodules"] = '[submodule "m"]\n path = m\n url = ext::touch /tmp/ran-by-a-head\n'
        tree[".husky/post-checkout"] = "#!/bin/sh\ntouch /tmp/ran-by-a-head\n"

    return edit


def test_the_head_of_a_pull_request_is_tested(recipe: LabRecipe, kept: KnownGood) -> None:
    """PR=N tests the head that no branch has; its tests do not run, and the run says so; nothing else of it runs."""
    head = recipe.stage(with_tests(FAILS))
    propose(recipe, 7, head)
    done = recipe.ccci("run", env={"RECIPE": recipe.name, "PR": "7", "REF": head, "CCCI_QUICK": "1"})
    assert done.code == 0, done.all
    assert (done.result["commit"], done.result["pull_request"]) == (head, 7)
    assert f"mode=quick recipe={recipe.name} pr=7 ref={head}" in done.out
    assert f"recipe={recipe.name} pr=7 ref={head[:7]} mode=quick" in done.summary
    assert f"own tests (1 files) were NOT run: {recipe.name} is not in local_tests" in done.summary
    assert recipe.host.sh("ls /tmp/ran-by-a-head 2>&1 || true").endswith("No such file or directory")
    kept.assert_kept()


def test_the_tests_of_a_pull_request_run_if_they_may(recipe: LabRecipe, kept: KnownGood) -> None:
    """With its recipe on the list, a failing test of the pull request makes the run red, after all others."""
    head = recipe.stage(with_tests(FAILS))
    propose(recipe, 8, head)
    allowed = {"CCCI_LOCAL_TESTS": recipe.name}
    done = recipe.ccci("play", "quick", "--recipe", recipe.name, "--pr", "8", env=allowed)
    assert done.code == 1, done.all
    assert "custom: test test_mine.py::test_of_the_pull_request failed" in done.result["reason"]
    tests = {test["name"]: test["status"] for test in done.result["stages"][-1]["tests"]}
    assert tests.pop("test_mine.py::test_of_the_pull_request") == "fail"
    assert set(tests.values()) == {"pass"}
    assert "NOT run" not in done.summary
    kept.assert_kept()


@pytest.mark.parametrize(
    ("script", "says"),
    [(_BAD_TREE, "hasDotgit"), (_HUGE, "64 MiB at most"), (_NESTED, "exit code")],
    ids=["damaged", "huge", "nested"],
)
def test_a_pull_request_that_is_a_weapon_is_refused(recipe: LabRecipe, script: str, says: str) -> None:
    """Objects that git refuses, too many bytes, and a tree without end are refused before anything is changed."""
    propose(recipe, 9, made(recipe, script))
    done = recipe.ccci("play", "quick", "--recipe", recipe.name, "--pr", "9")
    assert done.code in {2, 3}, done.all
    assert says in done.all
    assert done.result.get("stages", []) == []


def test_what_is_no_pull_request_is_refused(recipe: LabRecipe, seeded: KnownGood) -> None:
    """One that is not there, one that has moved, and a branch that git would take for an option end with 2."""
    head = recipe.stage(heads.new_release)
    propose(recipe, 10, head)
    words = ("play", "quick", "--recipe", recipe.name, "--dry-run")
    for more, says in (
        (("--pr", "4711"), "pull request 4711"),
        (("--pr", "10", "--ref", seeded.record["commit"]), f"is at {head[:10]} now, not at {seeded.record['commit']}"),
        (("--pr", "10", "--ref=--upload-pack=x"), "cannot be used"),
        (("--pr", "0"), "give the number of a pull request"),
    ):
        done = recipe.ccci(*words, *more)
        assert done.code == 2, done.all
        assert says in done.all


def test_only_the_configured_forge_is_asked(recipe: LabRecipe, seeded: KnownGood) -> None:
    """A clone whose remote leads elsewhere still gets the pull request from the forge of the settings."""
    head = recipe.stage(heads.new_release)
    propose(recipe, 11, head)
    decoy = f"/srv/git/{recipe.name}-decoy.git"
    other = seeded.record["commit"]
    recipe.host.sh(
        f"git clone -q --mirror /srv/git/{recipe.name}.git {decoy} && cd {decoy} &&"
        f" git update-ref refs/pull/11/head {other} && git -C {recipe.clone} remote set-url origin {decoy}"
    )
    try:
        done = recipe.ccci("play", "quick", "--recipe", recipe.name, "--pr", "11", "--dry-run")
    finally:
        recipe.host.sh(f"git -C {recipe.clone} remote set-url origin /srv/git/{recipe.name}.git; rm -rf {decoy}")
    assert (done.code, done.result["commit"]) == (0, head), done.all
