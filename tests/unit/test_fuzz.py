"""Whatever comes from outside: only ccci's own errors come out of a parser, and nothing of it is run by a shell."""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccci.commands import archive, audit, docker, files, git, host, lock, shell
from ccci.errors import CcciError
from ccci.facts.base import HostFact
from ccci.facts.docker import Stack, StackLeftovers, Volumes
from ccci.facts.git import Commit, Tags, Tree
from ccci.facts.warm import ColdApps, Digests
from ccci.model import abra, canonical, codec, envfile, names, provider, safeyaml, shortsyntax
from ccci.model.alert import Alert
from ccci.model.audit import read_entries
from ccci.model.interpolation import Interpolator
from ccci.model.run import RunResult
from ccci.model.trigger import parse_trigger
from ccci.settings import load as load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW = 20_000  # milliseconds of one example: far from what any takes, far from hanging
PIECES = st.sampled_from(
    ["=", "'", '"', "\\", "\n", "()", "$", "${", "}", ":-", ":", "#", "\0", " ", "export ", "A", "SECRET_A_VERSION=v1",
     "-", "..", "COMPOSE_FILE=", "/", "a.yml", "[", "]", "{", ",", "!", "&a", "*a", "|", "length=",
     "1" * 30, "\u2028", "\ud7ff"]
)  # fmt: skip
TEXT = st.text(max_size=60) | st.lists(PIECES, max_size=25).map("".join)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(
    ["schema", "ID", "Spec", "Name", "TaskTemplate", "ContainerSpec", "Image", "Status", "State", "Timestamp", "Labels"]
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5))

READERS: dict[str, Callable[[str], object]] = {
    "env file": lambda text: envfile.parse(text, where="f"),
    "env file and back": lambda text: envfile.render(envfile.parse(text, where="f")),
    "secrets of a sample": envfile.secret_specs,
    "COMPOSE_FILE": lambda text: envfile.compose_files({"COMPOSE_FILE": text}),
    "TYPE": lambda text: envfile.type_of({"TYPE": text}),
    "another TYPE": lambda text: envfile.retyped(text, "a:1.0.0+1"),
    "abra.sh": abra.exports,
    "variables": lambda text: Interpolator({"A": text}, "f").text(text, "a"),
    "YAML": lambda text: safeyaml.load_mapping(text, where="f"),
    "recipe": names.recipe_name,
    "ref": names.git_ref,
    "domain": names.domain,
    "host": names.host_name,
    "volume": names.volume_name,
    "stack": lambda text: names.stack_name("a.b", text),
    "trigger": parse_trigger,
    "release notes": provider.speaks_of_manual_migration,
    "audit log": read_entries,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60, deadline=SLOW, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXT)
def test_only_our_error_on_any_text(name: str, text: str) -> None:
    """A reader of text returns or raises one of ccci's errors, and soon."""
    with contextlib.suppress(CcciError):
        READERS[name](text)


@settings(max_examples=100, deadline=SLOW)
@given(value=JSON | st.text(max_size=20))
def test_mounts_and_ports_of_any_form(value: Any) -> None:
    """A mount or port of any form is read, or refused by the one error that names it."""
    for read in (shortsyntax.read_mount, shortsyntax.read_ports):
        with contextlib.suppress(shortsyntax.ShortSyntaxError):
            read(value)


RECORDS: list[type[Any]] = [
    canonical.CanonicalRecord, canonical.Manifest, canonical.Journal, provider.ProviderRecord, Alert, RunResult,
]  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=SLOW)
@given(data=JSON, text=TEXT)
def test_records_of_any_form(kind: type[Any], data: Any, text: str) -> None:
    """A record that somebody else wrote is read whole or refused."""
    schema = getattr(kind, "SCHEMA", "")
    forms = [data, {**data, "schema": schema}] if isinstance(data, dict) else [data, {"schema": schema, "recipe": data}]
    for each in [*map(json.dumps, forms), text]:
        with contextlib.suppress(CcciError):
            codec.load(kind, each, where="f")


FACTS: list[type[HostFact[Any]]] = [Stack, StackLeftovers, Volumes, Tags, Tree, Commit, ColdApps, Digests]


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
@settings(max_examples=60, deadline=SLOW)
@given(lines=st.lists(TEXT | JSON.map(json.dumps), max_size=5))
def test_answers_of_the_host_of_any_form(kind: type[HostFact[Any]], lines: list[str]) -> None:
    """Whatever git or Docker print, a fact is a value or StateUnreadable, never another exception."""
    fact = kind()
    fact.count, fact.stack = 2, "s"  # type: ignore[attr-defined]  # what the question would have left
    with contextlib.suppress(CcciError):
        fact.process([*lines, "ccci:exit:0"])


