"""The image archives of the lab."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from ccci.lab import archive

if TYPE_CHECKING:
    from pathlib import Path


def rootfs(path: Path, content: bytes = b"hello") -> Path:
    """The tar of a tree with one file."""
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("greeting")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return path


def read(path: Path) -> dict[str, bytes]:
    """The files of a tar."""
    found = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file:
                found[member.name] = file.read()
    return found


def test_layer_is_named_by_its_own_digest(tmp_path: Path) -> None:
    """The archive's configuration names the layer by the digest of its bytes, which `docker load` checks."""
    tar = rootfs(tmp_path / "rootfs.tar")
    archive.write(tar, "greeting:1", {"Cmd": ["/greeting"]}, tmp_path / "image.tar")
    files = read(tmp_path / "image.tar")
    [manifest] = json.loads(files["manifest.json"])
    description = json.loads(files[manifest["Config"]])
    digest = hashlib.sha256(tar.read_bytes()).hexdigest()
    assert description["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert files[manifest["Layers"][0]] == tar.read_bytes()
    assert manifest["RepoTags"] == ["greeting:1"]
    assert description["config"] == {"Cmd": ["/greeting"]}


def test_same_content_same_bytes(tmp_path: Path) -> None:
    """Two archives of the same content are equal, so an image has one id in all labs."""
    tar = rootfs(tmp_path / "rootfs.tar")
    for name in ("one.tar", "two.tar"):
        archive.write(tar, "greeting:1", {"Env": ["A=b"]}, tmp_path / name)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_nothing_half_written_has_the_final_name(tmp_path: Path) -> None:
    """Writing leaves the archive alone in its folder: no part file that a later run could take for it."""
    archive.write(rootfs(tmp_path / "rootfs.tar"), "greeting:1", {}, tmp_path / "image.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar", "rootfs.tar"]
