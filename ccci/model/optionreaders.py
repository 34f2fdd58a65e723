"""What an option's value may be: each reader takes a raw value and returns the typed one.

A reader gets the value and the folder to which relative paths are relative. If the value is no good, it
raises ValueError whose text says what would be: "a number from 1 to 65535".
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ccci.errors import UsageError
from ccci.model import names

SECONDS_MAX = 86_400.0  # a day; nothing here waits longer on purpose
_PORT_MAX = 65_535
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
Reader = Callable[[Any, Path], Any]


def about(text: str, read: Reader, env: str | None = None) -> dict[str, Any]:
    """Return the metadata of an option.

    Args:
        text: what it is, in words.
        read: reads its value.
        env: its environment variable.
    """
    return {"help": text, "read": read, "env": env}


def seconds(least: float) -> Reader:
    """Read a number of seconds.

    Args:
        least: the smallest that makes sense.

    Returns:
        A reader for numbers and, from the environment, their text.
    """
    return amount(least, SECONDS_MAX, "seconds")


def amount(least: float, most: float, unit: str) -> Reader:
    """Read a number of something.

    Args:
        least: the smallest that makes sense.
        most: the largest.
        unit: what is counted, in the plural.

    Returns:
        A reader for numbers and, from the environment, their text.
    """

    def read(value: Any, _: Path) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not least <= number <= most:
            raise ValueError(f"a number of {unit} from {least:g} to {most:g}")
        return number

    return read


def whole(least: int, most: int) -> Reader:
    """Read a whole number.

    Args:
        least: the smallest that makes sense.
        most: the largest.
    """

    def read(value: Any, _: Path) -> int:
        text = str(value) if type(value) in (int, str) else ""
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def names_of_hosts(value: Any, _: Path) -> tuple[str, ...]:
    """Read names of hosts: a list or, from the environment, with commas between."""
    found = value.split(",") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(name, str) and _HOST.fullmatch(name) for name in found):
        raise ValueError("a list of names of hosts")
    if len(set(found)) != len(found):
        raise ValueError("a list of different names of hosts")
    return tuple(found)


def names_of_recipes(value: Any, _: Path) -> tuple[str, ...]:
    """Read names of recipes: a list or, from the environment, with commas between."""
    found = value.split(",") if isinstance(value, str) else value
    try:
        checked_ones = [names.recipe_name(name if isinstance(name, str) else "") for name in found]
    except (UsageError, TypeError):
        raise ValueError("a list of names of recipes") from None
    return tuple(checked_ones)


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
