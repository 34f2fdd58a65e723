"""An alert: something that a person should look at. Pure values and their file form."""

from __future__ import annotations

from typing import ClassVar

import attrs

KINDS = {
    "rolled-back": "an upgrade of a provider failed; the version before it runs again, with its data",
    "rollback-failed": "an upgrade of a provider failed, and so did going back: it is down",
    "held-major": "a provider's newest release is a major step, which ccci does not take by itself",
    "held-manual-migration": "the notes of a provider's newest release speak of a migration by hand",
    "held-failed": "a provider's newest release was rolled back before and is not tried again by itself",
    "unhealthy": "a provider is not healthy, and deploying it again did not help",
    "interrupted": "a reconcile died in the middle; the next one put the provider back",
    "night-red": "a recipe, a provider or a snapshot was red in the night",
    "night-died": "a night was cut off before its end; what it had done until then is in its result",
    "night-missed": "there has been no result of a night for too long",
    "host-down": "a host that shares the night could not be reached; its recipes were not tested",
    "disk-low": "too little disk is free on the host; no new run starts",
}


@attrs.frozen(kw_only=True)
class Alert:
    """One alert; docs/operations.md has a page for each kind.

    Attributes:
        schema: the form of this file.
        app: the recipe that it is about, or `host`.
        kind: one of `KINDS`.
        host: the host's name in the settings of who raised it.
        raised: UTC time, ISO 8601.
        run_id: the run that raised it.
        title: one line.
        text: what happened and what ccci did about it.
        todo: what is left to do.
        attempted: the version that was tried or offered, or empty.
        last_good: the version that passed its gate last, or empty.
        recovered: whether the app serves again; None where nothing was moved.
        notes: release notes that matter, by version.
    """

    SCHEMA: ClassVar[str] = "ccci.alert/1"
    schema: str = "ccci.alert/1"
    app: str
    kind: str
    host: str = ""
    raised: str = ""
    run_id: str = ""
    title: str
    text: str
    todo: str = ""
    attempted: str = ""
    last_good: str = ""
    recovered: bool | None = None
    notes: dict[str, str] = attrs.field(factory=dict)

    @property
    def filename(self) -> str:
        """The name of its file: `<UTC>-<app>-<kind>.json`."""
        return f"{self.raised.replace(':', '').replace('-', '')}-{self.app}-{self.kind}.json"

    def __attrs_post_init__(self) -> None:
        """Refuse a kind that no page explains."""
        if self.kind not in KINDS:
            raise ValueError(f"no alert is of kind {self.kind!r}")
