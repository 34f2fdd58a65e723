"""Every recipe that is backed up: that disturbed nobody. What was saved is looked at before these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App


def test_serves_after_the_backup(app: App, run: TestContext) -> None:
    """The health path answers as promised after the backup and its hooks."""
    answer = app.get(run.health_path, allow_redirects=False)
    assert answer.status_code in run.health_status, f"{answer.url} answers {answer.status_code}"
