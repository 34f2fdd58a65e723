"""The systemd units that run ccci on a host, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

PROGRAM = "/opt/ccci/bin/ccci"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDER = "/etc/systemd/system"

_SERVICE = """\
# Written by `ccci host install`; taken away by `ccci host uninstall`.
[Unit]
Description={about}
After={after}
Wants=network-online.target
StartLimitIntervalSec=3600
StartLimitBurst=3

[Service]
Type=oneshot
ExecStart={program} {words}
Environment=PATH={path}
Environment=LANG=C.UTF-8
# A release that was rolled back is no fault of this host: an alert says so, and the old one serves.
SuccessExitStatus=1
TimeoutStartSec={limit}
TimeoutStopSec=15min
KillMode=mixed
StandardOutput=journal
StandardError=journal
SyslogIdentifier={name}
{more}"""
_LIMIT = "2h"
_NIGHT_LIMIT = "26h"  # more than any night: it has deadlines of its own, and cleans up when they are over
_STAYS = """\
RemainAfterExit=yes
Restart=on-failure
RestartSec=60

[Install]
WantedBy=multi-user.target
"""
_TIMER = """\
# Written by `ccci host install`; taken away by `ccci host uninstall`.
[Unit]
Description={about}

[Timer]
{when}
Unit={name}.service

[Install]
WantedBy=timers.target
"""


@attrs.frozen
class UnitFile:
    """A unit: its file's name, its text, and whether it is enabled and started."""

    name: str
    text: str
    started: bool


def all_units(providers: Sequence[str]) -> list[UnitFile]:
    """Return every unit of a host, in the order in which they are started.

    Args:
        providers: recipes that are kept up, each after those that it needs.
    """
    made = []
    before: list[str] = []
    for provider in providers:
        made.append(_kept_up(provider, before))
        before.append(f"warm-{provider}.service")
    for hour, provider in enumerate(providers, 3):
        when = f"OnCalendar=*-*-* {hour:02}:30:00\nRandomizedDelaySec=10min\nPersistent=true"
        made += _timed(f"ccci-reconcile-{provider}", f"play reconcile_{provider}", f"bring {provider} up to date", when)
    # before the reconciles' own hours: it reconciles first, and the rest of the night is for the recipes
    when = "OnCalendar=*-*-* 01:00:00\nRandomizedDelaySec=10min\nPersistent=true"
    made += _timed("ccci-nightly", "play nightly", "test every recipe and try every snapshot", when, limit=_NIGHT_LIMIT)
    made += _timed("ccci-alerts", "play relay_alerts", "send alerts", "OnBootSec=2min\nOnUnitInactiveSec=5min")
    made += _timed("ccci-recover", "play recover", "clear up after dead runs", "OnBootSec=5min\nOnUnitInactiveSec=1h")
    return made


def _kept_up(provider: str, before: Sequence[str]) -> UnitFile:
    name = f"warm-{provider}"
    about = f"ccci: {provider}, up and healthy"
    text = _service(name, f"play reconcile_{provider}", about, more=_STAYS, before=before)
    return UnitFile(f"{name}.service", text, started=True)


def _timed(name: str, words: str, about: str, when: str, *, limit: str = _LIMIT) -> list[UnitFile]:
    service = _service(name, words, f"ccci: {about}", limit=limit)
    timer = _TIMER.format(about=f"ccci: {about}, by the clock", when=when, name=name)
    return [UnitFile(f"{name}.service", service, started=False), UnitFile(f"{name}.timer", timer, started=True)]


def _service(
    name: str, words: str, about: str, *, more: str = "", before: Sequence[str] = (), limit: str = _LIMIT
) -> str:
    after = " ".join(["network-online.target", "docker.service", "ssh.service", "sshd.service", *before])
    return _SERVICE.format(
        name=name, words=words, about=about, more=more, after=after, limit=limit, program=PROGRAM, path=PATH
    )
