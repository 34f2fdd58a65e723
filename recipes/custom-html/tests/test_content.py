"""What custom-html promises beyond serving: content is kept and served as it is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccci.testing.plugin import App

ROOT = "/usr/share/nginx/html"


def test_a_new_page_is_served(app: App) -> None:
    """A file put in the content volume is what visitors get, to the byte."""
    name, text = f"ccci-{uuid.uuid4().hex}.html", f"<p>{uuid.uuid4()} é ✓</p>\n"
    app.write_file(f"{ROOT}/{name}", text)
    try:
        answer = app.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.content == text.encode()
    finally:
        app.exec("rm", f"{ROOT}/{name}")


def test_a_missing_page_is_404(app: App) -> None:
    """A page that does not exist is said not to exist, so 200 means something."""
    assert app.get(f"/{uuid.uuid4().hex}.html").status_code == 404
