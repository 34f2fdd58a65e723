"""Every recipe, before its own tests have their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App


def test_still_serves(app: App, run: TestContext) -> None:
    """The health path answers as promised."""
    answer = app.get(run.health_path, allow_redirects=False)
    assert answer.status_code in run.health_status, f"{answer.url} answers {answer.status_code}"


def test_no_task_has_died(app: App) -> None:
    """No task of the present deployment has failed since it was healthy."""
    services = app.swarm()["services"]
    assert services
    for name, service in services.items():
        assert not service["died"], f"{name}: {service['died']}"
