"""Stages and their tests."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ccci.commands import docker
from ccci.commands.shell import command
from ccci.engine.proxy import AppProxy
from ccci.engine.run import HOOK, Run
from ccci.engine.steps import step
from ccci.engine.testrunner import Outcome, Tester, own_files
from ccci.errors import CcciError, ConnectionLost, RecipeFailed, TestsFailed, UsageError
from ccci.events import Output, StageEnded
from ccci.facts.docker import Stack
from ccci.model.app import App
from ccci.model.recipe import STAGES
from ccci.model.run import StageResult, StageStatus, TestCase
from ccci.model.stack import StackState, bare, cause_of
from ccci.operations.stack import container_of
from ccci.testing.context import Call, Reply, TestContext

EXEC_TIMEOUT = 120.0  # seconds for a command that a test runs in a container


@contextmanager
def stage(run: Run, name: str, *, note: str = "") -> Iterator[None]:
    """One stage: timed, with its tests; what fails inside is the stage's failure."""
    for ahead in _ahead(run, name):
        run.start_tester(ahead)
    start = time.monotonic()
    before = len(run.session.tests)
    status, reason = StageStatus.PASS, note
    try:
        yield
    except BaseException as error:
        recipe = isinstance(error, (RecipeFailed, UsageError))
        status, reason = StageStatus.FAIL if recipe else StageStatus.ERROR, _first_line(error)
        raise
    finally:
        tests = run.session.tests[before:]
        end_stage(run, StageResult(name, status, round(time.monotonic() - start, 1), tests, reason))


def _ahead(run: Run, name: str) -> tuple[str, ...]:
    """Return the stages whose test processes start now: custom has nothing to wait for, so it comes along."""
    if name not in STAGES:
        return ()
    hook = (f"{HOOK}{name}",) if name in run.recipe.hooks else ()
    return (*hook, name, "custom") if name == "upgrade" and run.wants("custom") else (*hook, name)


def skip_stage(run: Run, name: str, because: str) -> None:
    """Say, visibly, that a stage is not part of this run."""
    end_stage(run, StageResult(name, StageStatus.SKIP, 0.0, [], because))


def end_stage(run: Run, result: StageResult) -> None:
    """Keep and announce a stage's result."""
    run.stages.append(result)
    run.session.send(StageEnded(result))


def _first_line(error: BaseException) -> str:
    return (error.what if isinstance(error, CcciError) else repr(error)).splitlines()[0]


@step("running the {1} tests of {0.domain}")
def run_tests(app: App, name: str, run: Run) -> None:
    """Run a stage's generic tests, then the recipe's own; then, in a process of their own, the pull request's.

    Raises:
        TestsFailed: one failed or was skipped, or there was none.
    """
    _judge(name, _tested(app, name, run, run.tester(name)))
    if files := own_files(name, run.local_tests):  # apart, so that they can neither touch nor hide the others
        _judge(name, _tested(app, name, run, Tester(files, home=run.local_tests)))


def run_hook(app: App, name: str, run: Run) -> None:
    """Run what the recipe wants done before a stage changes the app, `pre_<stage>`, if it wants anything.

    Raises:
        TestsFailed: it failed.
    """
    if name in run.recipe.hooks:
        _run_hook(app, f"{HOOK}{name}", run)


@step("running {1} of {0.domain}")
def _run_hook(app: App, name: str, run: Run) -> None:
    _judge(name, _tested(app, name, run, run.tester(name)))


def _tested(app: App, name: str, run: Run, tester: Tester) -> Outcome:
    """Let a test process run its tests and keep what came of each."""
    session = run.session
    with AppProxy(session.connector, session.host_settings.base_domain) as proxy:
        context = _context(app, name, run, proxy.url)
        answer = functools.partial(_answer, app, run)
        losses, limit = session.connector.losses, session.settings.test_timeout
        outcome = tester.run(context, answer, lambda line: session.send(Output(line)), limit=limit)
    session.connector.ensure_connected()  # a host that is gone, or an app that was taken over, is no test's failure
    if outcome.exit_code and session.connector.losses != losses:
        raise ConnectionLost("the connection was lost while the tests ran, so their failure proves nothing")
    session.tests.extend(outcome.tests)
    return outcome


def _judge(name: str, outcome: Outcome) -> None:
    bad = [test for test in outcome.tests if test.status is not StageStatus.PASS]
    if bad:
        raise TestsFailed(f"{name}: {_told(bad[0])}{_more(bad)}", detail=bad[0].message or outcome.tail)
    if not outcome.tests:
        raise TestsFailed(f"{name}: no test ran", hint="add a test or drop the stage", detail=outcome.tail)
    if not outcome.complete:
        raise TestsFailed(f"{name}: pytest ended before all tests had reported", detail=outcome.tail)
    if outcome.exit_code:
        raise TestsFailed(f"{name}: pytest ended with exit code {outcome.exit_code}", detail=outcome.tail)


def _told(test: TestCase) -> str:
    if test.status is StageStatus.SKIP:
        return f"test {test.name} was skipped, and a skip proves nothing"
    first = test.message.strip().splitlines()[0] if test.message.strip() else "no message"
    return f"test {test.name} failed: {first}"


def _more(bad: list[TestCase]) -> str:
    return f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""


def _context(app: App, name: str, run: Run, proxy: str) -> TestContext:
    deployment = run.session.deployments[app.domain]
    meta, ca = run.recipe.meta, run.session.host_settings.ca
    return TestContext(
        schema=TestContext.SCHEMA,
        recipe=app.recipe,
        domain=app.domain,
        stack=app.stack,
        stage=name,
        run_id=run.id,
        mode=run.mode.value,
        service=meta.service,
        commit=deployment.release.commit,
        version=deployment.release.version,
        chaos=deployment.place.chaos,
        health_path=meta.health.path,
        health_status=list(meta.health.status),
        proxy=proxy,
        ca=str(ca) if ca else "",
        sso=run.sso,
        deps=dict(run.dep_domains),
    )


def _answer(app: App, run: Run, call: Call) -> Reply:
    if call.kind == "stack":
        since = run.session.deployed_since[app.domain]
        return Reply(0, json.dumps(_swarm(run.session.read(Stack, stack=app.stack), since)))
    if call.kind != "exec":
        return Reply(1, error=f"unknown question {call.kind!r}")
    container = container_of(run.session.read(Stack, stack=app.stack), call.service)
    words = docker.execute(container, call.words, stdin=call.stdin is not None)
    code, output = run.session.ask(command(words, stdin=call.stdin, timeout=EXEC_TIMEOUT))
    return Reply(code, output.stdout, output.stderr)


def _swarm(state: StackState, since: float) -> dict[str, object]:
    services = {}
    for service in state.services:
        tasks = [t for t in state.tasks if t.service == service.id]
        dead = [t for t in tasks if t.state in ("failed", "rejected") and t.created >= since]
        services[service.name.removeprefix(f"{state.stack}_")] = {
            "image": bare(service.image),
            "labels": dict(service.labels),
            "running": sum(t.state == "running" and t.desired == "running" for t in tasks),
            "wanted": service.replicas if service.replicas is not None else 1,
            "update": service.update_state,
            "died": cause_of(dead) if dead else "",
        }
    return {"services": services, "labels": dict(state.labels)}
