"""Env files of apps and what recipes say in them.

python-dotenv finds the statements; the values are read here, in one pass, so that quoting, escapes
and references mean what they mean to abra and to a shell. The environment of this process plays no part.
"""

from __future__ import annotations

import io
import re
import unicodedata
from typing import TYPE_CHECKING

import attrs
from dotenv.parser import parse_stream

from ccci.errors import ComposeError
from ccci.model.names import git_ref, recipe_name, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dotenv.parser import Binding

DEFAULT_COMPOSE_FILE = "compose.yml"  # what counts where COMPOSE_FILE is not set
_SECRET_LENGTH_MAX = 4096  # characters

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEFORE_VALUE = re.compile(r"\s*(?:export[^\S\n]+)?(?:'[^']+'|[^=#\s]+)[^\S\n]*=[^\S\n]*")
_SINGLE_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL)
_DOUBLE_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_REFERENCE = r"\$\{(?P<braced>[A-Z0-9_]+)\}|\$(?P<named>[A-Z0-9_]+)"  # abra expands upper-case names only
_IN_QUOTES = re.compile(rf"\\(?P<escaped>.)|{_REFERENCE}", re.DOTALL)
_UNQUOTED = re.compile(rf"\\(?P<escaped>\$)|{_REFERENCE}")
_ESCAPES = {"n": "\n", "t": "\t"}
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_NEEDS_BACKSLASH = re.compile(r'[\\"$`]')
_COMPOSE_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_TYPE_LINE = re.compile(r"^((?:export[ \t]+)?(?:TYPE|RECIPE)=)[^\n#]*?(?=[ \t]*(?:#|$))", re.MULTILINE)
_SECRET_KEY = re.compile(r"SECRET_([A-Z0-9_]+)_VERSION")
_SECRET_LINE = re.compile(r"\s*(?:export\s+)?(SECRET_[A-Z0-9_]+_VERSION)\s*=[^#]*(?:#(.*))?")
_SECRET_OPTION = re.compile(r"\b(length|charset|generate)=([^\s#]+)")
_SECRET_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")


@attrs.frozen
class SecretSpec:
    """What an env sample says about a secret.

    Attributes:
        name: the secret's name in lower case, as the compose file calls it.
        version: such as ``v1``.
        length: in characters, or None where the sample leaves it open.
        charset: such as ``hex``, or None where the sample leaves it open.
        generate: False if only the operator can provide it.
    """

    name: str
    version: str
    length: int | None = None
    charset: str | None = None
    generate: bool = True


