"""Values to JSON and back, strictly: what ccci does not know, it refuses to read."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, TypeVar

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

from ccci.errors import StateUnreadable

T = TypeVar("T")

_converter = cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=False)
_converter.register_structure_hook_factory(
    attrs.has,
    lambda cls: make_dict_structure_fn(cls, _converter, _cattrs_forbid_extra_keys=True),
)


def _exact(value: object, kind: type[T]) -> T:
    """Take only what has the type already: cattrs would turn 1 into "1" without a word."""
    if issubclass(kind, Enum):  # the enums of the model are subclasses of str
        return kind(value)
    if kind is float and type(value) is int:
        return kind(value)  # type: ignore[call-arg]
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


# by class, since cattrs asks its own hooks for these classes before any predicate
for _kind in (str, int, float, bool):
    _converter.register_structure_hook(_kind, _exact)


def _list_hook(kind: Any) -> Any:
    """Take only a list: a text or a mapping can be iterated, too."""
    read = list_structure_factory(kind, _converter)
    return lambda value, _: read(_exact(value, list), kind)


_converter.register_structure_hook_factory(lambda kind: getattr(kind, "__origin__", None) is list, _list_hook)


def to_data(value: Any) -> Any:
    """Return `value` (an attrs instance) as plain dicts, lists and scalars."""
    return _converter.unstructure(value)


def dump(value: Any) -> str:
    """Return `value` (an attrs instance) as indented JSON that ends with a new line."""
    return json.dumps(to_data(value), indent=2, ensure_ascii=False) + "\n"


def load(kind: type[T], text: str, *, where: str) -> T:
    """Read a `kind` from JSON.

    Args:
        kind: an attrs class; a class with SCHEMA takes only that schema.
        text: the JSON text.
        where: the file that it came from, for the message.

    Raises:
        StateUnreadable: not JSON, an unknown or missing key, a wrong type or an unknown schema.
    """
    hint = f"if nothing else wrote it, it is damaged: move {where} away and run cold once"
    try:
        data = json.loads(text)
        wanted = getattr(kind, "SCHEMA", None)
        if wanted is not None and (not isinstance(data, dict) or data.get("schema") != wanted):
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise StateUnreadable(
                f"{where} has schema {found!r}, this ccci knows {wanted!r}",
                hint="use the ccci that wrote it, or a newer one",
            )
        if attrs.has(kind):
            data = _exact(data, dict)
        return _converter.structure(data, kind)
    except (ValueError, TypeError, RecursionError, cattrs.errors.BaseValidationError) as error:
        faults = "; ".join(cattrs.transform_error(error, path=kind.__name__))
        raise StateUnreadable(f"{where} cannot be read: {faults}", hint=hint) from error
