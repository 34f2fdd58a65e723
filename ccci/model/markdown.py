"""Text of others inside Markdown of ours: harmless, whatever is in it. Pure.

It can form no markup, no HTML, no link, no mention and no reference, steers no terminal, and is cut.
"""

from __future__ import annotations

import re
import string

INLINE_MAX = 300  # characters of a piece of text within a line
LINE_MAX = 200  # characters of a line of a log
LINES_MAX = 20  # lines of a log
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")  # ECMA-48: CSI, OSC, others
_BREAK = "\u200b"  # zero-width space: what stands on both sides of it is no mention, no reference, no link
_BEFORE = re.compile(r"(?<=[@#!])|(?<=:)(?=//)|(?<=\[)(?=\[)|(?<=www)(?=\.)", re.IGNORECASE)
_ENTITIES = str.maketrans({c: f"&#{ord(c)};" for c in string.punctuation if c not in ",;'%"})
_TICKS = re.compile(r"`+")


def plain(text: str) -> str:
    """Return text without control sequences and invisible characters; lines stay lines, tabs become spaces."""
    text = _ANSI.sub("", text.replace("\r\n", "\n")).replace("\t", "    ")
    return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cut(text: str, most: int) -> str:
    """Return the beginning of text, marked if something is missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def inline(text: str) -> str:
    """Return text of others as a piece of a line, fit for a table's cell.

    Args:
        text: anything; its line breaks become spaces.
    """
    one = cut(" ".join(plain(text).split()), INLINE_MAX)
    return _BEFORE.sub(_BREAK, one).translate(_ENTITIES)


def block(text: str) -> str:
    """Return the last lines of a log as a block of code.

    Args:
        text: anything.

    Returns:
        The block with its fences, which are longer than any that the text has; empty for no text.
    """
    lines = [cut(line.rstrip(), LINE_MAX) for line in plain(text).strip("\n").split("\n")][-LINES_MAX:]
    if not any(lines):
        return ""
    inside = _BEFORE.sub(_BREAK, "\n".join(lines))
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(inside)), default=0))
    return f"{fence}text\n{inside}\n{fence}"
