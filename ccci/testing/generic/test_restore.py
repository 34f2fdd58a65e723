"""Every recipe, restored from its backup after its data were lost: it stands again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App


def test_every_service_runs_after_the_restore(app: App) -> None:
    """Every service runs as many tasks as it should."""
    services = app.swarm()["services"]
    assert services
    for name, service in services.items():
        assert service["running"] == service["wanted"], f"{name} runs {service['running']} of {service['wanted']}"


def test_serves_after_the_restore(app: App, run: TestContext) -> None:
    """The health path answers as promised after the restore."""
    answer = app.get(run.health_path, allow_redirects=False)
    assert answer.status_code in run.health_status, f"{answer.url} answers {answer.status_code}"
