"""The documents say what is so: command lines, links, keys, fields, errors."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import attrs
import click
import pytest

from ccci import __all__ as public_names
from ccci import errors, events
from ccci.cli.main import cli
from ccci.model.alert import KINDS, Alert
from ccci.model.night import Night, NightRow
from ccci.model.recipe import Health, ProviderMeta, RecipeMeta, Sso, load_meta
from ccci.model.run import KnownGoodChange, RunResult, StageResult, StepResult, TestCase
from ccci.testing.context import TestContext
from ccci.testing.plugin import App

ROOT = Path(__file__).parents[2]
DOCS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
_CODE = re.compile(
    r"^```[^\n]*\n(?P<fenced>.*?)^```|^ {4}(?P<block>[^\n]*)|`(?P<span>[^`\n]+)`", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=\S*")
_ENDS = frozenset({"|", "||", "&&", ";", "#", ">"})


def text_of(name: str) -> str:
    """Return a document's text."""
    return (ROOT / name).read_text("utf-8")


def code_lines(text: str) -> list[str]:
    """Return every line of code in a Markdown text: fences, indented blocks, spans."""
    return [
        line.strip() for match in _CODE.finditer(text) for line in "".join(filter(None, match.groups())).splitlines()
    ]


def command_of(line: str) -> list[str] | None:
    """Return the words after `ccci` if a line calls it, else None."""
    try:
        words = shlex.split(line.removeprefix("$ ").replace("…", "").strip())
    except ValueError:
        return None
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] != "ccci" or (len(words) > 1 and words[1].endswith(":")):
        return None
    end = next((i for i, word in enumerate(words) if word in _ENDS), len(words))
    return words[1:end]


COMMANDS = sorted(
    {
        (path.relative_to(ROOT).as_posix(), tuple(words))
        for path in DOCS
        for line in code_lines(path.read_text("utf-8"))
        if (words := command_of(line))
    }
)


def parse(command: click.Command, words: list[str], context: click.Context | None = None) -> None:
    """Let click read the words down to the last verb; nothing is called."""
    made = command.make_context(command.name or "ccci", list(words), parent=context, resilient_parsing=False)
    if isinstance(command, click.Group):
        _, found, rest = command.resolve_command(made, [*made._protected_args, *made.args])
        assert found is not None
        if rest or not isinstance(found, click.Group):
            parse(found, rest, made)


@pytest.mark.parametrize(("document", "words"), COMMANDS)
def test_documented_command_lines_are_understood(document: str, words: tuple[str, ...]) -> None:
    """Every verb and option that a document shows exists: click reads the whole line."""
    plain = [word.strip("[]") for word in words]
    try:
        parse(cli, plain)
    except click.MissingParameter:
        return  # a sentence that names the verb only
    except click.UsageError as error:
        if "does not exist" in error.message:  # a file that only the reader has
            return
        pytest.fail(f"{document}: ccci {' '.join(words)}: {error.message}")


def test_the_commands_are_found() -> None:
    """The search for command lines works, so that the test above is not empty."""
    found = {words[:2] for _, words in COMMANDS}
    assert {("play", "quick"), ("play", "cold"), ("canonical", "verify"), ("lab", "up")} <= found
    assert command_of("$ RECIPE=a ccci run # now") == ["run"]
    with pytest.raises(click.UsageError):
        parse(cli, ["play", "quick", "--no-such-option"])
    with pytest.raises(click.UsageError):
        parse(cli, ["canonical", "no-such-verb"])


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(path: Path) -> None:
    """A link inside the repository has its file, and the heading that it names."""
    for match in _LINK.finditer(path.read_text("utf-8")):
        target, _, heading = match["target"].partition("#")
        if "://" in target:
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{path.name} links to {target}"
        if heading:
            assert heading in headings(there.read_text("utf-8")), f"{path.name} links to {match['target']}"


def headings(text: str) -> set[str]:
    """Return the anchors of a Markdown text's headings, as forges make them."""
    lines = [line.lstrip("#").strip().lower() for line in text.splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}


def fields(kind: type[attrs.AttrsInstance]) -> list[str]:
    """Return the names of a class's fields."""
    return [field.name for field in attrs.fields(kind)]


@pytest.mark.parametrize("key", [*fields(RecipeMeta), *fields(Health), *fields(Sso), *fields(ProviderMeta)])
def test_every_key_of_recipe_meta_is_documented(key: str) -> None:
    """docs/recipes.md has each key in its examples, as a key or a table."""
    text = text_of("docs/recipes.md")
    assert re.search(rf"^({key} = |\[{key}\])", text, re.MULTILINE)


