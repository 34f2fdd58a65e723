"""Backups: what labels mean, and how an archive is told from one that is cut short."""

from __future__ import annotations

import gzip
import subprocess
import time
from pathlib import Path, PurePosixPath

import pytest

from ccci.commands import backup
from ccci.errors import ComposeError
from ccci.model.backup import SavedPath, ServiceBackup, backups_of, script_of, strange_labels
from ccci.model.compose import Compose

DUMP = "-- MariaDB dump 10.19  Distrib 10.11\nCREATE TABLE a (b int);\n{}\n-- Dump completed on 2026-01-01  1:02:03\n"
POSTGRES = "--\n-- PostgreSQL database dump\n--\n{}\n--\n-- PostgreSQL database dump complete\n--\n"
ROWS = "INSERT INTO a VALUES (1);\n" * 2000


def compose(labels: str, volumes: str = "[data:/srv/data, more:/more]") -> Compose:
    """Return what a compose file with one service and these labels says."""
    text = f"""
version: "3.8"
services:
  app:
    image: nginx:1
    volumes: {volumes}
    deploy: {{labels: [{labels}]}}
volumes: {{data: , more: }}
"""
    return Compose.load([("compose.yml", text)], {})


def paths(labels: str, volumes: str = "[data:/srv/data, more:/more]") -> tuple[SavedPath, ...]:
    """Return what is saved of that service."""
    [found] = backups_of(compose(f'"backupbot.backup=true", {labels}', volumes))
    return found.paths


@pytest.mark.parametrize(
    ("labels", "saved"),
    [
        ("", ["/srv/data/.", "/more/."]),
        ('"backupbot.backup.volumes.more=false"', ["/srv/data/."]),
        ('"backupbot.backup.volumes.data.path=a, b/c"', ["/srv/data/a", "/srv/data/b/c", "/more/."]),
        ('"backupbot.backup.volumes.data.path=."', ["/srv/data/.", "/more/."]),
        ('"backupbot.backup.volumes.data=false", "backupbot.backup.volumes.more=false"', []),
        ('"backupbot.backup.path=/srv/data/x,/etc/y/"', ["/srv/data/x", "/etc/y"]),
    ],
)
def test_labels_say_what_is_saved(labels: str, saved: list[str]) -> None:
    """Whole volumes unless they are excluded or paths are named; the older label names paths in the container."""
    assert [f"{p.path}/." if p.whole else p.path for p in paths(labels)] == saved


def test_what_no_service_may_write_is_not_saved() -> None:
    """A mount that is read-only, a bind and a tmpfs hold nothing of the app's own."""
    mounts = "[data:/a:ro, /etc:/b, {type: tmpfs, target: /c}, more:/d]"
    assert paths("", mounts) == (SavedPath("/d", whole=True),)


@pytest.mark.parametrize("labels", ["", '"backupbot.backup=false"', '"backupbot.backup.pre-hook=true"'])
def test_without_the_label_nothing_is_backed_up(labels: str) -> None:
    """Only `backupbot.backup=true` makes a service one that is backed up."""
    assert backups_of(compose(labels)) == []


@pytest.mark.parametrize(
    "label",
    ["volumes.data.path=../x", "volumes.data.path=/etc", "volumes.data.path=a/../../data2", "path=etc", "path=/"],
)
def test_a_path_out_of_its_volume_is_refused(label: str) -> None:
    """A label cannot reach beyond its volume, nor take all of a container."""
    with pytest.raises(ComposeError) as caught:
        paths(f'"backupbot.backup.{label}"')
    assert f"backupbot.backup.{label.partition('=')[0]}" in caught.value.what
    assert caught.value.hint


def test_hooks_are_read_old_and_new() -> None:
    """Each hook arrives without the shell around it; the older `command` is the hook before a backup."""
    labels = (
        '"backupbot.backup=true", "backupbot.backup.pre-hook=sh -c \'a | b\'", "backupbot.backup.post-hook=c", '
        '"backupbot.restore.pre-hook=d", "backupbot.restore.post-hook=e"'
    )
    whole = (SavedPath("/srv/data", whole=True), SavedPath("/more", whole=True))
    assert backups_of(compose(labels)) == [ServiceBackup("app", whole, "a | b", "c", "d", "e")]
    assert backups_of(compose('"backupbot.backup=true", "backupbot.backup.command=old"'))[0].before == "old"


