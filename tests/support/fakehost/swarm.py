"""The fake's Swarm: services, their tasks, and how both go on by themselves. Kept in one file, as raft keeps it."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import subprocess
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.support.fakehost import containers
from tests.support.fakehost.compose import NAMESPACE

STATE = Path("/var/lib/docker/state.json")
KINDS: tuple[str, ...] = ("services", "tasks", "volumes", "secrets", "configs", "networks", "images")
TICK = 0.01  # seconds
STARTING = 0.03  # seconds from a task's creation until its container runs
MONITOR = 1.0  # seconds for which an updated task must live, if it has a process that can die
STOPPING = 0.05  # seconds from the end of a task until its container is gone
DEAD = ("failed", "rejected", "complete")
Item = dict[str, Any]


def now() -> str:
    """Return the time as docker writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """Return an id."""
    return uuid.uuid4().hex[:25]


class Swarm:
    """All that the engine knows. Every change is made under `lock` and saved before it is seen."""

    def __init__(self) -> None:
        """Load what an earlier engine left; what ran then runs no more."""
        self.lock = threading.RLock()
        self.state: dict[str, dict[str, Item]] = {kind: {} for kind in KINDS}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.seen: dict[str, float] = {}  # by task: when its state changed, by a clock that nobody sets
        self._changed = self._unsaved = False
        if STATE.exists():
            kept: dict[str, dict[str, Item]] = json.loads(STATE.read_text("utf-8"))
            self.state.update(kept)
            self._after_restart()

    def save(self) -> None:
        """Write everything down, whole."""
        new = STATE.with_suffix(".new")
        try:
            new.write_text(json.dumps(self.state))
            new.replace(STATE)
        except OSError:  # the disk is full: it is in memory, and written down as soon as there is room
            self._changed = self._unsaved = True
        else:
            self._unsaved = False

    def all(self, kind: str) -> list[Item]:
        """Return all of a kind."""
        return list(self.state[kind].values())

    def tasks_of(self, service: str) -> list[Item]:
        """Return the tasks of a service, oldest first."""
        return sorted((t for t in self.all("tasks") if t["ServiceID"] == service), key=lambda t: str(t["CreatedAt"]))

    def _after_restart(self) -> None:
        for task in self.all("tasks"):
            if task["Status"]["State"] in ("starting", "running"):
                self._set(task, "failed", "task: non-zero exit (137)", 137)
                task["DesiredState"] = "shutdown"
        self.save()

    def put_service(self, spec: Item) -> None:
        """Create a service or change it; a change of its tasks is an update."""
        old = next((s for s in self.all("services") if s["Spec"]["Name"] == spec["Name"]), None)
        if old is None:
            made: Item = {"ID": new_id(), "CreatedAt": now(), "Spec": spec}
            self.state["services"][made["ID"]] = made
        elif old["Spec"] != spec:
            changed = old["Spec"]["TaskTemplate"] != spec["TaskTemplate"]
            old["PreviousSpec"], old["Spec"] = old["Spec"], spec
            if changed:
                old["UpdateStatus"] = {"State": "updating", "Message": "update in progress"}
        self.save()

    def remove_service(self, service: str) -> None:
        """Remove a service; its containers take a moment."""
        del self.state["services"][service]
        for task in self.tasks_of(service):
            task["DesiredState"] = "remove"
        self.save()

    def in_use(self, volume: str) -> bool:
        """Tell whether a container has a volume, be it one that has ended."""
        return any(
            mount["Source"] == volume for t in self.all("tasks") for mount in t["Spec"]["ContainerSpec"]["Mounts"]
            if t["Status"]["State"] != "rejected"
        )  # fmt: skip

    def run(self) -> None:
        """Go on for ever."""
        while True:
            with self.lock:
                self._changed = False
                for service in self.all("services"):
                    self._service(service)
                for task in self.all("tasks"):
                    self._task(task)
                if self._changed or self._unsaved:
                    self.save()
            time.sleep(TICK)

    def _service(self, service: Item) -> None:
        spec = service["Spec"]["TaskTemplate"]["ContainerSpec"]
        tasks = self.tasks_of(service["ID"])
        current = [t for t in tasks if t["Spec"]["ContainerSpec"] == spec]
        old = [t for t in tasks if t["DesiredState"] == "running" and t not in current]
        updating = (service.get("UpdateStatus") or {}).get("State") == "updating"
        failed = [t for t in current if t["Status"]["State"] in DEAD]
        live = [t for t in current if t["DesiredState"] == "running"]
        if (service.get("UpdateStatus") or {}).get("State") == "paused":
            return
        if updating and failed:
            self._update_failed(service, failed[-1])
            return
        running = [t for t in live if t["Status"]["State"] == "running"]
        start_first = service["Spec"]["UpdateConfig"]["Order"] == "start-first"
        for task in old if running or not start_first else ():
            self._stop_wanting(task)
        stopped = not [t for t in old if t["Status"]["State"] == "running"]
        wanted = int(service["Spec"]["Mode"]["Replicated"]["Replicas"])
        if len(live) < wanted and (start_first or stopped) and not self._too_soon(failed):
            self._new_task(service)
        monitored = [t for t in running if self._age(t) > (MONITOR if spec["Command"] else 0.0)]
        if updating and len(monitored) >= wanted and not old:
            self._update_is(service, "completed", "update completed")
        if (service.get("UpdateStatus") or {}).get("State") == "rollback_started" and len(running) >= wanted:
            self._update_is(service, "rollback_completed", service["UpdateStatus"]["Message"])

    def _update_is(self, service: Item, state: str, message: str) -> None:
        service["UpdateStatus"] = {"State": state, "Message": message}
        self._changed = True

    def _stop_wanting(self, task: Item) -> None:
        task["DesiredState"] = "shutdown"
        self._changed = True

    def _age(self, task: Item) -> float:
        return time.monotonic() - self.seen.get(task["ID"], 0.0)

    def _too_soon(self, failed: list[Item]) -> bool:
        return bool(failed) and self._age(failed[-1]) < 0.2

    def _update_failed(self, service: Item, task: Item) -> None:
        action = service["Spec"]["UpdateConfig"]["FailureAction"]
        why = f"update {{}} due to failure or early termination of task {task['ID']}"
        if action == "rollback" and "PreviousSpec" in service:
            service["Spec"] = service.pop("PreviousSpec")
            self._update_is(service, "rollback_started", why.format("rolled back"))
        elif action == "pause":
            self._update_is(service, "paused", why.format("paused"))
        else:
            self._update_is(service, "completed", "")

    def _new_task(self, service: Item) -> None:
        task = {
            "ID": new_id(), "ServiceID": service["ID"], "Slot": 1, "CreatedAt": now(), "DesiredState": "running",
            "Spec": copy.deepcopy(service["Spec"]["TaskTemplate"]),
            "Name": f"{service['Spec']['Name']}.1", "Stack": service["Spec"]["Labels"].get(NAMESPACE, ""),
        }  # fmt: skip
        self.state["tasks"][task["ID"]] = task
        self._set(task, "starting")

    def _set(self, task: Item, state: str, error: str = "", code: int = 0) -> None:
        task["Status"] = {
            "State": state, "Err": error, "Timestamp": now(),
            "ContainerStatus": {"ContainerID": task["ID"], "ExitCode": code},
        }  # fmt: skip
        self.seen[task["ID"]] = time.monotonic()
        self._changed = True

    def _task(self, task: Item) -> None:
        state, age = task["Status"]["State"], self._age(task)
        if task["DesiredState"] != "running":
            self._stop(task, state, age)
        elif state == "starting" and age > STARTING:
            self._start(task)
        elif state == "running":
            self._watch(task, age)

    def _stop(self, task: Item, state: str, age: float) -> None:
        if state in ("starting", "running"):
            self._end(task)
            self._set(task, "shutdown")
        elif task["DesiredState"] == "remove" and age > STOPPING:
            self._release(task)
            del self.state["tasks"][task["ID"]]
            self._changed = True

    def _end(self, task: Item) -> int:
        """End a task's process as docker does, politely first; return its exit code."""
        process = self.processes.pop(task["ID"], None)
        if process is None:
            return 0
        process.terminate()
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def volumes_of(self, task: Item) -> list[tuple[Item, str]]:
        """Return a task's volumes and where it sees them."""
        mounts = task["Spec"]["ContainerSpec"]["Mounts"]
        known = self.state["volumes"]
        return [(known[m["Source"]], m["Target"]) for m in mounts if m["Source"] in known]

    def binds_of(self, task: Item) -> list[tuple[str, str]]:
        """Return what is mounted into a task's container: volumes and secrets."""
        binds = [(str(containers.data_of(volume)), target) for volume, target in self.volumes_of(task)]
        for secret in task["Spec"]["ContainerSpec"]["Secrets"]:
            path = containers.ROOTS / "secrets" / secret["Name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.state["secrets"][secret["Name"]]["Value"])
            binds.append((str(path), f"/run/secrets/{secret['Target']}"))
        return binds

    def _release(self, task: Item) -> None:
        """Let go of a container's volumes that nobody else has."""
        containers.forget(task)
        for volume, _ in self.volumes_of(task):
            users = [t for t in self.all("tasks") if t is not task and volume in [v for v, _ in self.volumes_of(t)]]
            if not users:
                containers.unmount(volume)

    def _start(self, task: Item) -> None:
        spec = task["Spec"]["ContainerSpec"]
        if spec["Image"] not in self.state["images"]:
            self._dead(task, "rejected", f'"No such image: {spec["Image"]}"')
            return
        try:
            for mount in spec["Mounts"]:
                if mount["Type"] == "volume" and mount["Source"] not in self.state["volumes"]:
                    self.put_volume(mount["Source"], {NAMESPACE: task["Stack"]}, {})
            for volume, target in self.volumes_of(task):
                containers.mount(volume)
                containers.first_content(containers.data_of(volume), target)
        except (OSError, subprocess.CalledProcessError) as error:
            self._dead(task, "rejected", f"failed to mount local volume: {getattr(error, 'stderr', error)!r}")
            return
        if spec["Command"]:
            words = containers.command(task, self.binds_of(task), spec["Command"])
            self.processes[task["ID"]] = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        self._set(task, "running")

    def _dead(self, task: Item, state: str, error: str, code: int = 0) -> None:
        self._set(task, state, error, code)
        task["DesiredState"] = "shutdown"

    def _watch(self, task: Item, age: float) -> None:
        process = self.processes.get(task["ID"])
        if process is not None and process.poll() is not None:
            self.processes.pop(task["ID"])
            self._dead(task, "failed", f'"task: non-zero exit ({process.returncode})"', process.returncode)
        elif (task["Spec"]["ContainerSpec"]["Healthcheck"].get("test") or [])[-1:] == ["false"] and age > 0.2:
            task["Unhealthy"], code = True, self._end(task)
            if code:
                self._dead(task, "failed", f"task: non-zero exit ({code}): dockerexec: unhealthy container", code)
            else:
                self._dead(task, "complete", "")

    def put_volume(self, name: str, labels: dict[str, str], options: dict[str, str]) -> None:
        """Create a volume, or leave it as it is."""
        if name not in self.state["volumes"]:
            (containers.VOLUMES / name / "_data").mkdir(parents=True, exist_ok=True)
            self.state["volumes"][name] = {
                "Name": name, "Driver": "local", "Labels": labels, "Options": options or None,
                "Mountpoint": str(containers.VOLUMES / name / "_data"),
            }  # fmt: skip
            self.save()
