"""Operations on volumes: snapshot, restore, fork, remove."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ccci.commands import archive, docker
from ccci.commands.lock import Fence, fenced
from ccci.commands.shell import all_of, argv, command
from ccci.errors import InfrastructureError, SnapshotBroken
from ccci.facts.base import read
from ccci.facts.docker import Volume, Volumes
from ccci.facts.warm import Digests, HalfRestored
from ccci.model.canonical import Manifest

Commands = Generator[StringCommand, None, None]


def data_of(volume: Volume) -> PurePosixPath:
    """Return where a volume's data lie on the host.

    Raises:
        InfrastructureError: the volume is not a plain local one, so its data cannot be read at rest.
    """
    if volume.driver != "local" or volume.options:
        raise InfrastructureError(
            f"volume {volume.name} is not a plain local volume (driver {volume.driver}), so it cannot be snapshotted",
            hint="use the local driver without options, or retire this canonical",
        )
    return PurePosixPath(volume.mountpoint)


@operation(is_idempotent=False)
def snapshot_volumes(volumes: Mapping[str, str], *, into: PurePosixPath, fence: Fence | None = None) -> Commands:
    """Write an archive of each volume into a folder; the app must be undeployed.

    Each archive command prints the stream's sha256, the same read back from the archive, and the
    archive's size in bytes; `read_packed` turns that into records.

    + volumes: volume names by the key that the compose file gives them
    + into: an empty or new folder on the host
    + fence: only while this run owns the app
    """
    known = read(host, Volumes)
    yield command(fenced(all_of(argv("rm", "-rf", into), argv("mkdir", "-p", "-m", "0700", into)), fence))
    for key in sorted(volumes):
        text = archive.pack(data_of(known[volumes[key]]), into / f"{key}.tar.zst")
        yield command(fenced(text, fence), timeout=6 * 3600)


@operation()
def restore_volumes(manifest: Manifest, *, snapshot: PurePosixPath, fence: Fence | None = None) -> Commands:
    """Make volumes equal to a snapshot; those whose digest is right already are left alone.

    An archive is unpacked beside the volume and hashed on the way; only if it is what the manifest
    says is the volume replaced. Missing volumes are made. Afterwards every digest is taken again.

    + manifest: the snapshot's
    + snapshot: the folder with the archives on the host
    + fence: only while this run owns the app
    """
    known = read(host, Volumes)
    missing = [r.volume for r in manifest.volumes.values() if r.volume not in known]
    for name in missing:
        yield command(fenced(docker.volume_create(name, labels={}), fence))
    known = read(host, Volumes) if missing else known
    folders = {key: data_of(known[r.volume]) for key, r in sorted(manifest.volumes.items())}
    for folder in read(host, HalfRestored, folders=[str(folder) for folder in folders.values()]):
        yield command(fenced(archive.heal(PurePosixPath(folder)), fence))
    wrong = different(manifest, folders)
    if not wrong and not missing:
        host.noop("every volume has its known-good digest")
    for key in wrong:
        text = archive.unpack(snapshot / f"{key}.tar.zst", folders[key], manifest.volumes[key].digest)
        yield command(fenced(text, fence), timeout=6 * 3600)
    if wrong and (still := different(manifest, folders)):
        raise SnapshotBroken(
            f"after the restore {', '.join(manifest.volumes[k].volume for k in still)} still differs from known-good",
            hint="something writes to the volume; look for containers that mount it",
        )


def different(manifest: Manifest, folders: Mapping[str, PurePosixPath]) -> list[str]:
    """Return the keys of the volumes whose digest is not the manifest's, taken now."""
    keys = sorted(folders)
    digests = read(host, Digests, folders=[str(folders[key]) for key in keys])
    return [k for k, digest in zip(keys, digests, strict=True) if digest != manifest.volumes[k].digest]


def fork_name(run_id: str, key: str) -> str:
    """Return the name of a run's fork of a volume."""
    return f"ccci-{run_id}-{key}"


def scratch_name(run_id: str) -> str:
    """Return the name of the volume that holds what a run's forks differ in."""
    return f"ccci-{run_id}"


_PREPARE = """
set -e; cd "$1"; shift
for pair; do key=${pair%%=*}; low=${pair#*=}; mkdir -p "$key/up" "$key/work"
chown --reference="$low" "$key/up"; chmod --reference="$low" "$key/up"; done
"""
_PROBE = """
set -e; cd "$1"; mkdir -p probe/low probe/up probe/work probe/at; trap 'rm -rf probe' EXIT
mount -t overlay overlay -o lowerdir=probe/low,upperdir=probe/up,workdir=probe/work probe/at; umount probe/at
"""


@operation(is_idempotent=False, idempotent_notice="a probe is a probe: it mounts and unmounts each time")
def probe_overlay(run_id: str, *, labels: Mapping[str, str], fence: Fence | None = None) -> Commands:
    """Make the run's scratch volume and mount an overlay in it once: fails where that cannot be.

    + run_id: the run's
    + labels: labels of the scratch volume
    + fence: only while this run owns the app
    """
    name = scratch_name(run_id)
    if name not in read(host, Volumes):
        yield command(fenced(docker.volume_create(name, labels=labels), fence))
    where = data_of(read(host, Volumes)[name])
    yield command(fenced(argv("sh", "-c", _PROBE, "-", where), fence), timeout=20)


@operation()
def fork_volumes(
    volumes: Mapping[str, str], *, run_id: str, labels: Mapping[str, str], fence: Fence | None = None
) -> Commands:
    """Make copy-on-write forks: volumes that read from these and write elsewhere.

    A fork is a volume of docker's `local` driver with type=overlay. The upper directory gets the
    owner and mode of the lower one, since a merged root shows the upper's.

    + volumes: names of the volumes to fork, by key
    + run_id: the run's; its scratch volume must exist (`probe_overlay`)
    + labels: labels of the forks
    + fence: only while this run owns the app
    """
    known = read(host, Volumes)
    todo = {k: v for k, v in volumes.items() if fork_name(run_id, k) not in known}
    if not todo:
        host.noop("the forks are there")
        return
    scratch = data_of(known[scratch_name(run_id)])
    pairs = [f"{key}={data_of(known[name])}" for key, name in sorted(todo.items())]
    texts = [fenced(argv("sh", "-c", _PREPARE, "-", scratch, *pairs), fence)]
    for key, name in sorted(todo.items()):
        mount = f"lowerdir={known[name].mountpoint},upperdir={scratch}/{key}/up,workdir={scratch}/{key}/work"
        options = {"type": "overlay", "device": "overlay", "o": mount}
        texts.append(fenced(docker.volume_create(fork_name(run_id, key), labels=labels, options=options), fence))
    yield command(all_of(*texts))


_REMOVE = 'i=0; until docker volume rm "$@"; do i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done'


@operation()
def remove_volumes(names: Sequence[str], *, fence: Fence | None = None) -> Commands:
    """Remove volumes; those that are not there are no fault.

    Right after its tasks are gone a volume is in use for another moment, so this tries for ten seconds.

    + names: volume names
    + fence: only while this run owns the app
    """
    known = read(host, Volumes)
    there = [name for name in names if name in known]
    if not there:
        host.noop("no such volume")
        return
    for name in there:
        yield command(fenced(argv("sh", "-c", _REMOVE, "-", name), fence), timeout=120)
