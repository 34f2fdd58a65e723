"""Snapshots and restores beside plain tar, and forks of volumes, by size."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from bench.figures import Section, Series, ratio
from bench.target import SCRATCH, Target
from ccci.commands import archive, docker
from ccci.commands.docker import RUN_LABEL
from ccci.commands.shell import argv, quote
from ccci.facts.docker import Volumes
from ccci.model.canonical import Manifest, VolumeRecord
from ccci.operations.volume import (
    fork_name,
    fork_volumes,
    probe_overlay,
    remove_volumes,
    restore_volumes,
    scratch_name,
    snapshot_volumes,
)

KEY = "data"
_HOW_ARCHIVES = """\
Volumes of mixed data: half of it incompressible (files of 4 MB), a quarter text (files of 4 MB), a quarter small files
of text (8 KB each: 3,125 of them in 100 MB). Everything is in the page cache, as it is after a run. Snapshot: the
operation `snapshot_volumes` (deterministic tar stream, sha256, zstd, read back and hashed again, synced), beside
`tar -cf` to the same disk and `sync` of that file. Restore: the command that `restore_volumes` runs for a volume
(unpack beside it, hash on the way, swap, remove the old data), beside `tar -xf` into an empty folder; "restore with
proof" is the whole operation, which takes the volume's digest before and after. In turn; the ratios are of pairs."""
_HOW_FORKS = """\
Attach is `probe_overlay` and `fork_volumes`: one overlay is mounted and unmounted as a probe, and the fork is a volume
that containers can mount. Between attach and undo the fork is mounted and 1 MB is written to it. Undo is
`remove_volumes` of the fork and of the volume that holds what it differs in."""

_FILL = """
import os, random, sys
root, size = sys.argv[1], int(sys.argv[2]) * 10**6
rng = random.Random(size)
words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 11))) for _ in range(4000)]
text = " ".join(rng.choices(words, k=700000)).encode()
def files(folder, each, total, make):
    for i in range(max(total // each, 1)):
        path = os.path.join(root, folder, f"{i % 64:02d}")
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, f"{i:06d}"), "wb") as out:
            out.write(make(min(each, total)))
def prose(length):
    at = rng.randrange(len(text) - length) if length < len(text) else 0
    return text[at:at + length]
files("incompressible", 4 * 10**6, size // 2, rng.randbytes)
files("text", 4 * 10**6, size // 4, prose)
files("small", 8000, size // 4, prose)
"""


def volume_of(megabytes: int) -> str:
    """Return the name of the benchmark's volume of a size."""
    return f"ccci-bench-{megabytes}"


def data_at(target: Target, volume: str) -> PurePosixPath:
    """Return where a volume's data lie on the host."""
    inspect = quote(argv("docker", "volume", "inspect", "-f", "{{.Mountpoint}}", volume))
    return PurePosixPath(target.shell(inspect)[0])


def fill(target: Target, sizes: Sequence[int]) -> None:
    """Make the volumes and their data; what a benchmark that died has left goes first."""
    empty(target)
    for size in sizes:
        target.shell(quote(docker.volume_create(volume_of(size), labels={})))
        target.shell(quote(argv("python3", "-c", _FILL, data_at(target, volume_of(size)), size)))
    target.shell(f"sync -f {SCRATCH}")


def empty(target: Target) -> None:
    """Remove every volume of the benchmark, forks before what they are mounted from."""
    mine = [name for name in target.session.read(Volumes) if name.startswith("ccci-bench")]
    target.session.perform(remove_volumes, sorted(mine, reverse=True))


