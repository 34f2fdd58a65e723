"""The health gate's judgement, on states as the Engine API (v1.40) reports them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.model.stack import Health, Wanted, cause_of, judge
from ccci.model.stackreader import read_stack, timestamp

STACK = "blog_ci_lab_test"
OLD, NEW = "nginx:1.22.1", "nginx:1.26.3"
DIGEST = "@sha256:" + "ab" * 32
NOW = 1_000_000.0
LABEL = "ccci.inputs"


def iso(seconds: float) -> str:
    """Return a time as docker writes it."""
    whole = datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{round((seconds % 1) * 1e9):09d}Z"


def service(key: str = "app", image: str = NEW, **more: Any) -> dict[str, Any]:
    """Build a service: `update` (its state), `mode`, `labels`, `spec` (of its containers), `template` (its tasks)."""
    data: dict[str, Any] = {
        "ID": f"id-{key}",
        "Spec": {
            "Name": f"{STACK}_{key}",
            "Labels": more.get("labels", {LABEL: "wanted"} if key == "app" else {}),
            "Mode": more.get("mode", {"Replicated": {"Replicas": 1}}),
            "TaskTemplate": {"ContainerSpec": {"Image": image, **more.get("spec", {})}, **more.get("template", {})},
        },
    }
    if more.get("update"):
        data["UpdateStatus"] = {"State": more["update"], "Message": "update paused due to failure"}
    return data


def task(key: str = "app", state: str = "running", image: str = NEW, **more: Any) -> dict[str, Any]:
    """Build a task: `desired`, `slot`, `node`, `err`, `code`, `spec`, `created` and `since` (seconds) as wanted."""
    created = more.get("created", NOW - 60)
    status: dict[str, Any] = {"State": state, "Timestamp": iso(more.get("since", created))}
    status["Err"] = more.get("err", "")
    status["ContainerStatus"] = {"ContainerID": "c1", "ExitCode": more.get("code", 0)}
    place = {"NodeID": more["node"]} if "node" in more else {"Slot": more.get("slot", 1), "NodeID": "n1"}
    return {
        "ID": f"task-{key}-{created}",
        "ServiceID": f"id-{key}",
        "Spec": {"ContainerSpec": {"Image": image, **more.get("spec", {})}},
        "Status": status,
        "DesiredState": more.get("desired", "running" if state == "running" else "shutdown"),
        "CreatedAt": iso(created),
        **place,
    }


def verdict(
    services: list[dict[str, Any]], tasks: list[dict[str, Any]], want: Wanted | None = None
) -> tuple[Health, str]:
    """Judge, and return health and reason."""
    found = judge(read_stack(STACK, services, tasks, NOW), want or wanted())
    return found.health, found.reason


def wanted(**more: Any) -> Wanted:
    """Build what the gate waits for: one task of the service app, unless more is said."""
    services = more.pop("services", {"app": (NEW, 1)})
    return Wanted(services, more.pop("labels", {LABEL: "wanted"}), **more)


def test_healthy_stack_is_ready() -> None:
    """One task of the wanted image, labels as wanted, old enough: ready, also with a registry's digest."""
    assert verdict([service()], [task()])[0] is Health.READY
    assert verdict([service(image=NEW + DIGEST)], [task(image=NEW + DIGEST)])[0] is Health.READY
    assert verdict([service(update="completed")], [task()])[0] is Health.READY


