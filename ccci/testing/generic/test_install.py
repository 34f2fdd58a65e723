"""Every recipe, freshly installed: it stands, and it is really this app that answers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App


def test_every_service_has_converged(app: App) -> None:
    """Every service runs as many tasks as it should."""
    services = app.swarm()["services"]
    assert services
    for name, service in services.items():
        assert service["running"] == service["wanted"], f"{name} runs {service['running']} of {service['wanted']}"


def test_answers_over_verified_tls(app: App, run: TestContext) -> None:
    """The health path answers as promised, with a certificate that is valid for the app's real name."""
    answer = app.get(run.health_path, allow_redirects=False)
    assert answer.status_code in run.health_status, f"{answer.url} answers {answer.status_code}"


def test_is_not_the_proxys_fallback_page(app: App, http: requests.Session, run: TestContext) -> None:
    """What answers differs from what the proxy says for a name that no app has."""
    nobody = http.get(
        f"https://nobody-{uuid.uuid4().hex[:8]}.{app.domain.split('.', 1)[1]}{run.health_path}", timeout=10
    )
    answer = app.get(run.health_path, allow_redirects=False)
    assert (answer.status_code, answer.content) != (nobody.status_code, nobody.content)
