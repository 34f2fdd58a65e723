"""Run on a host by its own Python, whatever host: prints all that must hold when nothing runs, in a fixed form.

Argument: a text that all names of the recipe in question hold, or nothing for the whole host. Left out: times, logs,
the files of locks, and ids. Needs nothing but the standard library.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

WARM = Path("/var/lib/ci-warm")
TAG = sys.argv[1] if len(sys.argv) > 1 else ""
LOCK_FILES = ("lock", "work.lock", "holder", "holder.pid", "owner", "released", "claim", "proven", "proven.new")
_TAR = (
    "tar", "--create", "--sort=name", "--format=posix", "--numeric-owner", "--acls", "--xattrs", "--xattrs-include=*",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", "--warning=no-file-ignored",
)  # fmt: skip


def sh(*words: str) -> list[str]:
    """Return what a command prints, line by line; nothing if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def api(path: str) -> Any:
    """Ask Docker."""
    link = http.client.HTTPConnection("docker")
    link.sock = socket.socket(socket.AF_UNIX)
    link.sock.connect("/var/run/docker.sock")
    link.request("GET", path)
    return json.loads(link.getresponse().read())


def docker() -> list[str]:
    """Return what Docker has."""
    found = [
        f"service {s['Spec']['Name']} {s['Spec']['TaskTemplate']['ContainerSpec']['Image']}" for s in api("/services")
    ]
    found += [f"volume {v['Name']}" for v in api("/volumes")["Volumes"] or []]
    found += [f"{kind} {item['Spec']['Name']}" for kind in ("secrets", "configs") for item in api(f"/{kind}")]
    found += [f"network {n['Name']}" for n in api("/networks")]
    containers = api("/containers/json?all=true")
    found += sorted({f"container {c['Labels'].get('com.docker.stack.namespace')} {c['State']}" for c in containers})
    mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    return found + [f"mounted {line.split()[4]}" for line in mounts if "/docker/volumes/" in line.split()[4]]


def files() -> list[str]:
    """Return ccci's own files, and the text of those that say what is trusted."""
    found = []
    for folder, names, texts in os.walk(WARM):
        if Path(folder) == WARM:
            names[:] = [name for name in names if name not in ("runs", "alerts")]
        there = [Path(folder) / name for name in texts if name not in LOCK_FILES]
        found += [f"file {path}" for path in there]
        if "/cold/" in folder or "/scratch/" in folder or "/leases/" in folder:
            found.append(f"folder {folder}")
    for name in ("canonical.json", "last_good.json"):
        for path in WARM.glob(f"*/{name}"):
            data = json.loads(path.read_text("utf-8"))
            found.append(f"{path} {json.dumps({k: v for k, v in data.items() if k != 'updated'}, sort_keys=True)}")
    return found


def data() -> list[str]:
    """Return the digest of every volume, and of the content of every archive."""
    found = []
    for volume in api("/volumes")["Volumes"] or []:
        if TAG in volume["Name"]:
            tar = subprocess.run([*_TAR, "-C", volume["Mountpoint"], "."], capture_output=True, check=False).stdout
            found.append(f"data {volume['Name']} {_sha256(tar)}")
    for archive in WARM.glob("*/snapshot*/*.zst"):
        if TAG in str(archive):
            plain = subprocess.run(["/usr/bin/zstd", "-dc", str(archive)], capture_output=True, check=False).stdout
            found.append(f"archive {archive} {_sha256(plain)}")
    return found


def _sha256(content: bytes) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(content).hexdigest()


def rest() -> list[str]:
    """Return worktrees, env files, and locks that somebody holds."""
    found = []
    for clone in Path("/root/.abra/recipes").glob("*/.git"):
        lines = sh("git", "-C", str(clone.parent), "worktree", "list")[1:]
        found += [f"worktree {clone.parent.name} {line.split()[0]}" for line in lines]
    for env in Path("/root/.abra/servers").glob("*/*.env"):
        found.append(f"env {env.name} {_sha256(env.read_bytes())}")
    for lock in [*WARM.glob("*/lock"), *WARM.glob("cold/*/lock"), *WARM.glob("*/leases/*/lock")]:
        if subprocess.run(["/usr/bin/flock", "-n", str(lock), "true"], check=False).returncode:
            found.append(f"held {lock}")
    processes = [line for line in sh("ps", "-eo", "args") if "ccci-lock" in line and "ps -eo" not in line]
    return found + [f"holder {line}" for line in processes]


def main() -> None:
    """Print it all, sorted."""
    lines = sorted({*docker(), *files(), *data(), *rest()})
    sys.stdout.write("\n".join(line for line in lines if TAG in line) + "\n")


if __name__ == "__main__":
    main()
