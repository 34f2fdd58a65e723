"""The host at a glance, for those who run it."""

from __future__ import annotations

import attrs

from ccci import paths
from ccci.engine.session import Session
from ccci.facts.docker import DockerEngine
from ccci.facts.system import DiskSpace
from ccci.facts.warm import File, Folder, Lock
from ccci.model.app import App
from ccci.model.canonical import Status
from ccci.steps.operator import Glance, list_canonicals
from ccci.steps.registry import read_journal

LOW_DISK = 0.10  # share of free space below which it is a trouble


@attrs.define
class Overview:
    """Lines that describe the host, and what somebody should look at."""

    lines: list[str] = attrs.field(factory=list)
    troubles: list[str] = attrs.field(factory=list)


def overview(session: Session) -> Overview:
    """Look at the host and say what runs, what is stuck and how full it is."""
    found = Overview()
    engine = session.read(DockerEngine)
    ipvs = "with IPVS" if engine.ipvs else "without IPVS (services use dnsrr)"
    found.lines.append(f"host {session.host_settings.name}: Docker {engine.version}, {ipvs}")
    if not engine.manager:
        found.troubles.append("the host is no Swarm manager: `docker swarm init`")
    disk = session.read(DiskSpace, path=engine.root)
    found.lines.append(f"disk: {disk.free / 1e9:.1f} GB of {disk.size / 1e9:.1f} GB free at {engine.root}")
    if disk.free < disk.size * LOW_DISK:
        found.troubles.append(f"the disk is nearly full: {disk.free / 1e9:.1f} GB left")
    glances, faults = list_canonicals(session)
    found.troubles += faults
    for glance in glances:
        _canonical(glance, found)
    alerts = [name for name in session.read(Folder, path=paths.ALERTS) if name.endswith(".json")]
    found.lines.append(f"alerts: {len(alerts)} wait")
    if alerts:
        found.troubles.append(f"{len(alerts)} alert(s) wait: `ccci alerts list`")
    for domain in session.read(Folder, path=paths.COLD):
        _cold(session, domain, found)
    return found


def audit_text(session: Session) -> str:
    """Return the host's audit log, the part that was put aside first; empty if there is none."""
    texts = [session.read(File, path=path) for path in (paths.AUDIT.with_name("audit.log.1"), paths.AUDIT)]
    return "\n".join(filter(None, texts))


def _canonical(glance: Glance, found: Overview) -> None:
    record = glance.record
    doing = f"run: {glance.holder}" if glance.holder is not None else record.status.value
    found.lines.append(f"canonical {record.recipe}: known-good {record.version}, {doing}")
    if glance.holder is not None:
        return
    if record.status is Status.DIRTY:
        found.troubles.append(
            f"{record.recipe} is dirty and no run holds it (run {record.run} died): the next run on it recovers it"
        )
    elif glance.running and record.status is Status.IDLE:
        found.troubles.append(f"{record.recipe} should be idle, but {', '.join(glance.running[:3])} exist")


def _cold(session: Session, domain: str, found: Overview) -> None:
    app = App("", domain, paths.COLD / domain)
    holder = session.read(Lock, home=app.home).holder
    if holder is not None:
        found.lines.append(f"cold app {domain}: {holder}")
        return
    journal = read_journal(session, app)
    run = journal.run_id if journal else "?"
    found.troubles.append(f"cold app {domain} is left over from run {run}: the next run tears it down")
