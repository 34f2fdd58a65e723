"""A TOML table that is read strictly: every fault is collected, so that all are reported together."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import attrs

from ccci.model.names import shown

if TYPE_CHECKING:
    from collections.abc import Callable

_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@attrs.define
class Table:
    """A table of a TOML file.

    Attributes:
        content: what the file says.
        prefix: how its keys are named in a fault, such as `health.`.
        faults: where faults go, shared by all tables of a file.
    """

    content: dict[str, Any]
    prefix: str
    faults: list[str]

    def known(self, *keys: str) -> None:
        """Find fault with every key that is none of these."""
        for key in sorted(self.content.keys() - set(keys)):
            self.faults.append(f"{self.prefix}{shown(key)[1:-1]} is unknown; known are {', '.join(keys)}")

    def get(self, key: str, default: Any, is_good: Callable[[Any], bool], wanted: str) -> Any:
        """Return a value, or the default if it is missing or at fault; `wanted` says what is good."""
        value = self.content.get(key, default)
        if is_good(value):
            return value
        self.faults.append(f"{self.prefix}{key} must be {wanted}, but is {shown(value)}")
        return default

    def table(self, key: str) -> Table:
        """Return a table within this one, empty if it is missing."""
        content = self.get(key, {}, lambda v: isinstance(v, dict), "a table")
        return Table(content, f"{self.prefix}{key}.", self.faults)


def matches(pattern: re.Pattern[str], value: Any) -> bool:
    """Return whether a value is a string of this form."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_strings(value: Any) -> bool:
    """Return whether a value is a list of different strings."""
    return isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)


def is_env(value: Any) -> bool:
    """Return whether a value is a table of strings, named as shells name variables."""
    return isinstance(value, dict) and all(matches(_ENV_KEY, k) and isinstance(v, str) for k, v in value.items())


def is_bool(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def is_seconds(value: Any, least: float, most: float) -> bool:
    """Return whether a value is a number of seconds within bounds."""
    return type(value) in {int, float} and math.isfinite(value) and least <= value <= most
