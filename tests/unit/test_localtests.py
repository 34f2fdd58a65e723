"""Tests that a pull request brings: which files they are, and which names are refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from ccci.commands.git import fetch_pull, pull_ref
from ccci.errors import SettingsError, UsageError
from ccci.model.localtests import MOST, find_tests
from ccci.settings import load


def test_only_the_folder_tests_comes_along() -> None:
    """What lies below `tests/` is taken with its helpers, by its path in there; nothing else is."""
    files = {"tests/test_a.py": b"a", "tests/deep/conftest.py": b"c", "compose.yml": b"x", "testsuite/test_b.py": b"b"}
    assert find_tests(files) == {PurePosixPath("test_a.py"): b"a", PurePosixPath("deep/conftest.py"): b"c"}


@pytest.mark.parametrize("files", [{}, {"tests/README": b""}, {"tests/a_test.py": b""}, {"test_a.py": b""}])
def test_without_a_test_there_is_nothing(files: dict[str, bytes]) -> None:
    """A folder without a file `test_*.py` brings no tests, so nobody is told that some were not run."""
    assert find_tests(files) == {}


@pytest.mark.parametrize(
    "name",
    [
        "tests/../../../root/.bashrc",
        "tests/./test_b.py",
        "tests//etc/passwd",
        "tests/a\nb",
        "tests/" + "x" * 201,
        "tests/",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    """A crafted tree cannot write outside of the folder that the tests are put in."""
    with pytest.raises(UsageError, match="no name for a file of a test"):
        find_tests({"tests/test_a.py": b"", name: b""})


def test_too_many_files_are_refused() -> None:
    """A pull request cannot fill this machine with files."""
    with pytest.raises(UsageError, match="more than"):
        find_tests({f"tests/test_{number}.py": b"" for number in range(MOST + 1)})


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("https://git.example.org/r.git", "https"),
        ("ssh://git@git.example.org/r.git", "ssh"),
        ("/srv/git/r.git", "file"),
    ],
)
def test_a_head_comes_by_one_protocol(url: str, protocol: str) -> None:
    """Git may use the protocol of the forge's URL only, checks what comes, and limits it; the URL is no option."""
    words = fetch_pull(PurePosixPath("/clone"), url, 7)
    assert f"GIT_ALLOW_PROTOCOL={protocol}" in words
    assert {"transfer.fsckObjects=true", "http.followRedirects=false", "core.hooksPath=/dev/null"} <= set(words)
    assert any(word.startswith("--fsize=") for word in words)
    assert words[-3:] == ("--", url, f"+refs/pull/7/head:{pull_ref(7)}")


def test_the_list_is_checked(tmp_path: Path) -> None:
    """Nobody is on the list by default; what is no recipe's name is refused."""
    settings = tmp_path / "ccci.toml"
    settings.write_text("", "utf-8")
    assert load(file=settings, environ={"CCCI_HOME": str(tmp_path)}).local_tests == ()
    settings.write_text('local_tests = ["custom-html"]', "utf-8")
    assert load(file=settings, environ={}).local_tests == ("custom-html",)
    assert load(file=settings, environ={"CCCI_LOCAL_TESTS": "a,b"}).local_tests == ("a", "b")
    for bad in ("true", '"*"', '["../x"]', "[7]"):
        settings.write_text(f"local_tests = {bad}", "utf-8")
        with pytest.raises(SettingsError, match="a list of names of recipes"):
            load(file=settings, environ={})
