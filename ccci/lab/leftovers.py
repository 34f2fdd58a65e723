"""What a Docker engine changes in this machine's kernel, remembered before it starts and undone after it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ccci.lab import process

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
BRIDGE = "docker0"
TABLES = ("filter", "nat")
OF_DOCKER = ("DOCKER", BRIDGE)


def remember(path: Path) -> None:
    """Write down how things are before the first engine of this machine starts.

    Args:
        path: where; nothing is written where Docker has been at work already.
    """
    path.unlink(missing_ok=True)
    rules = _rules("filter")
    if Path(f"/sys/class/net/{BRIDGE}").exists() or any("DOCKER" in line for line in rules):
        return
    policy = next((line.split()[1] for line in rules if line.startswith(":FORWARD ")), "ACCEPT")
    path.write_text(json.dumps({"policy": policy, "forwarding": FORWARDING.read_text().strip()}))


def undo(path: Path, mounts_below: tuple[Path, ...]) -> None:
    """Remove the mounts of an engine that has ended and, if it was the first, its bridge and rules.

    Args:
        path: what `remember` wrote, or did not.
        mounts_below: the folders of the engine.

    Side effects: mounts, one bridge, firewall rules and the forwarding switch of this machine.
    """
    below = tuple(f"{folder}/" for folder in mounts_below)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        point = line.split()[1]
        if point.startswith(below):
            process.succeeds(["umount", point])
    if not path.exists():
        return
    before = json.loads(path.read_text())
    process.succeeds(["ip", "link", "delete", BRIDGE])
    for table in TABLES:
        kept = without_docker(_rules(table), before["policy"] if table == "filter" else None)
        process.run(["iptables-restore"], what="removing rules", stdin="\n".join([*kept, ""]).encode())
    if before["forwarding"] == "0":
        FORWARDING.write_text("0")
    path.unlink()


def without_docker(rules: list[str], policy: str | None) -> list[str]:
    """The rules of a table without those of Docker; everybody else's stay.

    Args:
        rules: lines as iptables-save writes them.
        policy: what becomes of forwarded packets that no rule is about, or None where there is no such chain.
    """
    kept = [line for line in rules if not any(word in line for word in OF_DOCKER)]
    if policy is None:
        return kept
    head = ":FORWARD "
    return [f"{head}{policy} [0:0]" if line.startswith(head) else line for line in kept]


def _rules(table: str) -> list[str]:
    if shutil.which("iptables-save") is None:
        return []
    saved = process.run(["iptables-save", "--table", table], what="reading the firewall's rules")
    return [line for line in saved.splitlines() if not line.startswith("#")]
