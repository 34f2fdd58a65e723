"""YAML from a pull request, read as docker reads it and with limits.

A few lines of YAML can name a billion nodes by aliases or nest deeper than any stack, so both are bounded
before anything is built. Scalars follow go-yaml, which docker uses: no sexagesimal numbers (``22:22`` is a
port mapping) and no dates.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import yaml
from typing_extensions import override

from ccci.errors import ComposeError
from ccci.model.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE_MAX = 1 << 20  # bytes of UTF-8
DEPTH_MAX = 60  # levels; compose needs about ten
NODES_MAX = 50_000  # after expanding aliases
TEXT_MAX = 8 << 20  # characters of all scalars after expanding aliases

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_DIGITS_MAX = 40
_TRUE, _FALSE = {"yes", "true", "on"}, {"no", "false", "off"}


class _YamlError(Exception):
    """Something at a mark cannot be used."""

    def __init__(self, what: str, mark: yaml.Mark | None) -> None:
        super().__init__(what)
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """SafeLoader up to the node graph, with a bound on depth and numbers, and go-yaml's scalars."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, regexp) for tag, regexp in pairs if tag.rpartition(":")[2] in {"bool", "null", "merge"}]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0
    nodes = 0

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.nodes += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.depth > DEPTH_MAX:
            raise _YamlError(f"nested deeper than {DEPTH_MAX} levels", mark)
        if self.nodes > NODES_MAX:
            raise _YamlError(f"more than {NODES_MAX} values", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(rf"(?:{_INT.pattern})\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", re.compile(rf"(?:{_FLOAT.pattern})\Z"), list("-+0123456789."))


def load_mapping(text: str, *, where: str) -> dict[str, Any]:
    """Read one YAML document whose top is a mapping.

    Args:
        text: the document; empty is an empty mapping.
        where: the file's name, for messages.

    Returns:
        Dicts with string keys, lists, strings, numbers, booleans and None; of repeated keys the last counts.

    Raises:
        ComposeError: it is no such YAML, or exceeds a limit; the message names the line where there is one.
    """
    if len(text) > SIZE_MAX or len(text.encode("utf-8", "replace")) > SIZE_MAX:
        raise ComposeError(f"{where} is larger than 1 MiB", hint="no compose file needs that")
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            return {}
        return _top(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _fault(where, mark, error.problem or error.context or "it is no YAML") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else 1
        raise ComposeError(f"{where} line {line}: {error.reason}", hint="save it as plain UTF-8 text") from None
    except _YamlError as error:
        raise _fault(where, error.mark, str(error)) from None


def _top(node: yaml.Node) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _YamlError("the top must be a mapping such as 'services:'", node.start_mark)
    _check_expanded(node)
    return _mapping(node)


def _fault(where: str, mark: yaml.Mark | None, what: str) -> ComposeError:
    place = f"{where} line {mark.line + 1}" if mark else where
    return ComposeError(f"{place}: {what}", hint="correct the file in the recipe")


def _check_expanded(root: yaml.Node) -> None:
    """Count what the graph would be without aliases; also finds an alias that contains itself."""
    sizes: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def measure(node: yaml.Node) -> tuple[int, int]:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise _YamlError("an alias refers to what it is part of", node.start_mark)
        open_nodes.add(id(node))
        count, length = 1, len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        for child in _children(node):
            more, longer = measure(child)
            count, length = count + more, length + longer
        if count > NODES_MAX or length > TEXT_MAX:
            raise _YamlError("aliases make it too large", node.start_mark)
        open_nodes.discard(id(node))
        sizes[id(node)] = count, length
        return count, length

    measure(root)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value


def _build(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_build(child) for child in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    own: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag == f"{_TAG}merge":
            for name, item in _merge_sources(value):
                merged.setdefault(name, item)
        elif not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
            raise _YamlError("a key is no string; quote it", key.start_mark)
        else:
            own[key.value] = _build(value)
    return {**merged, **own}


def _merge_sources(value: yaml.Node) -> Iterator[tuple[str, Any]]:
    for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        if not isinstance(source, yaml.MappingNode):
            raise _YamlError("'<<' takes a mapping or a list of them", source.start_mark)
        yield from _mapping(source).items()


def _scalar(node: yaml.Node) -> Any:
    kind, text = node.tag.removeprefix(_TAG), str(node.value)
    if kind in {"str", "merge", "value"}:
        return text
    if kind == "null" and text in {"", "~", "null", "Null", "NULL"}:
        return None
    if kind == "bool" and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if kind == "int" and _INT.fullmatch(text) and len(text) <= _DIGITS_MAX:
        return _integer(text, node)
    if kind == "float" and (_FLOAT.fullmatch(text) or _INT.fullmatch(text)) and len(text) <= _DIGITS_MAX:
        return _float(text.replace("_", "").lower(), node)
    raise _YamlError(f"{shown(text)} is no {shown(kind)} that can be used here", node.start_mark)


def _integer(text: str, node: yaml.Node) -> int:
    digits = text.replace("_", "").lower()
    if re.fullmatch(r"[-+]?0[0-7]+", digits):  # an octal number as C writes it
        digits = digits.replace("0", "0o", 1)
    try:
        return int(digits, 0)
    except ValueError:
        raise _YamlError(f"{shown(text)} is no number", node.start_mark) from None


def _float(digits: str, node: yaml.Node) -> float:
    special = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
    try:
        return special[digits] if digits in special else float(digits)
    except ValueError:
        raise _YamlError(f"{shown(digits)} is no number", node.start_mark) from None