def parse(text: str, *, where: str) -> dict[str, str]:
    """Read an env file.

    Args:
        text: its content. Values may refer to values above them in the same file; other references are empty.
        where: the file's name, for messages.

    Returns:
        The values in the order of the file; of a repeated key the last value counts.

    Raises:
        ComposeError: a line is no assignment, a key is no shell name, or there is a control character.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    _refuse_control_characters(text, where, 1)
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        statement = binding.original.string
        if not statement.strip() or (binding.key is None and not binding.error):
            continue
        blank = len(statement) - len(statement.lstrip())
        line = binding.original.line + statement[:blank].count("\n")
        if binding.error or binding.key is None or binding.value is None:
            raise ComposeError(f"{where} line {line}: this is no KEY=value", hint="quote the value, or use # KEY")
        if not _KEY.fullmatch(binding.key):
            raise ComposeError(
                f"{where} line {line}: {shown(binding.key)} is no name of a variable",
                hint="use letters, digits and '_', not starting with a digit",
            )
        value = _value(binding, values)
        _refuse_control_characters(value, where, line)
        values[binding.key] = value
    return values


def _value(binding: Binding, earlier: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        if (escaped := match["escaped"]) is not None:
            return _ESCAPES.get(escaped, escaped)
        return earlier.get(match["braced"] or match["named"], "")

    start = _BEFORE_VALUE.match(binding.original.string)
    position = start.end() if start else 0
    if quoted := _SINGLE_QUOTED.match(binding.original.string, position):
        return quoted[1]
    if quoted := _DOUBLE_QUOTED.match(binding.original.string, position):
        return _IN_QUOTES.sub(replace, quoted[1])
    return _UNQUOTED.sub(replace, binding.value or "")


def _refuse_control_characters(text: str, where: str, line: int) -> None:
    for character in text:
        if character == "\n":
            line += 1
        elif character != "\t" and unicodedata.category(character) in {"Cc", "Cs"}:
            raise ComposeError(
                f"{where} line {line}: there is a control character {shown(character)}", hint="remove it"
            )


def render(values: Mapping[str, str]) -> str:
    """Write an env file that `parse`, abra and a POSIX shell read alike.

    Args:
        values: the values, in the wanted order.

    Returns:
        One assignment after the other, each ended by a newline.

    Raises:
        ComposeError: a key is no shell name, or a value holds a control character other than newline and tab.
    """
    lines = []
    for key, value in values.items():
        if not _KEY.fullmatch(key):
            raise ComposeError(f"{shown(key)} is no name of a variable", hint="use letters, digits and '_'")
        _refuse_control_characters(value, f"the value of {key}", 1)
        lines.append(f"{key}={_quoted(value)}\n")
    return "".join(lines)


def _quoted(value: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\g<0>", value) + '"'


def retyped(text: str, value: str) -> str:
    """Return an env file with another TYPE, and not one other character changed.

    Args:
        text: the env file.
        value: `<recipe>:<version>`.
    """
    new, count = _TYPE_LINE.subn(lambda line: f"{line[1]}{value}", text)
    return new if count else f"TYPE={value}\n{text}"


def compose_files(env: Mapping[str, str]) -> tuple[str, ...]:
    """List the compose files of an app, in the order in which they are merged.

    Args:
        env: the app's env file.

    Returns:
        Paths below the recipe's tree; ``compose.yml`` alone where COMPOSE_FILE is not set.

    Raises:
        ComposeError: a path is empty, absolute, named twice, or leaves the tree.
    """
    listed = env.get("COMPOSE_FILE")
    if not listed:
        return (DEFAULT_COMPOSE_FILE,)
    files = tuple(listed.split(":"))
    for file in files:
        if not file:
            fault = f"COMPOSE_FILE={shown(listed)} has an empty part"
        elif not all(_COMPOSE_PART.fullmatch(part) for part in file.removeprefix("./").split("/")):
            fault = f"COMPOSE_FILE names {shown(file)}, which is no plain path below the recipe's tree"
        elif files.count(file) > 1:
            fault = f"COMPOSE_FILE names {shown(file)} more than once"
        else:
            continue
        raise ComposeError(fault, hint="list each file once, separated by ':', such as compose.yml:compose.smtp.yml")
    return files


def secret_specs(env_sample_text: str) -> dict[str, SecretSpec]:
    """Read what a recipe's env sample says about its secrets.

    Args:
        env_sample_text: the content of ``.env.sample``; options are in trailing comments, such as
            ``SECRET_DB_PASSWORD_VERSION=v1  # length=32 charset=hex``. Lines that are comments do not count.

    Returns:
        The secrets by their names in lower case.

    Raises:
        ComposeError: the sample cannot be read, or a version or length is out of bounds.
    """
    where = ".env.sample"
    comments = {m[1]: m[2] or "" for line in env_sample_text.splitlines() if (m := _SECRET_LINE.fullmatch(line))}
    specs = {}
    for key, version in parse(env_sample_text, where=where).items():
        if not (match := _SECRET_KEY.fullmatch(key)):
            continue
        if not _SECRET_VERSION.fullmatch(version):
            raise ComposeError(f"{where}: {key} is {shown(version)}", hint="a version looks like v1")
        options = dict(_SECRET_OPTION.findall(comments.get(key, "")))
        length = options.get("length", "").rstrip(",;")
        if length and not (length.isascii() and length.isdigit() and 0 < int(length[:9]) <= _SECRET_LENGTH_MAX):
            raise ComposeError(f"{where}: length of {key} is {shown(length)}", hint="use a number from 1 to 4096")
        name = match[1].lower()
        specs[name] = SecretSpec(
            name=name,
            version=version,
            length=int(length) if length else None,
            charset=options.get("charset"),
            generate=options.get("generate", "true").rstrip(",;").lower() != "false",
        )
    return specs


def type_of(env: Mapping[str, str]) -> tuple[str, str | None]:
    """Tell which recipe an app is made from.

    Args:
        env: the app's env file with TYPE, or RECIPE in older ones: ``<recipe>[:<version or commit>]``.

    Returns:
        The recipe and, if there is one, the version or commit.

    Raises:
        ComposeError: there is neither.
        UsageError: the recipe or version is not usable as one.
    """
    key = "TYPE" if env.get("TYPE") else "RECIPE"
    if not (value := env.get(key)):
        raise ComposeError("the env file has no TYPE", hint="add TYPE=<recipe>, as in the recipe's .env.sample")
    recipe, _, version = value.partition(":")
    recipe_name(recipe, what=f"{key} in the env file")
    return recipe, git_ref(version, what=f"version of {key} in the env file") if version else None
