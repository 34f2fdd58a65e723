"""Exceptions from the policy that a recipe's enrolment names: ``[policy] allow = ["docker-socket", "port:443"]``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import attrs

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}"
KINDS = {  # what an exception must have after its colon; nothing where that is None
    "bind": re.compile(r"[./~][!-~]{0,1023}"),
    "capability": re.compile(r"[A-Z][A-Z_]{0,40}"),
    "config": re.compile(_NAME),
    "docker-socket": None,
    "host-network": None,
    "network": re.compile(_NAME),
    "port": re.compile(r"any|[1-9][0-9]{0,4}"),
    "service": re.compile(r"[a-zA-Z0-9._-]{1,128}@[a-z]{1,32}"),
    "sysctl": re.compile(r"[a-z0-9._-]{1,128}"),
    "volume": re.compile(_NAME),
}


@attrs.frozen
class Exceptions:
    """What a recipe may have although the policy refuses it to others.

    Attributes:
        entries: ``kind`` or ``kind:value``, by the kinds of `KINDS`.
    """

    entries: frozenset[str] = frozenset()

    def has(self, kind: str, value: str) -> bool:
        """Return whether something is allowed; `value` is empty for a kind that has none."""
        return (f"{kind}:{value}" if value else kind) in self.entries


NONE = Exceptions()


def is_exception(entry: Any) -> bool:
    """Return whether an entry of ``allow`` is one that the policy knows."""
    if not isinstance(entry, str):
        return False
    kind, colon, value = entry.partition(":")
    pattern = KINDS.get(kind)
    return kind in KINDS and (pattern.fullmatch(value) is not None if pattern else not colon)


def wanted() -> str:
    """Say what ``allow`` may hold."""
    kinds: Iterable[str] = (f"{kind}:…" if pattern else kind for kind, pattern in KINDS.items())
    return f"a list of different exceptions: {', '.join(kinds)}"
