"""Write an image archive that `docker load` reads, from the tar of a root file system."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CREATED = "2026-01-01T00:00:00Z"  # fixed, so that the same content has the same image id in every lab
CHUNK = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(rootfs: Path, reference: str, config: Mapping[str, Any], target: Path) -> None:
    """Write the archive of an image with one layer.

    Args:
        rootfs: the tar of its files, uncompressed.
        reference: its name and tag.
        config: the container configuration of the image specification (Cmd, Entrypoint, Env …).
        target: the archive, replaced whole.
    """
    digest = _sha256(rootfs)
    description = {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": CREATED,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "created_by": "ccci lab"}],
    }
    body = json.dumps(description, sort_keys=True).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    part = target.with_suffix(".part")
    with tarfile.open(part, "w") as out:
        _add(out, name, body)
        _add(out, "manifest.json", json.dumps(manifest).encode())
        info = tarfile.TarInfo(f"{digest}/layer.tar")
        info.size = rootfs.stat().st_size
        with rootfs.open("rb") as layer:
            out.addfile(info, layer)
    part.replace(target)


def _add(out: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    out.addfile(info, io.BytesIO(body))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
