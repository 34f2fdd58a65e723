"""What can be learned from a recipe's abra.sh without ever running it."""

from __future__ import annotations

import re

_MAX = 1 << 20  # characters; a longer file is no abra.sh, and reading it would only cost time
_VALUE = r"""(?:"[^"$`\\\x00-\x1f]*"|'[^'\x00-\x1f]*'|[A-Za-z0-9_.,:/@%+=-]*)"""
_ASSIGNMENT = re.compile(rf"([A-Za-z_][A-Za-z0-9_]*)=({_VALUE})(?=\s|$)")
_EXPORT = re.compile(rf"export(?:[ \t]+[A-Za-z_][A-Za-z0-9_]*={_VALUE})+[ \t]*(?:[ \t]#.*)?")
_FUNCTION = re.compile(r"([ \t]*)(?:function[ \t]+[\w:.-]+[ \t]*(?:\([ \t]*\))?|[\w:.-]+[ \t]*\([ \t]*\))[ \t]*(.*)")
_HEREDOC = re.compile(r"<<-?[ \t]*(['\"]?)([A-Za-z_]\w*)\1")


def exports(text: str, *, where: str = "abra.sh") -> dict[str, str]:
    """Read the plain exports of an abra.sh, such as ``export APP_CONF_VERSION=v3``.

    Only lines that start with ``export`` in the first column, outside functions and here-documents, and whose
    values need no shell to understand. Everything else is passed over: the file comes with a pull request.

    Args:
        text: the content of the file.
        where: its name; kept for messages, since nothing here can fail today.

    Returns:
        The values by name; of a repeated name the last counts.
    """
    del where
    found: dict[str, str] = {}
    ends_with: str | None = None  # the line that ends the function or here-document we are in
    for line in text[:_MAX].replace("\r\n", "\n").replace("\\\n", " ").split("\n"):
        if ends_with is not None:
            ends_with = None if _is_end(line, ends_with) else ends_with
        elif function := _FUNCTION.fullmatch(line):
            ends_with = None if function[2].rstrip().endswith("}") else f"{function[1]}}}"
        elif _EXPORT.fullmatch(line):
            statement = line.removeprefix("export")
            found.update({m[1]: _plain(m[2]) for m in _assignments(statement)})
        elif heredoc := _HEREDOC.search(line):
            ends_with = heredoc[2]
    return found


def _assignments(statement: str) -> list[re.Match[str]]:
    matches = []
    while match := _ASSIGNMENT.match(statement := statement.lstrip(" \t")):
        matches.append(match)
        statement = statement[match.end() :]
    return matches


def _is_end(line: str, ends_with: str) -> bool:
    return line.rstrip() == ends_with or (ends_with.endswith("}") and line.startswith(ends_with))


def _plain(value: str) -> str:
    return value[1:-1] if value[:1] in {'"', "'"} else value
