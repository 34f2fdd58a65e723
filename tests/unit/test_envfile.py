"""Env files."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccci.errors import ComposeError, UsageError
from ccci.model import envfile
from ccci.model.envfile import SecretSpec

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).map(lambda key: f"T_{key}")
VALUES = st.text(
    st.one_of(st.sampled_from("'\"\\$`# \n\t{}AT_=;&|!*?~%"), st.characters(exclude_categories=("Cc", "Cs")))
)


def test_forms_of_statements() -> None:
    """Comments, quotes, exports, escapes and references to earlier values read as in abra."""
    text = """\
# comment
TYPE=custom-html:1.2.3+4   # trailing
export A="b $TYPE \\$TYPE ${TYPE}\\n"  # c

COMPOSE_FILE="compose.yml"
COMPOSE_FILE="$COMPOSE_FILE:compose.x.yml"
S='$A \\n'
EMPTY=
ONLY_COMMENT= # c
HASH=a#b
LOWER=pa$word
NOT_YET=[$LATER]
LATER=1
"""
    assert envfile.parse(text, where=".env") == {
        "TYPE": "custom-html:1.2.3+4",
        "A": "b custom-html:1.2.3+4 $TYPE custom-html:1.2.3+4\n",
        "COMPOSE_FILE": "compose.yml:compose.x.yml",
        "S": "$A \\n",
        "EMPTY": "",
        "ONLY_COMMENT": "",
        "HASH": "a#b",
        "LOWER": "pa$word",
        "NOT_YET": "[]",
        "LATER": "1",
    }


def test_windows_line_ends_and_byte_order_mark() -> None:
    """A file from an editor on another system reads the same."""
    assert envfile.parse("\ufeffA=1\r\nB='2'\r\n", where=".env") == {"A": "1", "B": "2"}


def test_nothing_comes_from_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe cannot read the environment of the process that tests it."""
    monkeypatch.setenv("TOP_SECRET", "x")
    assert envfile.parse("A=$TOP_SECRET\nB=${TOP_SECRET}", where=".env") == {"A": "", "B": ""}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x", 1),
        ("A B=1", 1),
        ("\n\n1A=2", 3),
        ("# c\nA='", 2),
        ('A="x"y', 1),
        ("A=1\nB=\x00", 2),
        ("A=\x1b[0m", 1),
        ("A=1\n\nA-B=2", 3),
        ("A=\ud800", 1),
        ("A=1\n\n  export", 3),
    ],
)
def test_faults_name_file_and_line(text: str, line: int) -> None:
    """What is no assignment is refused, with its line."""
    with pytest.raises(ComposeError, match=rf"^\.env\.sample line {line}: "):
        envfile.parse(text, where=".env.sample")


@given(
    st.text()
    | st.lists(st.sampled_from(["A=", "'", '"', "\\", "\n", "$A", "${", "}", "#", " ", "export "])).map("".join)
)
def test_only_our_error(text: str) -> None:
    """Whatever is in a file, reading it in every way raises ComposeError or nothing."""
    with contextlib.suppress(ComposeError):
        envfile.parse(text, where="f")
    with contextlib.suppress(ComposeError):
        envfile.secret_specs(text)


@given(st.dictionaries(KEYS, VALUES))
def test_what_is_rendered_is_read_back(values: dict[str, str]) -> None:
    """No value changes on its way through a file."""
    assert envfile.parse(envfile.render(values), where="f") == values


@settings(max_examples=50, deadline=None)
@given(value=VALUES)
def test_a_shell_reads_the_same(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """A real POSIX shell that sources the file gets each value to the byte, and runs nothing."""
    path: Path = tmp_path_factory.mktemp("env") / "app.env"
    path.write_text(envfile.render({"T_VALUE": value}), "utf-8")
    command = ["/bin/sh", "-c", '. "$1"; printf %s "$T_VALUE"', "sh", str(path)]
    shown = subprocess.run(command, check=True, capture_output=True)
    assert shown.stdout.decode() == value
    assert not shown.stderr


def test_render_refuses_what_it_cannot_write() -> None:
    """A key that is no name and a control character are refused instead of written."""
    for bad in ({"A B": "1"}, {"A": "\x00"}, {"A": "\r"}, {"A\n": "1"}, {"A": "\ud800"}):
        with pytest.raises(ComposeError):
            envfile.render(bad)


def test_compose_files() -> None:
    """COMPOSE_FILE lists files in order, and only compose.yml counts without it."""
    assert envfile.compose_files({}) == ("compose.yml",)
    assert envfile.compose_files({"COMPOSE_FILE": ""}) == ("compose.yml",)
    files = envfile.compose_files({"COMPOSE_FILE": "compose.yml:compose/x.yml"})
    assert files == ("compose.yml", "compose/x.yml")


@pytest.mark.parametrize(
    "listed",
    [
        ":a.yml",
        "a.yml:",
        "/etc/passwd",
        "../a.yml",
        "a/../../b",
        "a//b",
        "a.yml:a.yml",
        "-",
        "a b",
        "a/.git/x",
    ],
)
def test_compose_files_stay_in_the_tree(listed: str) -> None:
    """No path leaves the recipe's tree, is empty, is an option or is named twice."""
    with pytest.raises(ComposeError):
        envfile.compose_files({"COMPOSE_FILE": listed})


def test_secret_specs() -> None:
    """Options in trailing comments are read, and lines that are comments do not count."""
    sample = """\
#SECRET_OFF_VERSION=v1
SECRET_DB_PASSWORD_VERSION=v1  # length=32 charset=hex
SECRET_KEY_VERSION=v2 # generate=false, ask the provider
SECRET_PLAIN_VERSION="v3"
OTHER=1 # length=9
"""
    assert envfile.secret_specs(sample) == {
        "db_password": SecretSpec("db_password", "v1", 32, "hex"),
        "key": SecretSpec("key", "v2", generate=False),
        "plain": SecretSpec("plain", "v3"),
    }


@pytest.mark.parametrize("line", ["SECRET_A_VERSION=", "SECRET_A_VERSION=../x", "SECRET_A_VERSION=v1 # length=0"])
def test_secret_specs_have_bounds(line: str) -> None:
    """A version that is no name and a length of nothing are refused."""
    with pytest.raises(ComposeError, match="SECRET_A_VERSION"):
        envfile.secret_specs(line)
    with pytest.raises(ComposeError):
        envfile.secret_specs("SECRET_A_VERSION=v1 # length=99999999999999")


def test_type_of() -> None:
    """TYPE wins over RECIPE, with or without a version."""
    assert envfile.type_of({"TYPE": "custom-html:1.2.3+4", "RECIPE": "x"}) == ("custom-html", "1.2.3+4")
    assert envfile.type_of({"RECIPE": "gitea"}) == ("gitea", None)
    for bad in ({}, {"TYPE": "../x"}, {"TYPE": "a:--b"}):
        with pytest.raises(UsageError):
            envfile.type_of(bad)
