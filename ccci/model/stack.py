"""What Swarm says of a stack, and what that means: pure.

`judge` is the heart of the health gate (design, section 6). It reads the Engine API's services and
tasks and answers ready, waiting or hopeless, always with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

CRASHES_UNTIL_HOPELESS = 3
STRANDED_AFTER = 5.0  # seconds
PORT_TAKEN_AFTER = 30.0  # seconds; the task that has the port may just be stopping
_ROLLED_BACK = ("rollback_started", "rollback_paused", "rollback_completed")
_WELCOME = {"rollback_started": "updating", "rollback_completed": "completed"}  # where going back is what is wanted
_DEAD = ("failed", "rejected")
_ENDED = "complete"
_UP = "running"


@attrs.frozen
class Task:
    """One task: its id, its service's id, slot, state, image, error and times (seconds since the epoch)."""

    id: str
    service: str
    slot: str
    state: str
    desired: str
    image: str
    error: str
    exit_code: int
    since: float
    created: float
    container: str
    spec: str = ""


@attrs.frozen
class StackService:
    """One service of the stack as Swarm holds it.

    `restart` is its restart condition: any, on-failure or none; `attempts` bounds it, 0 does not. `spec` is what
    its containers should be, as text: equal to that of a task only if the task is of this version of the service.
    """

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    replicas: int | None
    update_state: str
    update_message: str
    restart: str = "any"
    attempts: int = 0
    spec: str = ""

    @property
    def may_end(self) -> bool:
        """Whether a task that ended well has done its work: a job, not a server."""
        return self.restart != "any"


