"""The report's pages in a real browser, with the worst that a recipe could print in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccci.model.run import Verdict
from ccci.report.site import write_site
from ccci.report.view import make_board
from tests.support.browsing import looked_at
from tests.support.running import Running, clean_environment, python_program
from tests.unit.test_report import HOSTILE, findings, result

READABLE = 4.5  # contrast of text, WCAG 2.2 level AA
RED = result(1, Verdict.FAILED, text=f"{HOSTILE} <img src=http://outside.invalid/x> {'wide' * 200}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_in_a_browser(tmp_path: Path, dark: bool) -> None:
    """On a phone and a desk pages fit, can be read and ask nothing outside; what was printed is only text."""
    site = tmp_path / "site"
    write_site(make_board([findings(RED, result(2), text=RED.reason)]), site)
    for look in looked_at(site, ["index.html", f"runs/{RED.run_id}.html"], [360, 1280], dark=dark, scratch=tmp_path):
        assert look.scroll == look.client == look.width, look
        assert look.foreign == 0, look
        assert look.dark is dark, look
        assert look.ratio >= READABLE, look
        assert RED.reason in look.text, look


def test_report_of_a_host_that_is_gone(tmp_path: Path) -> None:
    """A host that cannot be reached ends with exit code 3; the report says so, and has what this machine keeps."""
    (tmp_path / "ccci.toml").write_text(
        '[hosts.gone]\naddress = "127.0.0.1"\nport = 1\nbase_domain = "gone.example.com"\n', "utf-8"
    )
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "result.json").write_text("{}", "utf-8")
    env = {"CCCI_HOME": str(tmp_path), "CCCI_HOST": "gone", "CCCI_CONNECT_TIMEOUT": "3"}
    words = python_program("ccci", "report", "--out", "site")
    done = Running(words, clean_environment(env), tmp_path, None).finish()
    assert done.code == 3, done.all
    assert "host gone (127.0.0.1:1) cannot be reached" in done.stderr
    text = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert "gone could not be read." in text
    assert "the result of run broken" in text
