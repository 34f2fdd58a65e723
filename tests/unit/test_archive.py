"""Snapshots in real folders: the digest sees every change, and a broken archive changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from ccci.commands import archive

_ACL = struct.pack("<I", 2) + b"".join(  # version 2, then tag, permissions and id of each entry
    struct.pack("<HHI", tag, bits, who)
    for tag, bits, who in [(1, 6, 2**32 - 1), (2, 4, 1234), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)]
)
ODD = ["-rf", "a b", "it's", 'qu"ote', "new\nline", "$(id)", "*", "ünï", "~", ".hidden", "x" * 200, "back\\slash"]


def shell(text: str) -> subprocess.CompletedProcess[str]:
    """Run shell text as a host would."""
    return subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, check=False, timeout=60)


def digest(folder: Path) -> str:
    """Return a folder's digest."""
    done = shell(archive.digest(PurePosixPath(folder)))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pack(folder: Path, to: Path) -> str:
    """Pack a folder and return the digest that was printed twice, once while writing and once while reading back."""
    done = shell(archive.pack(PurePosixPath(folder), PurePosixPath(to)))
    assert done.returncode == 0, done.stderr
    first, second, size = done.stdout.split()
    assert first == second
    assert int(size) == to.stat().st_size
    return first


def unpack(packed: Path, folder: Path, sha256: str) -> subprocess.CompletedProcess[str]:
    """Replace a folder by what an archive holds."""
    return shell(archive.unpack(PurePosixPath(packed), PurePosixPath(folder), sha256))


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Make a folder that has one of everything that a volume may hold; it needs root, as a host does."""
    assert os.geteuid() == 0, "the snapshot tests set owners and ACLs: run them as root"
    folder = tmp_path / "the volume" / "_data"
    folder.mkdir(parents=True)
    for number, name in enumerate(ODD):
        (folder / name).write_bytes(bytes([number]) * number)
    (folder / "empty").mkdir(mode=0o2750)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_text("text")
    os.link(folder / "a b", folder / "deep" / "hard")
    (folder / "soft").symlink_to("deep/er/file")
    (folder / "dangling").symlink_to("/nowhere/at all")
    os.mkfifo(folder / "pipe")
    os.setxattr(folder / "it's", "user.note", b"\0\xff text")
    os.setxattr(folder / "~", "trusted.overlay.opaque", b"y")
    os.setxattr(folder / "*", "system.posix_acl_access", _ACL)
    os.chown(folder / ".hidden", 999, 998)
    os.lchown(folder / "soft", 70, 70)
    (folder / "ünï").chmod(0o4711)
    with (folder / "sparse").open("wb") as sparse:
        sparse.seek(5_000_000)
        sparse.write(b"end")
    os.utime(folder / "empty", ns=(1, 1_600_000_000_123_456_789))
    os.utime(folder, ns=(1, 1_500_000_000_987_654_321))
    return folder


def test_what_was_packed_comes_back_the_same(volume: Path, tmp_path: Path) -> None:
    """Odd names, links, owners, modes, attributes, ACLs, times to the nanosecond and sparse files all come back."""
    before, packed = digest(volume), tmp_path / "it's.tar.zst"
    assert pack(volume, packed) == before
    assert shell(archive.archive_digest(PurePosixPath(packed))).stdout.strip() == before
    for folder in (volume, tmp_path / "made new"):
        assert unpack(packed, folder, before).returncode == 0
        assert digest(folder) == before
        assert (folder / "a b").stat().st_ino == (folder / "deep" / "hard").stat().st_ino
        assert (folder / "empty").stat().st_mtime_ns == 1_600_000_000_123_456_789
        assert folder.stat().st_mtime_ns == 1_500_000_000_987_654_321
        assert os.getxattr(folder / "*", "system.posix_acl_access") == _ACL
        assert os.getxattr(folder / "~", "trusted.overlay.opaque") == b"y"
        assert ((folder / "ünï").stat().st_mode & 0o7777, (folder / ".hidden").stat().st_uid) == (0o4711, 999)
    assert [p.name for p in volume.parent.iterdir()] == ["_data"]


def test_the_digest_does_not_depend_on_the_order_on_disk(volume: Path, tmp_path: Path) -> None:
    """A copy whose entries were made in another order has the same digest, and so has the same folder read twice."""
    before = digest(volume)
    copy = tmp_path / "copy"
    subprocess.run(["/bin/cp", "-a", volume, copy], check=True)
    names = [p for p in copy.iterdir() if p.is_file() and not p.is_symlink()]
    random.Random(1).shuffle(names)  # noqa: S311 - an order, no secret
    for path in names:
        path.rename(copy / "moved aside")
        (copy / "moved aside").rename(path)
    shutil.copystat(volume, copy)
    assert digest(copy) == before
    for path in volume.rglob("*"):
        if path.is_file():
            path.read_bytes()  # an access time is no change
    assert digest(volume) == before


def _same_time(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file in a way that leaves its and its folder's times alone."""
    times = {p: p.stat().st_mtime_ns for p in (path, path.parent)}
    change(path)
    for place, when in times.items():
        if place.exists():
            os.utime(place, ns=(when, when))


