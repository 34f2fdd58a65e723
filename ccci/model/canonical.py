"""The canonical of a recipe and what it is trusted to be: pure values and their file form."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import ClassVar

import attrs

from ccci.model.app import App


class Status(str, Enum):
    """What a canonical is doing: the field `status` of canonical.json."""

    IDLE = "idle"
    WARM = "warm"
    DIRTY = "dirty"


@attrs.frozen
class VolumeRecord:
    """One volume in a snapshot.

    Attributes:
        volume: the volume's name on the host.
        digest: sha256 of its deterministic tar stream.
        size: of its archive, in bytes.
    """

    volume: str
    digest: str
    size: int


@attrs.frozen
class Manifest:
    """snapshot/manifest.json: what the archives beside it hold.

    Attributes:
        schema: the form of this file.
        recipe: the recipe's name.
        version: the released version whose data this is.
        commit: that version's commit.
        taken: UTC time, ISO 8601.
        volumes: by the key that the compose file gives the volume.
    """

    SCHEMA: ClassVar[str] = "ccci.snapshot/1"
    schema: str
    recipe: str
    version: str
    commit: str
    taken: str
    volumes: dict[str, VolumeRecord]

    @property
    def digest(self) -> str:
        """One digest for the whole: of the sorted list of volumes and their digests."""
        return combined({key: record.digest for key, record in self.volumes.items()})


@attrs.frozen
class Generation:
    """A known-good that was replaced and is kept, so that an operator can go back to it: version, commit, digest."""

    version: str
    commit: str
    snapshot: str


@attrs.frozen
class CanonicalRecord:
    """canonical.json: known-good, and what the canonical is doing now.

    Attributes:
        schema: the form of this file.
        recipe: the recipe's name.
        domain: where it is served when it is deployed.
        version: known-good version.
        commit: known-good commit.
        status: idle, warm (an operator deployed it) or dirty (a run is changing it).
        snapshot: digest of the known-good snapshot (see Manifest.digest).
        secrets: names of the swarm secrets that belong to known-good.
        updated: UTC time of the last change of this file, ISO 8601.
        run: id of the run that made it dirty, empty otherwise.
        previous: the known-good before this one; None if there was none.
    """

    SCHEMA: ClassVar[str] = "ccci.canonical/1"
    schema: str
    recipe: str
    domain: str
    version: str
    commit: str
    status: Status
    snapshot: str
    secrets: list[str]
    updated: str
    run: str = ""
    previous: Generation | None = None

    @property
    def generation(self) -> Generation:
        """This known-good, as the next one remembers it."""
        return Generation(self.version, self.commit, self.snapshot)


def fits(manifest: Manifest | None, named: CanonicalRecord | Generation) -> bool:
    """Return whether a snapshot is the one that is named: the same data, of the same release."""
    if manifest is None:
        return False
    wanted = named.snapshot, named.version, named.commit
    return (manifest.digest, manifest.version, manifest.commit) == wanted


@attrs.frozen
class Canonical:
    """The canonical as a run sees it: the app, its record and its snapshot's manifest."""

    app: App
    record: CanonicalRecord
    manifest: Manifest

    @property
    def known_good(self) -> str:
        """The version that it is trusted to be."""
        return self.record.version


@attrs.frozen
class Journal:
    """journal.json of an app: what must be cleared up if its run dies.

    Attributes:
        schema: the form of this file.
        run_id: the run that writes here; only that run may go on writing.
        playbook: the playbook's name.
        recipe: the recipe's name.
        domain: the app's domain.
        who: user, machine and process that started it.
        started: UTC time, ISO 8601.
        forked: whether the run works on forks, so that known-good cannot have changed.
        promoting: whether the run is replacing known-good.
    """

    SCHEMA: ClassVar[str] = "ccci.journal/1"
    schema: str
    run_id: str
    playbook: str
    recipe: str
    domain: str
    who: str
    started: str
    forked: bool
    promoting: bool = False


def combined(digests: dict[str, str]) -> str:
    """Return one sha256 for several volumes' digests, whatever order they come in."""
    text = "".join(f"{key}={digests[key]}\n" for key in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()