@pytest.mark.parametrize(
    ("services", "tasks", "reason"),
    [
        ([], [], "app is not there yet"),
        ([service(), service("old")], [task(), task("old")], "old should be gone"),
        ([service(image=OLD)], [task(image=OLD)], f"is at {OLD}, not {NEW}"),
        ([service(update="updating")], [task()], "update under way"),
        ([service()], [], "0 of 1 tasks run (no task yet)"),
        ([service()], [task(state="starting")], "newest task starting"),
        ([service()], [task(image=OLD)], "0 of 1 tasks run"),
        ([service()], [task(desired="shutdown")], "0 of 1 tasks run"),
        ([service()], [task(), task(image=OLD, desired="shutdown")], "old task is still running"),
        ([service()], [task(), task(slot=2)], "old task is still running"),
        ([service(labels={LABEL: "other"})], [task()], f"{LABEL}=other, not wanted"),
        ([service(labels={})], [task()], f"{LABEL}=nothing"),
        ([service()], [task(since=NOW - 0.5)], "watching for 1 s"),
        ([service()], [task("app", "failed", err="boom")], "newest task failed: boom"),
    ],
)
def test_waiting(services: list[dict[str, Any]], tasks: list[dict[str, Any]], reason: str) -> None:
    """What may still become right is waited for, and the reason names it."""
    health, said = verdict(services, tasks)
    assert health is Health.WAITING
    assert reason in said


@pytest.mark.parametrize(
    "error", ["No such image: nginx:9", "manifest unknown: x", "pull access denied for x, repository does not exist"]
)
def test_missing_image_is_hopeless_at_once(error: str) -> None:
    """An image that does not exist never comes: one rejected task is enough."""
    health, said = verdict([service()], [task("app", "rejected", err=error)])
    assert health is Health.HOPELESS
    assert NEW in said
    assert error in said


def test_crash_loop_is_hopeless_at_the_third_death() -> None:
    """Two deaths may be a slow start; three in one slot are a crash loop, and its exit code is told."""
    dead = [task("app", "failed", err="task: non-zero exit (3)", code=3, since=NOW - i) for i in range(3)]
    assert verdict([service()], dead[:2])[0] is Health.WAITING
    health, said = verdict([service()], dead)
    assert health is Health.HOPELESS
    assert "crash loop, 3 tasks died" in said
    assert "exit code 3" in said


def test_deaths_in_different_slots_are_no_crash_loop() -> None:
    """Three replicas that died once each were unlucky once."""
    services = [service(mode={"Replicated": {"Replicas": 3}})]
    dead = [task("app", "failed", slot=i, err="x") for i in range(1, 4)]
    assert verdict(services, dead, wanted(services={"app": (NEW, 3)}))[0] is Health.WAITING


def test_a_running_task_does_not_hide_a_crash_loop() -> None:
    """Between two deaths a crashing task runs for a moment: that moment must not pass the gate."""
    tasks = [task("app", "failed", err="x") for _ in range(3)] + [task(created=NOW - 5)]
    assert verdict([service()], tasks)[0] is Health.HOPELESS


def test_history_before_the_deploy_is_forgiven() -> None:
    """Deaths before `since` belong to an earlier deployment."""
    dead = [task("app", "failed", err="No such image: x", created=NOW - 100) for _ in range(5)]
    assert verdict([service()], [*dead, task()], wanted(since=NOW - 90))[0] is Health.READY
    assert verdict([service()], [*dead, task()], wanted(since=NOW - 110))[0] is Health.HOPELESS


@pytest.mark.parametrize("update", ["rollback_started", "rollback_paused", "rollback_completed"])
def test_rollback_is_hopeless_however_well_it_runs(update: str) -> None:
    """A silent rollback leaves a healthy stack at the old image: it must not look like success."""
    health, said = verdict([service(image=OLD, update=update)], [task(image=OLD)])
    assert health is Health.HOPELESS
    assert f"rolled the update back to {OLD} by itself" in said


def test_rollback_of_the_same_image_is_hopeless_too() -> None:
    """A roll-back of settings alone keeps the image; the answer is still no."""
    health, said = verdict([service(update="rollback_completed")], [task()])
    assert health is Health.HOPELESS
    assert "back by itself" in said


def test_paused_update_is_hopeless() -> None:
    """Swarm does not go on with a paused update by itself."""
    health, said = verdict([service(update="paused")], [task(image=OLD)])
    assert health is Health.HOPELESS
    assert "paused the update" in said


def test_unhealthy_is_told_as_the_cause() -> None:
    """A failing healthcheck is named as such, with docker's own words."""
    dead = [task("app", "failed", err="task: non-zero exit (137): dockerexec: unhealthy container", code=137)]
    health, said = verdict([service(image=OLD, update="rollback_started")], dead)
    assert health is Health.HOPELESS
    assert "its healthcheck never passed" in said
    assert cause_of([]) == "no task error is on record"