@attrs.frozen
class StackState:
    """All of a stack at one instant. `now` is the host's clock, in seconds since the epoch."""

    stack: str
    services: tuple[StackService, ...]
    tasks: tuple[Task, ...]
    now: float

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the service `app`, where Co-op Cloud keeps version and commit."""
        for service in self.services:
            if service.name == f"{self.stack}_app":
                return service.labels
        return {}


@attrs.frozen
class Wanted:
    """What the gate waits for: image and replicas by service key, and labels of the service app.

    Attributes:
        services: (image, replicas) by service key; replicas None means one a node.
        labels: labels that the service `app` must have.
        settle: seconds for which the newest task must have been running.
        since: tasks created before this (seconds since the epoch, host's clock) are history.
        going_back: whether this is what an upgrade started from, so that Swarm's own rollback to it is welcome.
    """

    services: Mapping[str, tuple[str, int | None]]
    labels: Mapping[str, str]
    settle: float = 1.0
    since: float = 0.0
    going_back: bool = False


class Health(Enum):
    """The three answers."""

    READY = "ready"
    WAITING = "waiting"
    HOPELESS = "hopeless"


@attrs.frozen
class Judgement:
    """An answer with its reason; `service` is the one to blame, `container` that of its task that died last."""

    health: Health
    reason: str
    service: str = ""
    container: str = ""


def judge(state: StackState, want: Wanted) -> Judgement:
    """Say whether the stack is what was asked for, may become it, or never will."""
    found = {s.name.removeprefix(f"{state.stack}_"): s for s in state.services}
    if extra := sorted(set(found) - set(want.services)):
        return _waiting(f"service {extra[0]} should be gone", extra[0])
    if missing := sorted(set(want.services) - set(found)):
        return _waiting(f"service {missing[0]} is not there yet", missing[0])
    waiting: Judgement | None = None
    for key in sorted(found):
        verdict = _judge_service(key, found[key], state, want)
        if verdict.health is Health.HOPELESS:
            return verdict
        if verdict.health is Health.WAITING and waiting is None:
            waiting = verdict
    return waiting or _judge_whole(state, want)


def _judge_whole(state: StackState, want: Wanted) -> Judgement:
    for label, value in want.labels.items():
        if state.labels.get(label) != value:
            have = state.labels.get(label, "nothing")
            return _waiting(f"service app says {label}={have}, not {value}", "app")
    if want.services.get("app", ("", 1))[1] == 0:
        return _no("service app is scaled to 0 replicas, so nothing can answer", "app")
    newest = max((t.since for t in state.tasks if t.state == _UP), default=0.0)
    if state.now - newest < want.settle:
        return _waiting(f"all services run; watching for {want.settle:g} s that they stay up")
    return Judgement(Health.READY, "all services run as asked")


def _judge_service(key: str, service: StackService, state: StackState, want: Wanted) -> Judgement:
    image, replicas = want.services[key]
    tasks = [t for t in state.tasks if t.service == service.id]
    recent = [t for t in tasks if t.created >= want.since]
    ended = [t for t in recent if t.state == _ENDED]
    dead = [t for t in recent if t.state in _DEAD] + ([] if service.may_end else ended)
    if want.going_back and service.update_state in ("rollback_started", "rollback_completed"):
        service = attrs.evolve(service, update_state=_WELCOME[service.update_state])
    if hopeless := _hopeless(key, service, image, dead):
        return hopeless
    if stranded := [t for t in recent if _stranded(t, state.now)]:
        return _no(f"service {key}: no node can take it ({stranded[0].error})", key)
    if bare(service.image) != bare(image):
        return _waiting(f"service {key} is at {bare(service.image)}, not {bare(image)}", key)
    if service.update_state in ("updating", "paused"):
        return _waiting(f"service {key}: update under way ({_newest_word(tasks)})", key)
    return _judge_tasks(key, service, replicas, tasks, ended if service.may_end else [])


def _judge_tasks(
    key: str, service: StackService, replicas: int | None, tasks: list[Task], done: list[Task]
) -> Judgement:
    up = [t for t in tasks if t.state == _UP and t.desired == _UP and t.spec == service.spec]
    up += [t for t in done if t.spec == service.spec]
    wanted = replicas if replicas is not None else max(1, len({t.slot for t in tasks if t.desired == _UP}))
    if len(up) < wanted:
        return _waiting(f"service {key}: {len(up)} of {wanted} tasks run ({_newest_word(tasks)})", key)
    stale = [t for t in tasks if t.state == _UP and t.desired != _UP]
    if stale or len(up) > wanted:
        return _waiting(f"service {key}: an old task is still running", key)
    return Judgement(Health.READY, f"service {key} runs {bare(service.image)}", key)


def _hopeless(key: str, service: StackService, image: str, dead: list[Task]) -> Judgement | None:
    cause = cause_of(dead)
    container = max(dead, key=lambda t: t.since).container if dead else ""
    if missing := next((t for t in dead if _no_image(t.error)), None):
        return _no(f"service {key}: image {bare(missing.image)} does not exist ({missing.error})", key)
    if service.update_state in _ROLLED_BACK:
        back = "" if bare(service.image) == bare(image) else f" to {bare(service.image)}"
        return _no(f"service {key}: Swarm rolled the update back{back} by itself; cause: {cause}", key, container)
    if service.update_state == "paused":
        return _no(f"service {key}: Swarm paused the update; cause: {cause}", key, container)
    by_slot = [sum(t.slot == slot for t in dead) for slot in {t.slot for t in dead}]
    deaths = max(by_slot, default=0)
    if deaths and (service.restart == "none" or (service.attempts and deaths > service.attempts)):
        return _no(f"service {key}: its task died and is not started again; cause: {cause}", key, container)
    if deaths >= CRASHES_UNTIL_HOPELESS:
        return _no(f"service {key}: crash loop, {deaths} tasks died; cause: {cause}", key, container)
    return None


def cause_of(dead: list[Task]) -> str:
    """Return why the newest of these tasks died, in words."""
    if not dead:
        return "no task error is on record"
    last = max(dead, key=lambda t: t.since)
    if "unhealthy" in last.error:
        return f"its healthcheck never passed ({last.error})"
    if last.state == _ENDED:
        return f"its task ended by itself with exit code {last.exit_code}"
    code = f", exit code {last.exit_code}" if last.exit_code else ""
    return f"{last.error or 'task ' + last.state}{code}"


def _stranded(task: Task, now: float) -> bool:
    """Say whether a task waits for a node that does not exist: constraints do not change by waiting."""
    patience = PORT_TAKEN_AFTER if "port already in use" in task.error else STRANDED_AFTER
    return task.state == "pending" and "no suitable node" in task.error and now - task.created > patience


def _no_image(error: str) -> bool:
    text = error.lower()
    return "no such image" in text or "manifest unknown" in text or "pull access denied" in text


def _newest_word(tasks: list[Task]) -> str:
    if not tasks:
        return "no task yet"
    last = max(tasks, key=lambda t: t.created)
    return f"newest task {last.state}: {last.error}" if last.error else f"newest task {last.state}"


def _waiting(reason: str, service: str = "") -> Judgement:
    return Judgement(Health.WAITING, reason, service)


def _no(reason: str, service: str, container: str = "") -> Judgement:
    return Judgement(Health.HOPELESS, reason, service, container)


def bare(image: str) -> str:
    """Return an image's name without the digest that a registry's answer appends."""
    return image.split("@", 1)[0]