@settings(max_examples=60, deadline=SLOW, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_settings_of_any_form(tmp_path: Path, text: str) -> None:
    """A settings file with anything in it loads or is refused with all its faults."""
    file = tmp_path / "ccci.toml"
    file.write_text(text, "utf-8", errors="replace")
    for extra in ({}, {"CCCI_PORT": text.replace("\0", "")}):
        with contextlib.suppress(CcciError):
            load_settings(file=file, environ={"CCCI_HOME": str(tmp_path), **extra})


EVILS = {  # each does its harm where it is quoted by these signs
    "; >pwned #": "", "$(>pwned)": "", "`>pwned`": '"', "\n>pwned\n": "", "' ; >pwned ; '": "'", '" ; >pwned ; "': '"',
}  # fmt: skip
REAL = ("sh", "bash", "env", "flock", "timeout")  # they run what they are given; all else is a fake that does nothing
# fmt: off
FAKE = [
    "docker", "git", "tar", "zstd", "sha256sum", "openssl", "tee", "cut", "stat", "sync", "mv", "rm", "mkdir",
    "install", "find", "touch", "cat", "grep", "kill", "tail", "printf", "id", "xargs", "cmp", "chmod", "ssh-keygen",
    "sed", "date", "python3", "python", "mktemp", "awk", "head", "gzip", "base64", "ls", "df",
    "readlink", "ln", "systemctl", "jq", "basename", "sort", "sleep", "rmdir", "cp", "test", "dirname",
]
# fmt: on
MODULES = (archive, audit, docker, files, git, host, lock, shell)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Find every public function of ccci.commands."""
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", function


def argument(annotation: str, evil: str) -> Any:
    """Return an argument of a type that means harm."""
    kinds: dict[str, Any] = {
        "PurePosixPath": PurePosixPath(f"/nowhere/{evil}"),
        "Sequence[PurePosixPath]": [PurePosixPath(f"/nowhere/{evil}")],
        "PurePosixPath | str": PurePosixPath(f"/nowhere/{evil}"),
        "Fence": lock.Fence(PurePosixPath(f"/nowhere/{evil}"), evil, evil, evil, PurePosixPath(f"/nowhere/{evil}")),
        "int": 1, "float": 0.0, "bool": True, "float | None": 5.0,
        "Mapping[str, str]": {evil: evil}, "Sequence[str]": ["echo", evil], "Argv": ("echo", evil),
    }  # fmt: skip
    name = annotation.removesuffix(" | None")
    if name.startswith("Sequence[str] | str"):
        return ["echo", evil]
    return evil if name in ("str", "object", "str | bytes") else kinds[name]


def call(function: Callable[..., Any], evil: str) -> str:
    """Call a function of ccci.commands with harm in every argument, and return what a shell would be given."""
    args: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        value = argument(str(parameter.annotation), evil)
        if parameter.kind is parameter.VAR_KEYWORD:
            named["label"] = value
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            args.append(value)
    made = function(*args, **named)
    if isinstance(made, tuple):
        return shell.quote(made)
    return made if isinstance(made, str) else str(made.get_raw_value())


TEXTS_FOR_NO_SHELL = {"docker.filtered", "docker.of_stack", "git.pull_ref"}  # words that other functions quote
ALL = dict(functions())


@pytest.mark.parametrize("name", sorted(set(ALL) - TEXTS_FOR_NO_SHELL))
def test_no_word_of_an_argument_is_run(tmp_path: Path, name: str) -> None:
    """Each function that makes a command keeps quotes, `$( )`, backquotes and new lines in any argument harmless."""
    tools, here = tmp_path / "bin", tmp_path / "here"
    tools.mkdir()
    here.mkdir()
    for tool in REAL:
        (tools / tool).symlink_to(shutil.which(tool) or "")
    for tool in FAKE:
        (tools / tool).write_text("#!/bin/sh\nexit 0\n")
        (tools / tool).chmod(0o755)
    for evil in EVILS:
        words = ["/bin/sh", "-c", call(ALL[name], evil)]
        env = {"PATH": str(tools)}
        subprocess.run(words, cwd=here, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        assert list(here.iterdir()) == [], evil


@pytest.mark.parametrize("evil", EVILS)
def test_the_canary_sings(tmp_path: Path, evil: str) -> None:
    """Each harmful text does its harm where it is not quoted well: the test above would see it."""
    sign = EVILS[evil]
    subprocess.run(
        ["/bin/sh", "-c", f"echo {sign}{evil}{sign}"], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert [path.name for path in tmp_path.iterdir()] == ["pwned"]
    assert len(ALL) > 35
