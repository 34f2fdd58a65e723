"""A table of options: an attrs class whose fields declare type, default, help and the check that reads a value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ccci.model import names

if TYPE_CHECKING:
    from collections.abc import Mapping


def options(cls: type[attrs.AttrsInstance]) -> tuple[attrs.Attribute[Any], ...]:
    """List the options of a class in the order of their declaration.

    Args:
        cls: a class of options.

    Returns:
        The attributes whose metadata has ``help``, ``env`` and ``read``.
    """
    return tuple(field for field in attrs.fields(cls) if "read" in field.metadata)


def read_all(
    cls: type[attrs.AttrsInstance], table: Mapping[str, Any], base: Path, where: str, faults: list[str]
) -> dict[str, Any]:
    """Read the options of a class from a table, in which every key must be one.

    Args:
        cls: a class of options.
        table: raw values by the names of the options.
        base: the folder to which paths are relative.
        where: how the table is named in a fault.
        faults: where faults go.

    Returns:
        The values that are good.
    """
    fields = {field.name: field for field in options(cls)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            faults.append(f"{where}: {names.shown(key)} is unknown; known are {', '.join(fields)}")
            continue
        try:
            values[key] = fields[key].metadata["read"](value, base)
        except ValueError as error:
            faults.append(f"{where}: {key} must be {error}, but is {names.shown(value)}")
    return values


def complete(
    cls: type[attrs.AttrsInstance], table: Mapping[str, Any], base: Path, where: str, faults: list[str]
) -> dict[str, Any]:
    """Do as `read_all`, and find fault with a missing option that has no default; empty if there is any fault."""
    before = len(faults)
    values = read_all(cls, table, base, where, faults)
    missing = [field.name for field in options(cls) if field.default is attrs.NOTHING and field.name not in table]
    faults.extend(f"{where}: {key} is missing" for key in missing)
    return {} if len(faults) > before else values