def _become_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("deep")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content of one byte": lambda p: p.write_bytes(b"\x02"),
    "length": lambda p: p.write_bytes(p.read_bytes() + b"\0"),
    "mode": lambda p: p.chmod(0o640),
    "setuid": lambda p: p.chmod(0o4644),
    "owner": lambda p: os.chown(p, 1, -1),
    "group": lambda p: os.chown(p, -1, 1),
    "attribute": lambda p: os.setxattr(p, "user.x", b"1"),
    "trusted attribute": lambda p: os.setxattr(p, "trusted.x", b"1"),
    "acl": lambda p: os.setxattr(p, "system.posix_acl_access", _ACL),
    "name": lambda p: p.rename(p.with_name("other")),
    "gone": lambda p: p.unlink(),
    "one more": lambda p: p.with_name("more").touch(),
    "one more folder": lambda p: p.with_name("more").mkdir(),
    "link": _become_a_link,
    "hard link": lambda p: os.link(p, p.with_name("again")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_one_change_changes_the_digest(volume: Path, name: str) -> None:
    """Each kind of change shows, also where times were put back."""
    before = digest(volume)
    _same_time(volume / "it's", CHANGES[name])
    assert digest(volume) != before


def test_a_nanosecond_changes_the_digest(volume: Path) -> None:
    """The time of a change counts to the nanosecond, of files and of folders."""
    before = digest(volume)
    for path in (volume / "deep" / "er" / "file", volume / "empty"):
        when = path.stat().st_mtime_ns
        os.utime(path, ns=(1, when + 1))
        assert digest(volume) != before
        os.utime(path, ns=(1, when))
    assert digest(volume) == before


def test_sockets_are_left_out_without_a_fault(volume: Path) -> None:
    """A socket that a dead database left behind is no data and breaks no snapshot."""
    before = digest(volume)
    times = volume.stat().st_mtime_ns
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(volume / "sock"))
    os.utime(volume, ns=(1, times))
    assert digest(volume) == before


def _cut(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[:-40])


def _flip(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    for at in range(len(data) // 3, len(data) // 3 + 64):  # one bit alone may be padding, which changes no data
        data[at] ^= 0xFF
    packed.write_bytes(data)


def _empty(packed: Path) -> None:
    packed.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _flip, _empty, Path.unlink])
def test_a_broken_archive_changes_nothing(volume: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A cut, flipped, empty or missing archive is an error, and the folder stays as it was."""
    packed = tmp_path / "a.tar.zst"
    before = pack(volume, packed)
    damage(packed)
    assert unpack(packed, volume, before).returncode != 0
    assert digest(volume) == before
    assert shell(archive.archive_digest(PurePosixPath(packed))).stdout.strip() != before


def test_a_whole_archive_of_other_data_changes_nothing(volume: Path, tmp_path: Path) -> None:
    """An archive that is whole but not the one that the manifest names is refused with exit code 65."""
    before, other, packed = digest(volume), tmp_path / "other", tmp_path / "a.tar.zst"
    other.mkdir()
    pack(other, packed)
    done = unpack(packed, volume, before)
    assert done.returncode == 65
    assert "archive has sha256" in done.stderr
    assert digest(volume) == before
    assert [p.name for p in volume.parent.iterdir()] == ["_data"]


@pytest.mark.parametrize("stage", ["unpacking", "between the renames", "before the old is removed"])
def test_an_interrupted_unpack_can_be_repeated(volume: Path, tmp_path: Path, stage: str) -> None:
    """Whatever instant a crash came at, the same command afterwards gives the whole data and leaves nothing beside."""
    packed = tmp_path / "a.tar.zst"
    want = pack(volume, packed)
    new, old = Path(f"{volume}.ccci-new"), Path(f"{volume}.ccci-old")
    (volume / "written by a run").touch()
    if stage == "unpacking":
        new.mkdir()
        (new / "half").touch()
    elif stage == "between the renames":
        volume.rename(old)
        new.mkdir()
    else:
        old.mkdir()
        (old / "of before").touch()
    assert unpack(packed, volume, want).returncode == 0
    assert digest(volume) == want
    assert [p.name for p in volume.parent.iterdir()] == ["_data"]


def test_a_folder_that_cannot_be_read_is_no_digest(tmp_path: Path) -> None:
    """No folder gives an error, never the digest of nothing, and no archive that looks whole."""
    assert shell(archive.digest(PurePosixPath(tmp_path / "none"))).returncode != 0
    assert shell(archive.pack(PurePosixPath(tmp_path / "none"), PurePosixPath(tmp_path / "a"))).returncode != 0


def test_changed_since_sees_content_and_attributes(volume: Path, tmp_path: Path) -> None:
    """Nothing is printed while nothing changed; a write or a mode after the mark is seen, old times or not."""
    mark = tmp_path / "mark"
    mark.touch()
    look = archive.changed_since(PurePosixPath(volume), PurePosixPath(mark))
    assert shell(look).stdout == ""
    _same_time(volume / "a b", lambda p: p.chmod(0o600))
    assert shell(look).stdout != ""
