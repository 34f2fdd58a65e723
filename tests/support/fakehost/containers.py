"""What runs in the fake's containers: real processes in a root of their own, with the volumes mounted for real."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

VOLUMES = Path("/var/lib/docker/volumes")
ROOTS = Path("/run/containers")
NGINX = "/usr/share/nginx/html"
# The machine's own programs over an empty layer: what the container writes outside its volumes is thrown away.
_ROOT = """
set -e; mount -t tmpfs tmpfs "$1"; mkdir "$1/up" "$1/work" "$1/at"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/at"; cd "$1/at"; shift
mount --bind /dev dev; mount --bind /proc proc; mkdir -p usr/local/bin run/secrets
printf '#!/bin/sh\\nexec sleep 1000000\\n' >usr/local/bin/nginx; chmod 755 usr/local/bin/nginx
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p ".$2"; else mkdir -p "$(dirname ".$2")"; : >".$2"; fi
  mount --bind "$1" ".$2"; shift 2
done
shift; exec env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin chroot . "$@"
"""


def data_of(volume: dict[str, Any]) -> Path:
    """Return where a volume's data are seen."""
    name: str = volume["Name"]
    return VOLUMES / name / "_data"


def mount(volume: dict[str, Any]) -> None:
    """Mount a volume that has options; raises CalledProcessError."""
    options = volume.get("Options") or {}
    if options and not _mounted(data_of(volume)):
        words = ["mount", "-t", options["type"], options["device"], "-o", options["o"], str(data_of(volume))]
        subprocess.run(words, check=True, capture_output=True)


def unmount(volume: dict[str, Any]) -> None:
    """Unmount it again."""
    if volume.get("Options") and _mounted(data_of(volume)):
        subprocess.run(["/usr/bin/umount", str(data_of(volume))], check=True, capture_output=True)


def _mounted(path: Path) -> bool:
    return any(line.split()[4] == str(path) for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines())


def command(task: dict[str, Any], binds: list[tuple[str, str]], words: list[str]) -> list[str]:
    """Return the words that run a command in a task's container."""
    root = ROOTS / task["ID"]
    root.mkdir(parents=True, exist_ok=True)
    pairs = [word for bind in binds for word in bind]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ROOT, "-", str(root), *pairs, "--", *words]


def forget(task: dict[str, Any]) -> None:
    """Remove what a container needed."""
    shutil.rmtree(ROOTS / task["ID"], ignore_errors=True)


def first_content(volume: Path, target: str) -> None:
    """Fill an empty volume with what the image has there, as docker does."""
    if target == NGINX and not any(volume.iterdir()):
        (volume / "index.html").write_text("<h1>It works</h1>\n")
        (volume / "50x.html").write_text("<h1>It does not</h1>\n")
