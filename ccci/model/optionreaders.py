"""What an option's value may be: each reader takes a raw value and returns the typed one.

A reader gets the value and the folder to which relative paths are relative. If the value is no good, it
raises ValueError whose text says what would be: "a number from 1 to 65535".
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ccci.errors import UsageError

if TYPE_CHECKING:
    import re

SECONDS_MAX = 86_400.0  # a day; nothing here waits longer on purpose
_PORT_MAX = 65_535
Reader = Callable[[Any, Path], Any]


def seconds(least: float) -> Reader:
    """Read a number of seconds.

    Args:
        least: the smallest that makes sense.

    Returns:
        A reader for numbers and, from the environment, their text.
    """

    def read(value: Any, _: Path) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not least <= number <= SECONDS_MAX:
            raise ValueError(f"a number of seconds from {least:g} to {SECONDS_MAX:g}")
        return number

    return read


def port(value: Any, _: Path) -> int:
    """Read the number of a TCP port."""
    if type(value) is not int or not 0 < value <= _PORT_MAX:
        raise ValueError(f"a number from 1 to {_PORT_MAX}")
    return value


def path(value: Any, base: Path) -> Path:
    """Read a path; the result is absolute and without dots."""
    if not isinstance(value, str | Path) or not str(value) or not str(value).isprintable():
        raise ValueError("a path")
    try:
        return Path(os.path.normpath(base / Path(value).expanduser()))
    except RuntimeError:
        raise ValueError("a path whose '~' names a user of this machine") from None


def matching(pattern: re.Pattern[str], wanted: str) -> Reader:
    """Read text that fits a pattern.

    Args:
        pattern: what the whole text must match.
        wanted: the same in words.

    Returns:
        A reader.
    """

    def read(value: Any, _: Path) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(wanted)
        return value

    return read


def checked(check: Callable[[str], str], wanted: str) -> Reader:
    """Read text that one of ccci's own checks takes.

    Args:
        check: returns the text, perhaps normalised, or raises UsageError.
        wanted: what it takes, in words.

    Returns:
        A reader.
    """

    def read(value: Any, _: Path) -> str:
        try:
            return check(value if isinstance(value, str) else "")
        except UsageError:
            raise ValueError(wanted) from None

    return read
