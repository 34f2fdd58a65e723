"""From a healthy app to the gate's yes, and a second `lab up`."""

from __future__ import annotations

import time

from bench.figures import Section, Series
from bench.quick import OLD, RECIPE
from bench.target import NAME, SCRATCH, Target, elapsed
from ccci import paths
from ccci.facts.docker import DockerEngine, Stack
from ccci.facts.git import Tags
from ccci.model.app import App
from ccci.model.deployment import Deployment, Place, app_env, plan
from ccci.model.enrolment import find_recipe
from ccci.model.recipe import Recipe
from ccci.model.run import Release
from ccci.operations.recipe import worktree
from ccci.operations.stack import deploy, health_gate, undeploy
from ccci.operations.volume import remove_volumes
from ccci.steps.head import read_files

_HOW = (
    "The operation `health_gate` on an app that has been healthy for longer than it has to settle: it reads the stack "
    "once and asks the app once through the proxy, over TLS."
)
_TREE = SCRATCH / "tree"


def measure(target: Target, runs: int) -> Section:
    """Deploy an app, wait until it has settled, then time the gate."""
    session = target.session
    recipe = find_recipe(RECIPE, target.settings.recipes)
    deployment = _plan(target, recipe)
    stack = deployment.app.stack
    yes = Series("healthy app to yes", aim=0.3)
    try:
        session.perform(worktree, paths.recipe_clone(RECIPE), path=_TREE, commit=deployment.release.commit)
        since = session.read(Stack, stack=stack).now
        session.perform(deploy, deployment, tree=_TREE, scratch=SCRATCH)
        session.perform(health_gate, deployment, recipe.meta.health, since=since)
        for _ in range(runs):
            start = time.perf_counter()
            session.perform(health_gate, deployment, recipe.meta.health, since=since)
            yes.values.append(time.perf_counter() - start)
    finally:
        session.perform(undeploy, stack)
        session.perform(remove_volumes, sorted(deployment.volumes.values()))
        target.shell(f"rm -rf {_TREE}; git -C {paths.recipe_clone(RECIPE)} worktree prune")
    return Section("The health gate", _HOW, [yes])


def _plan(target: Target, recipe: Recipe) -> Deployment:
    session = target.session
    tags = session.read(Tags, repo=paths.recipe_clone(RECIPE))
    commit = next(tag.commit for tag in tags if tag.name == OLD)
    release = Release(commit, OLD, released=True)
    files = read_files(session, RECIPE, commit)
    app = App(RECIPE, f"bench-{RECIPE}.{session.host_settings.base_domain}", SCRATCH)
    env = app_env(files, app, release, recipe.meta.env)
    return plan(files, release, Place(app, env, dnsrr=not session.read(DockerEngine).ipvs))


def lab_up(runs: int) -> Section:
    """Time `lab up` of a lab that is complete."""
    series = Series("second `lab up`")
    for _ in range(runs):
        series.values.append(elapsed(["lab", "up", "--name", NAME]))
    return Section(
        "A second `lab up`", "`ccci lab up` where there is nothing left to do, from start to exit.", [series]
    )
