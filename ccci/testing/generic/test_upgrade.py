"""Every recipe, upgraded in place: it stands again, and it is exactly the head that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App


def test_every_service_has_reconverged(app: App) -> None:
    """Every service runs as many tasks as it should, and Swarm neither paused nor undid an update."""
    services = app.swarm()["services"]
    assert services
    for name, service in services.items():
        assert service["running"] == service["wanted"], f"{name} runs {service['running']} of {service['wanted']}"
        assert service["update"] in ("", "completed"), f"{name}: the update is {service['update']}"


def test_moved_to_exactly_the_head(app: App, run: TestContext) -> None:
    """The labels of the running app name the head commit."""
    labels = app.swarm()["labels"]
    assert labels.get("ccci.commit") == run.commit
    if run.chaos:
        assert labels.get(f"coop-cloud.{app.stack}.chaos-version") == run.commit[:8]


def test_serves_after_the_upgrade(app: App, run: TestContext) -> None:
    """The health path answers as promised after the upgrade."""
    answer = app.get(run.health_path, allow_redirects=False)
    assert answer.status_code in run.health_status, f"{answer.url} answers {answer.status_code}"