def test_hopeless_beats_waiting() -> None:
    """A service that never will be right decides, whatever is not there yet in its alphabet."""
    services = [service("app"), service("db", update="paused")]
    want = wanted(services={"app": (NEW, 1), "db": (NEW, 1)})
    assert verdict(services, [task("app", "starting")], want)[0] is Health.HOPELESS


def test_global_services_count_nodes() -> None:
    """A global service wants one task a node; tasks have no slot then."""
    services = [service(mode={"Global": {}})]
    want = wanted(services={"app": (NEW, None)})
    two = [task(node="n1"), task(node="n2")]
    assert verdict(services, two, want)[0] is Health.READY
    starting = task("app", "starting", node="n2", desired="running")
    assert verdict(services, [two[0], starting], want)[0] is Health.WAITING
    assert verdict(services, [], want)[0] is Health.WAITING


def test_no_replicas_wanted_is_ready_without_tasks() -> None:
    """A service scaled to nothing is as asked when nothing of it runs, and not while something does."""
    services = [service(), service("job", mode={"Replicated": {"Replicas": 0}})]
    want = wanted(services={"app": (NEW, 1), "job": (NEW, 0)})
    assert verdict(services, [task()], want)[0] is Health.READY
    assert verdict(services, [task(), task("job")], want)[0] is Health.WAITING


def test_an_app_scaled_to_nothing_is_hopeless() -> None:
    """Where the service app runs no task nobody can answer, and waiting changes nothing."""
    services = [service(mode={"Replicated": {"Replicas": 0}})]
    health, said = verdict(services, [], wanted(services={"app": (NEW, 0)}))
    assert health is Health.HOPELESS
    assert "scaled to 0" in said


def test_the_same_image_with_other_settings_is_not_the_wanted_task() -> None:
    """A task of the version before, with the same image and an older config, does not count as the new one."""
    new, old = {"Env": ["A=2"]}, {"Env": ["A=1"]}
    assert verdict([service(spec=new)], [task(spec=old)])[0] is Health.WAITING
    assert verdict([service(spec=new)], [task(spec=new)])[0] is Health.READY


def job(condition: str, attempts: int = 0) -> dict[str, Any]:
    """Build a service that may end: `migrate`."""
    return service("migrate", template={"RestartPolicy": {"Condition": condition, "MaxAttempts": attempts}})


WITH_JOB = {"app": (NEW, 1), "migrate": (NEW, 1)}


@pytest.mark.parametrize("condition", ["none", "on-failure"])
def test_a_job_that_ended_well_has_done_its_work(condition: str) -> None:
    """A migration that is not started again after success is as asked when it has ended with 0."""
    services, want = [service(), job(condition)], wanted(services=WITH_JOB)
    done = task("migrate", "complete", created=NOW - 10)
    assert verdict(services, [task(), done], want)[0] is Health.READY
    assert verdict(services, [task()], want)[0] is Health.WAITING
    assert verdict(services, [task(), done], wanted(services=WITH_JOB, since=NOW - 5))[0] is Health.WAITING


def test_a_job_that_failed_and_is_not_started_again_is_hopeless() -> None:
    """One death decides where there is no second attempt; one more than the attempts where there are some."""
    want = wanted(services=WITH_JOB)
    died = [task("migrate", "failed", err="task: non-zero exit (1)", code=1, since=NOW - i) for i in range(3)]
    assert verdict([service(), job("none")], [task(), died[0]], want)[0] is Health.HOPELESS
    assert verdict([service(), job("on-failure", 1)], [task(), died[0]], want)[0] is Health.WAITING
    health, said = verdict([service(), job("on-failure", 1)], [task(), *died[:2]], want)
    assert health is Health.HOPELESS
    assert "not started again" in said


