"""Variables in compose files, replaced by docker's rules rather than by a shell's.

https://github.com/docker/cli/blob/master/cli/compose/template/template.go
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from ccci.errors import ComposeError
from ccci.model.names import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS = ("services", "volumes", "networks", "secrets", "configs")  # docker interpolates nothing else
_OUTPUT_MAX = 8 << 20  # characters that variables may add up to in one file

# A default also follows a variable without braces: docker reads "$A-b" as "${A-b}", to many a surprise.
_NAME = r"[_a-zA-Z][_a-zA-Z0-9]*(?::?[-?][^}]*)?"
_PATTERN = re.compile(rf"\$(?:(?P<escaped>\$)|(?P<named>{_NAME})|\{{(?P<braced>{_NAME})\}}|(?P<invalid>))")


@attrs.define
class Interpolator:
    """Replaces variables in everything that was read from one file.

    Attributes:
        env: the values; nothing comes from the environment of this process.
        where: the file's name, for messages.
        unset: names that had no value and no default; docker warns of them and goes on with "".
    """

    env: Mapping[str, str]
    where: str
    unset: dict[str, None] = attrs.field(factory=dict)
    _produced: int = 0

    def sections(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the variables in the sections in which docker does.

        Args:
            content: a whole compose file.

        Returns:
            A copy; keys are never changed.

        Raises:
            ComposeError: a reference is malformed, a required variable is missing, or the result is huge.
        """
        return {k: self._value(v, k) if k in SECTIONS else v for k, v in content.items()}

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {k: self._value(v, f"{path}.{k}") for k, v in value.items()}
        if isinstance(value, list):
            return [self._value(v, f"{path}[{i}]") for i, v in enumerate(value)]
        return self.text(value, path) if isinstance(value, str) and "$" in value else value

    def text(self, text: str, path: str) -> str:
        """Replace the variables in one string.

        Args:
            text: the string.
            path: where it is in the file, for messages.

        Returns:
            The string with the values.

        Raises:
            ComposeError: as for `sections`.
        """

        def replace(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "$"
            if not (found := match["named"] or match["braced"]):
                raise self._fault(path, f"{shown(text)} has a malformed variable", "write $$ for a plain $")
            value = self._lookup(found, path)
            self._produced += len(value)
            if self._produced > _OUTPUT_MAX:
                raise self._fault(path, "variables make the file too large", "shorten the values")
            return value

        return _PATTERN.sub(replace, text)

    def _lookup(self, found: str, path: str) -> str:
        for separator in (":-", "-", ":?", "?"):  # docker tries them in this order, wherever they stand
            name, present, rest = found.partition(separator)
            if not present:
                continue
            value = self.env.get(name)
            if value or (value is not None and not separator.startswith(":")):
                return value
            if separator.endswith("-"):
                return rest
            raise self._fault(
                path, f"required variable {shown(name)} is missing: {shown(rest)}", "set it in the env file"
            )
        if found not in self.env:
            self.unset[found] = None
        return self.env.get(found, "")

    def _fault(self, path: str, what: str, hint: str) -> ComposeError:
        return ComposeError(f"{self.where}: {shown(path)[1:-1]}: {what}", hint=hint)
