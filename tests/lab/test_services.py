"""ccci on the host itself: its units keep providers up, and go without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.crash import own_lab
from tests.support.host import LabHost
from tests.support.provider import PATIENCE, Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.running import Done

RECIPES = Path(__file__).parents[2] / "recipes"
UNITS = {"warm-traefik.service", "warm-keycloak.service", "ccci-alerts.timer", "ccci-recover.timer"}
UNITS |= {"ccci-reconcile-traefik.timer", "ccci-reconcile-keycloak.timer"}
TRACES = "ls /etc/systemd/system /etc/systemd/system/*.wants; ls -d /opt/ccci /etc/ccci 2>/dev/null; cat /root/.ssh/*"


@pytest.fixture
def new_lab(tmp_path_factory: pytest.TempPathFactory, lab: LabHost) -> Iterator[LabHost]:
    """A lab on which nothing was installed yet."""
    with own_lab(lab, "s", tmp_path_factory.mktemp("s"), recipes="traefik,keycloak") as host:
        yield host


def host(provider: Provider, *words: str) -> Done:
    """Run a verb of `ccci host`."""
    return provider.start("host", *words).finish(PATIENCE)


def test_services_are_installed_work_and_go(new_lab: LabHost, tmp_path: Path) -> None:
    """Units and timers are active and the system is healthy; a timer's service works; uninstall leaves no trace.

    What they keep up runs on. A second install changes nothing.
    """
    provider = Provider(new_lab, "keycloak", f"warm-keycloak.{new_lab.settings['base_domain']}", RECIPES)
    assert provider.reconcile().code == 0
    before, tasks = new_lab.sh(f"{TRACES} || true"), provider.tasks()
    (addresses := tmp_path / "addresses").touch(0o600)
    installed = host(provider, "install", "--alerts", str(addresses))
    try:
        assert installed.code == 0, installed.all
        active = new_lab.sh(f"for unit in {' '.join(sorted(UNITS))}; do echo $unit $(systemctl is-active $unit); done")
        assert active.splitlines() == [f"{unit} active" for unit in sorted(UNITS)]
        assert new_lab.sh("systemctl is-system-running") == "running"
        assert new_lab.sh("systemctl is-enabled warm-keycloak.service") == "enabled"
        told = new_lab.sh("journalctl -u warm-keycloak.service -o cat")
        assert "RECONCILE RESULT: noop-healthy" in told
        new_lab.sh("systemctl start ccci-alerts.service ccci-recover.service")
        assert "no alert waits" in new_lab.sh("journalctl -u ccci-alerts.service -o cat")
        assert "nothing is stuck" in new_lab.sh("/opt/ccci/bin/ccci status")
        assert new_lab.sh("stat -c %a /etc/ccci/alerts /etc/ccci/id_ed25519").split() == ["600", "600"]
        status = host(provider, "status")
        assert (status.code, [unit for unit in UNITS if unit not in status.out]) == (0, []), status.all
        since = new_lab.sh("systemctl show -p ActiveEnterTimestamp warm-keycloak.service ccci-alerts.timer")
        again = host(provider, "install")
        assert (again.code, "sent" in again.out) == (0, False), again.all
        assert new_lab.sh("systemctl show -p ActiveEnterTimestamp warm-keycloak.service ccci-alerts.timer") == since
        assert new_lab.sh("stat -c %a /etc/ccci/alerts") == "600", "an install without --alerts keeps the addresses"
    finally:
        removed = host(provider, "uninstall", "--yes")
    assert removed.code == 0, removed.all
    assert new_lab.sh(f"{TRACES} || true") == before
    assert new_lab.sh("systemctl list-units --all --plain --no-legend 'ccci*' 'warm-*'") == ""
    assert new_lab.sh("systemctl is-system-running") == "running"
    assert provider.tasks() == tasks
    assert host(provider, "status").code == 3
