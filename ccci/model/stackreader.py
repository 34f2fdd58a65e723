"""The Engine API's JSON as values: services and tasks of a stack. Pure."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from ccci.model.stack import StackService, StackState, Task


def read_stack(stack: str, services: list[Any], tasks: list[Any], now: float) -> StackState:
    """Build a StackState from the Engine API's JSON (v1.40: GET /services, GET /tasks).

    Raises:
        KeyError, TypeError, ValueError: the JSON has not the form that the API promises.
    """
    return StackState(
        stack=stack,
        services=tuple(_service(s) for s in services),
        tasks=tuple(_task(t) for t in tasks),
        now=now,
    )


def _service(data: Any) -> StackService:
    spec = data["Spec"]
    mode = spec.get("Mode") or {}
    update = data.get("UpdateStatus") or {}
    restart = spec["TaskTemplate"].get("RestartPolicy") or {}
    return StackService(
        id=data["ID"],
        name=spec["Name"],
        image=spec["TaskTemplate"]["ContainerSpec"]["Image"],
        labels=dict(spec.get("Labels") or {}),
        replicas=(mode.get("Replicated") or {}).get("Replicas") if "Global" not in mode else None,
        update_state=update.get("State") or "",
        update_message=update.get("Message") or "",
        restart=restart.get("Condition") or "any",
        attempts=int(restart.get("MaxAttempts") or 0),
        spec=json.dumps(spec["TaskTemplate"]["ContainerSpec"], sort_keys=True),
    )


def _task(data: Any) -> Task:
    status = data["Status"]
    container = status.get("ContainerStatus") or {}
    return Task(
        id=data["ID"],
        service=data["ServiceID"],
        slot=str(data.get("Slot") or data.get("NodeID") or ""),
        state=status["State"],
        desired=data["DesiredState"],
        image=data["Spec"]["ContainerSpec"]["Image"],
        error=status.get("Err") or "",
        exit_code=int(container.get("ExitCode") or 0),
        since=timestamp(status["Timestamp"]),
        created=timestamp(data["CreatedAt"]),
        container=container.get("ContainerID") or "",
        spec=json.dumps(data["Spec"]["ContainerSpec"], sort_keys=True),
    )


def timestamp(text: str) -> float:
    """Return Docker's time (RFC 3339, up to nine decimals, UTC) as seconds since the epoch."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + (float(f"0.{rest}") if rest else 0.0)