def test_a_server_that_keeps_ending_is_a_crash_loop() -> None:
    """Exit code 0 is no success of a service that is to run: three ends are a loop, and the cause says so."""
    ended = [task("app", "complete", since=NOW - i) for i in range(3)]
    health, said = verdict([service()], ended)
    assert health is Health.HOPELESS
    assert "ended by itself with exit code 0" in said


def test_no_node_for_a_task_is_hopeless_after_a_moment() -> None:
    """Constraints that no node meets do not change by waiting; a node that only just comes is waited for."""
    error = "no suitable node (scheduling constraints not satisfied on 1 node)"
    late, fresh = (task("app", "pending", err=error, desired="running", created=NOW - age) for age in (10, 1))
    assert verdict([service()], [late])[0] is Health.HOPELESS
    assert verdict([service()], [fresh])[0] is Health.WAITING


def test_the_task_to_blame_is_named() -> None:
    """With the reason comes the container of the task that died last, for its log."""
    dead = [task("app", "failed", since=NOW - i) for i in range(3)]
    found = judge(read_stack(STACK, [service()], dead, NOW), wanted())
    assert (found.service, found.container) == ("app", "c1")


def test_times_are_read_to_the_nanosecond() -> None:
    """Docker writes none to nine decimals."""
    assert timestamp("1970-01-01T00:00:10Z") == 10
    assert timestamp("1970-01-01T00:00:10.5Z") == 10.5
    assert timestamp("1970-01-01T00:00:10.123456789Z") == pytest.approx(10.123456789, abs=1e-9)


@pytest.mark.parametrize("broken", [{}, {"ID": "x"}, None, {"ID": "x", "Spec": {"Name": "y"}}])
def test_unknown_form_raises(broken: Any) -> None:
    """What does not look like the Engine API's answer is refused, not skipped."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_stack(STACK, [broken], [], NOW)


STATES = ["new", "pending", "preparing", "starting", "running", "complete", "failed", "rejected", "shutdown"]
UPDATES = ["", "updating", "completed", "paused", "rollback_started", "rollback_paused", "rollback_completed"]
_TASKS = st.builds(
    lambda key, state, image, desired, slot: task(key, state, image, desired=desired, slot=slot),
    st.sampled_from(["app", "db"]), st.sampled_from(STATES), st.sampled_from([OLD, NEW]),
    st.sampled_from(["running", "shutdown"]), st.integers(1, 2),
)  # fmt: skip
_SERVICES = st.builds(
    lambda key, image, update: service(key, image, update=update),
    st.sampled_from(["app", "db", "extra"]), st.sampled_from([OLD, NEW]), st.sampled_from(UPDATES),
)  # fmt: skip


@given(st.lists(_SERVICES, max_size=3, unique_by=lambda s: s["ID"]), st.lists(_TASKS, max_size=6))
def test_ready_only_when_everything_runs(services: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> None:
    """Whatever the state: ready means each wanted service runs the wanted image, and no other does."""
    want = wanted(services={"app": (NEW, 1), "db": (NEW, 1)})
    if verdict(services, tasks, want)[0] is not Health.READY:
        return
    assert {s["ID"] for s in services} == {"id-app", "id-db"}
    for key in ("app", "db"):
        mine = [t for t in tasks if t["ServiceID"] == f"id-{key}" and t["Status"]["State"] == "running"]
        assert [t["Spec"]["ContainerSpec"]["Image"] for t in mine] == [NEW]
    assert all(s.get("UpdateStatus", {}).get("State", "completed") == "completed" for s in services)


@given(
    st.integers(1, 4),
    st.sampled_from(["", "updating", "completed"]),
    st.lists(st.sampled_from(["shutdown", "starting", "preparing"]), max_size=5),
)
def test_never_hopeless_for_a_healthy_stack(replicas: int, update: str, others: list[str]) -> None:
    """While all replicas run and none has died, an update under way and tasks in any other state are no reason."""
    services = [service(mode={"Replicated": {"Replicas": replicas}}, update=update)]
    tasks = [task(slot=i) for i in range(replicas)] + [task("app", state) for state in others]
    assert verdict(services, tasks, wanted(services={"app": (NEW, replicas)}))[0] is not Health.HOPELESS