def _clock(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def archives(target: Target, sizes: Sequence[int], runs: int) -> Section:
    """Measure snapshots and restores of volumes of these sizes (MB)."""
    section = Section("Snapshots and restores", _HOW_ARCHIVES)
    for size in sizes:
        _archives_of(target, size, runs, section)
    return section


def _archives_of(target: Target, size: int, runs: int, section: Section) -> None:
    data = data_at(target, volume_of(size))
    megabytes = int(target.shell(f"du -sb --apparent-size {data} | cut -f1")[0]) / 1e6
    names = ("snapshot", "tar -cf", "restore", "tar -xf", "restore with proof")
    took = {name: Series(f"{name}, {size} MB") for name in names}
    packed = 0.0
    for _ in range(runs):
        packed = _turn(target, size, data, took).volumes[KEY].size / 1e6
    section.series += _rows(took, size, megabytes)
    section.notes.append(f"{size} MB: {megabytes:.0f} MB of content, of which the archive keeps {packed:.0f} MB.")


def _turn(target: Target, size: int, data: PurePosixPath, took: dict[str, Series]) -> Manifest:
    """Measure everything once; what is not measured, and what the disk still has to do, is done in between."""
    snapshot, tar, plain = SCRATCH / "snapshot", SCRATCH / "plain.tar", SCRATCH / "plain"
    perform, settle = target.session.perform, f"sync -f {SCRATCH}"
    target.shell(f"rm -rf {snapshot} {tar} {plain}; mkdir {plain}; {settle}")
    took["tar -cf"].values.append(target.timed(f"tar -cf {tar} -C {data} . && sync {tar}"))
    seconds, lines = _clock(
        lambda: target.session.perform_for_output(snapshot_volumes, {KEY: volume_of(size)}, into=snapshot)
    )
    took["snapshot"].values.append(seconds)
    manifest = _manifest(size, lines)
    target.shell(settle)
    took["tar -xf"].values.append(target.timed(f"tar -xf {tar} -C {plain}"))
    target.shell(f"rm -rf {plain}; touch {data}; {settle}")
    unpack = archive.unpack(snapshot / f"{KEY}.tar.zst", data, manifest.volumes[KEY].digest)
    took["restore"].values.append(target.timed(unpack))
    target.shell(f"touch {data}; {settle}")
    seconds, changed = _clock(lambda: perform(restore_volumes, manifest, snapshot=snapshot))
    took["restore with proof"].values.append(seconds)
    if not changed:
        raise AssertionError("the restore that was measured had nothing to do")
    return manifest


def _rows(took: dict[str, Series], size: int, megabytes: float) -> list[Series]:
    rates = [
        Series(f"{name}, {size} MB, throughput", "MB/s", None, [megabytes / v for v in took[name].values])
        for name in ("snapshot", "restore")
    ]
    return [
        took["snapshot"], took["tar -cf"],
        ratio(f"snapshot / tar, {size} MB", took["snapshot"], took["tar -cf"], aim=1.2),
        took["restore"], took["tar -xf"],
        ratio(f"restore / tar, {size} MB", took["restore"], took["tar -xf"], aim=1.2),
        took["restore with proof"],
        *rates,
    ]  # fmt: skip


def _manifest(size: int, lines: list[str]) -> Manifest:
    written, read_back, length = lines
    if written != read_back:
        raise AssertionError("the snapshot that was measured is broken")
    volumes = {KEY: VolumeRecord(volume_of(size), written, int(length))}
    return Manifest(Manifest.SCHEMA, "bench", "1.0.0+1", "0" * 40, "", volumes)


def forks(target: Target, sizes: Sequence[int], runs: int) -> Section:
    """Measure attach and undo of forks of volumes of these sizes (MB), in turn."""
    attach = {size: Series(f"attach, {size} MB", aim=0.5) for size in sizes}
    undo = {size: Series(f"undo, {size} MB", aim=0.5) for size in sizes}
    for turn in range(runs):
        for size in sizes:
            run_id = f"bench{turn}x{size}"
            labels = {RUN_LABEL: run_id}
            attach[size].values.append(_clock(lambda: _attach(target, size, run_id, labels))[0])  # noqa: B023 - at once
            _write(target, fork_name(run_id, KEY))
            names = [fork_name(run_id, KEY), scratch_name(run_id)]
            undo[size].values.append(_clock(lambda: target.session.perform(remove_volumes, names))[0])  # noqa: B023
    return Section("Forks", _HOW_FORKS, [*attach.values(), *undo.values()])


def _attach(target: Target, size: int, run_id: str, labels: dict[str, str]) -> None:
    target.session.perform(probe_overlay, run_id, labels=labels)
    target.session.perform(fork_volumes, {KEY: volume_of(size)}, run_id=run_id, labels=labels)


def _write(target: Target, fork: str) -> None:
    target.shell(
        f"o=$(docker volume inspect -f '{{{{.Options.o}}}}' {fork}); mkdir -p {SCRATCH}/at; "
        f'mount -t overlay -o "$o" overlay {SCRATCH}/at; head -c 1000000 /dev/urandom >{SCRATCH}/at/new; '
        f"umount {SCRATCH}/at"
    )