def test_the_example_of_recipe_meta_is_true(tmp_path: Path) -> None:
    """The documented recipe_meta.toml is read without a fault and is what an empty file means.

    That of a provider differs from it by `enrolled` and the one table, whose optional keys have their defaults.
    """
    plain, provider = re.findall(r"```toml\n(.*?)```", text_of("docs/recipes.md"), re.DOTALL)
    metas = []
    unenrolled = plain.replace("enrolled = true ", "enrolled = false ")
    for number, text in enumerate((plain, unenrolled + provider, "")):
        folder = tmp_path / str(number) / "custom-html"
        folder.mkdir(parents=True)
        (folder / "recipe_meta.toml").write_text(text, "utf-8")
        metas.append(load_meta(folder))
    assert metas[0] == metas[2]
    assert metas[1] == attrs.evolve(metas[2], enrolled=False, provider=ProviderMeta("warm-keycloak.{base}"))


ALERT_PAGES = text_of("docs/operations.md").partition("\n## Alerts\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_alert_has_a_page(kind: str) -> None:
    """docs/operations.md says of each kind what it means, what ccci did already, and what is left to do."""
    page = ALERT_PAGES.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    meaning, done, left = page.partition("*Done already.*")[0], "*Done already.*" in page, "*Left.*" in page
    assert (bool(meaning.strip()), done, left) == (True, True, True)


def test_every_key_of_an_alert_is_documented() -> None:
    """docs/operations.md has a row for each key of an alert's file, and for none that there is not."""
    table = ALERT_PAGES.partition("\n### The file of an alert\n")[2].partition("\n### ")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE) == fields(Alert)


def test_every_fixture_word_is_documented() -> None:
    """docs/recipes.md names what tests can use: the app's methods, and what `run` knows."""
    text = text_of("docs/recipes.md")
    methods = [f"app.{name}" for name in vars(App) if not name.startswith("_")]
    hidden = {"schema", "proxy", "ca"}
    assert [m for m in [*methods, "app.url", "app.domain", "app.stack", "app.http"] if m not in text] == []
    assert [f for f in fields(TestContext) if f not in hidden and f"`{f}`" not in text] == []


@pytest.mark.parametrize(
    "kind", [RunResult, StageResult, StepResult, TestCase, KnownGoodChange], ids=lambda k: k.__name__
)
def test_every_field_of_a_result_is_documented(kind: type[attrs.AttrsInstance]) -> None:
    """docs/playbooks.md names each field of result.json; those of the whole have a row of their own."""
    text = text_of("docs/playbooks.md")
    assert [name for name in fields(kind) if f"`{name}`" not in text] == []
    if kind is RunResult:
        rows = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
        assert [name for name in fields(kind) if f"`{name}`" not in rows] == []


@pytest.mark.parametrize("kind", [Night, NightRow], ids=lambda k: k.__name__)
def test_every_field_of_a_night_is_documented(kind: type[attrs.AttrsInstance]) -> None:
    """docs/nightly.md names each field of nightly.json."""
    page = text_of("docs/nightly.md").partition("\n## nightly.json\n")[2]
    assert [name for name in fields(kind) if f"`{name}`" not in page] == []


def test_every_event_and_public_name_is_documented() -> None:
    """docs/playbooks.md names each event with its fields, and everything that playbooks may import."""
    text = text_of("docs/playbooks.md")
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__]
    rows = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    for kind in filter(attrs.has, kinds):
        assert [f for f in fields(kind) if f"`{f}`" not in rows[kind.__name__]] == []
    assert [name for name in public_names if not re.search(rf"`{name}\b", text)] == []


ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CcciError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_documented_with_its_exit_code(kind: type[errors.CcciError]) -> None:
    """docs/operations.md has a row for each error class, with the code that the class has."""
    code = "130/143" if kind is errors.Stopped else str(kind.exit_code)
    assert re.search(rf"^\| `{kind.__name__}` \| {code} \| ", text_of("docs/operations.md"), re.MULTILINE)


@pytest.mark.parametrize("code", sorted(v for k, v in vars(errors).items() if k.startswith("EXIT_")))
def test_every_exit_code_is_documented(code: int) -> None:
    """docs/operations.md says what each exit code means and who must act."""
    assert re.search(rf"^\| {code} \| ", text_of("docs/operations.md"), re.MULTILINE)


def test_documents_name_no_place_of_one_machine() -> None:
    """No document holds a path of the machine that it was written on."""
    for path in DOCS:
        assert not re.search(r"/(work|home/\w+|tmp)/", path.read_text("utf-8")), path.name
