"""Operations on a Swarm stack: deploy, wait for health, undeploy."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import PurePosixPath

import gevent
from pyinfra import host
from pyinfra import state as pyinfra_state
from pyinfra.api import StringCommand, operation

from ccci.commands import docker, files
from ccci.commands.lock import Fence, fenced
from ccci.commands.shell import all_of, argv, command, quote
from ccci.errors import GateFailed, InfrastructureError
from ccci.facts.base import read
from ccci.facts.docker import FailedHealthcheck, Stack, StackLeftovers
from ccci.facts.http import Served
from ccci.model import envfile
from ccci.model.deployment import INPUTS_LABEL, Deployment
from ccci.model.recipe import Health as HealthSettings
from ccci.model.stack import Health, Judgement, StackState, judge

POLL = 0.15  # seconds between two looks
PROXY_PATIENCE = 10.0  # seconds without a proxy until that is the host's fault, not the recipe's
Told = Callable[[str], None]
Commands = Generator[StringCommand, None, None]


def _silent(_: str) -> None:
    """Tell nobody."""


@operation()
def deploy(
    deployment: Deployment, *, tree: PurePosixPath, scratch: PurePosixPath, fence: Fence | None = None
) -> Commands:
    """Deploy a stack, or nothing if just this is deployed already.

    + deployment: what to deploy, from `ccci.model.deployment.plan`
    + tree: the worktree of the commit on the host
    + scratch: the run's folder on the host, for the environment (0600) and the extra compose file
    + fence: only while this run owns the app

    **Example:**

    .. code:: python

        deploy(deployment, tree=PurePosixPath("/srv/tree"), scratch=PurePosixPath("/srv/run"))
    """
    app = deployment.app
    state = read(host, Stack, stack=app.stack)
    there = {service.name.removeprefix(f"{app.stack}_") for service in state.services}
    if there == set(deployment.compose.services) and state.labels.get(INPUTS_LABEL) == deployment.inputs:
        host.noop(f"{app.stack} is deployed from these inputs already")
        return
    env, extra = scratch / "deploy.env", scratch / "extra.yml"
    texts = {env: envfile.render(deployment.env), extra: deployment.extra}
    texts |= {tree / name: text for name, text in deployment.rewrites.items()}
    for path, text in texts.items():
        whole = text if text.endswith("\n") else f"{text}\n"
        yield command(files.write(path, len(whole.encode()), mode="0600"), stdin=whole)
    paths = [*deployment.files, str(extra)]
    text = all_of(
        argv("cd", tree), "set -a", argv(".", env), "set +a",
        docker.stack_deploy(app.stack, paths, resolve_image="never"),
    )  # fmt: skip
    yield command(fenced(text, fence), timeout=300)


@operation()
def undeploy(stack: str, *, timeout: float = 120.0, fence: Fence | None = None) -> Commands:
    """Remove a stack and wait until its tasks, networks and mounts are gone; volumes stay.

    + stack: its name
    + timeout: seconds until it counts as stuck
    + fence: only while this run owns the app
    """
    if not read(host, StackLeftovers, stack=stack).running:
        host.noop(f"{stack} is not deployed")
        return
    yield command(fenced(docker.stack_rm(stack), fence), timeout=120)
    deadline = time.monotonic() + timeout
    while (left := read(host, StackLeftovers, stack=stack)).running:
        if time.monotonic() > deadline:
            raise InfrastructureError(
                f"stack {stack} does not go away: {', '.join(left.running[:5])} still there after {timeout:g} s",
                hint=f"look at `docker stack ps {stack}` and `journalctl -u docker` on the host",
            )
        if left.stopped and not left.services:
            # Swarm removes them too, 3 s later; who comes first does not matter
            yield command(f"{{ {fenced(docker.container_rm(left.stopped), fence)} || true; }}")
        gevent.sleep(POLL)


@operation(is_idempotent=True)
def health_gate(
    deployment: Deployment, health: HealthSettings, *, since: float = 0.0, going_back: bool = False,
    tell: Told = _silent,
) -> Commands:  # fmt: skip
    """Wait until a stack is what was asked for and serves; fail at once on what cannot heal.

    Changes nothing. See docs/design.md, "Health gate".

    + deployment: what was deployed
    + health: path, accepted statuses, timeout and settle time in seconds
    + since: tasks created before this (seconds since the epoch, by the host's clock) are history
    + going_back: whether Swarm's own rollback to this is welcome
    + tell: called with what the gate waits for, each time that changes
    """
    if not pyinfra_state.is_executing:
        yield StringCommand("true")  # stands for the wait while pyinfra only prepares
        return
    wanted = deployment.wanted(settle=health.settle, since=since, going_back=going_back)
    start, said = time.monotonic(), ""
    while True:
        verdict = judge(read(host, Stack, stack=deployment.app.stack), wanted)
        waited = time.monotonic() - start
        if verdict.health is Health.READY:
            verdict = _served(deployment.app.domain, health, waited)
        if verdict.health is Health.READY:
            host.noop(verdict.reason)
            return
        if verdict.health is Health.HOPELESS:
            raise GateFailed(verdict.reason + _health_of(verdict.container))
        if verdict.reason != said:
            said = verdict.reason
            tell(said)
        if waited > health.timeout:
            raise GateFailed(f"not healthy within {health.timeout:g} s: {said}")
        gevent.sleep(POLL)


def _health_of(container: str) -> str:
    """Return what a dead container's healthcheck said, in words: Swarm itself does not say it."""
    output = read(host, FailedHealthcheck, container=container) if container else None
    if output is None:
        return ""
    return f"; its healthcheck did not pass{f': {output.splitlines()[-1][:200]}' if output else ''}"


def _served(domain: str, health: HealthSettings, waited: float) -> Judgement:
    answer = read(host, Served, domain=domain, path=health.path)
    where = f"https://{domain}{health.path}"
    if answer.status in health.status:
        return Judgement(Health.READY, f"{where} answers {answer.status}")
    if answer.refused and waited > PROXY_PATIENCE:
        raise InfrastructureError(
            f"nothing listens on port 443 of {host.name}: its proxy is down, so no app can be reached",
            hint="look at `docker service ls` on the host: traefik must run 1/1",
        )
    said = f"answers {answer.status}" if answer.status else f"does not answer: {answer.error or 'nothing came'}"
    return Judgement(Health.WAITING, f"{where} {said}")


def container_of(state: StackState, service: str) -> str:
    """Return the id of the newest running container of a service.

    Raises:
        InfrastructureError: none runs.
    """
    ids = {s.id for s in state.services if s.name == f"{state.stack}_{service}"}
    running = [t for t in state.tasks if t.service in ids and t.state == "running" and t.container]
    if not running:
        raise InfrastructureError(f"service {service} of {state.stack} has no running container")
    return max(running, key=lambda t: t.created).container


def logs_of(whose: str, lines: int) -> str:
    """Return shell text that prints the last log lines of a service or a task."""
    return quote(argv("docker", "service", "logs", "--raw", "--tail", lines, whose)) + " 2>&1"