@pytest.mark.parametrize(
    ("hook", "script"),
    [
        ("sh -c 'a \"b\" | c'", 'a "b" | c'),
        ("/bin/bash -c 'x'", "x"),
        ("bash -c x y", "bash -c x y"),
        ("a 'b", "a 'b"),
        ("dump >x", "dump >x"),
    ],
)
def test_a_shell_around_a_hook_goes(hook: str, script: str) -> None:
    """Only `sh -c TEXT` and its like are unwrapped; everything else is shell text as it is."""
    assert script_of(hook) == script


def test_labels_of_no_volume_are_told() -> None:
    """A label of a volume that the service does not mount is most likely a mistake."""
    labels = '"backupbot.backup.volumes.data=false", "backupbot.backup.volumes.dada.path=x"'
    assert strange_labels(compose(labels)) == ["app: backupbot.backup.volumes.dada.path"]


def examined(tmp_path: Path, files: dict[str, bytes], *, named: bool = False, age: float = 0.0) -> list[str]:
    """Archive files as `docker cp` would, and return what looking at the archive prints."""
    folder, archive = tmp_path / "data", tmp_path / "x.tar.zst"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    folder.mkdir(exist_ok=True)
    subprocess.run(["/bin/tar", "--zstd", "-C", folder, "-cf", archive, "."], check=True)
    text = backup.examine(PurePosixPath(archive), named=named, since=time.time() - 60 + age)
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"data", "x.tar.zst", "x.tar.zst.sums"}
    return done.stdout.splitlines()


WHOLE = {
    "a.sql": DUMP.format(ROWS).encode(),
    "b.sql": POSTGRES.format(ROWS).encode(),
    "c.sql.gz": gzip.compress(DUMP.format(ROWS).encode()),
    "d.sql": b"SELECT 1;\n",
}
HALF = {
    "cut.sql": (DUMP.format(ROWS).encode()[:20000], "cut short"),
    "cut-pg.sql": (POSTGRES.format(ROWS).encode()[:20000], "cut short"),
    "cut-in.sql.gz": (gzip.compress(DUMP.format(ROWS).encode()[:20000]), "cut short"),
    "cut.sql.gz": (gzip.compress(DUMP.format(ROWS).encode())[:-20], "is damaged"),
    "empty.sql": (b"", "is empty"),
    "no.tar": (b"this is no tar at all" * 100, "is no whole tar"),
}


def test_whole_dumps_are_whole(tmp_path: Path) -> None:
    """Dumps that came to their end, packed or not, have no fault, and every file is counted."""
    assert examined(tmp_path, WHOLE) == [f"count: 4 {sum(map(len, WHOLE.values()))}"]


@pytest.mark.parametrize("name", HALF)
def test_half_a_dump_is_a_fault(tmp_path: Path, name: str) -> None:
    """A dump that is empty, cut short or damaged is found, and named."""
    content, says = HALF[name]
    count, fault = examined(tmp_path, {**WHOLE, name: content})
    assert count.startswith("count: 5 ")
    assert fault.startswith(f"fault: ./{name} ")
    assert says in fault


def test_a_named_file_is_looked_at_whatever_it_is_called(tmp_path: Path) -> None:
    """What a label names is a dump even if its name does not say so."""
    half = {"database": DUMP.format(ROWS).encode()[:20000]}
    assert "cut short" in examined(tmp_path, half, named=True)[1]


def test_files_from_before_the_hooks_are_nobodys_dumps(tmp_path: Path) -> None:
    """What lay in a volume before the hooks ran is its owner's, whatever it looks like."""
    assert examined(tmp_path, {"cut.sql": HALF["cut.sql"][0]}, age=120.0) == ["count: 1 20000"]


def test_an_archive_that_is_damaged_fails(tmp_path: Path) -> None:
    """An archive that cannot be read back is an error, not a backup of nothing."""
    archive = tmp_path / "x.tar.zst"
    archive.write_bytes(b"nothing of the kind")
    text = backup.examine(PurePosixPath(archive), named=False, since=0)
    assert subprocess.run(["/bin/sh", "-c", text], capture_output=True, check=False).returncode != 0
