"""Take out of text what looks like a secret, before strangers read it. Pure.

Runs keep secrets out of their results; this is the second fence. It would rather take too much than too little.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import quote

import attrs

MARK = "[secret]"
T = TypeVar("T")
_SHORTEST = 6  # characters; a shorter value is no secret, and would be found in every word
_KEYS = r"pass(?:word|wd|phrase)|pwd|secret|token|(?:api|access|private)[_-]?key|credential|authorization|cookie"
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*-----|\Z)", re.DOTALL),
    re.compile(r"(?<=://)[^/\s@]+(?=@)"),
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"),  # a JWT
    re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{6,}"),
    re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|sk-|sk_live_)[\w-]{8,}"),
)
_ASSIGNED = re.compile(rf"(?i)([\w.-]*(?:{_KEYS})[\w.-]*[\"']?\s*(?:=>|[:=])\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&]+)")
_SECRET_NAME = re.compile(rf"(?i){_KEYS}|(?:^|_)key$")
_NO_SECRET = ("_VERSION", "_FILE", "_LENGTH")
_WORD = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_PART = 8  # characters of a path's part that may be random
_KINDS = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))


def redacted(text: str, known: Iterable[str] = ()) -> str:
    """Return text with a mark instead of each secret.

    Args:
        text: anything.
        known: values that are secrets whatever they look like; also found in base64 and as parts of URLs.

    Returns:
        The text. Also taken out: private keys, passwords in URLs, tokens of known forms, what is assigned to a name
        such as `password`, and random-looking words of 20 characters or more.
    """
    text = without(text, known)
    for pattern in _PATTERNS:
        text = pattern.sub(MARK, text)
    text = _ASSIGNED.sub(lambda found: found[1] + MARK, text)
    return _WORD.sub(lambda found: MARK if _looks_random(found[0]) else found[0], text)


def without(value: T, known: Iterable[str]) -> T:
    """Return text, or a value that is made of texts, without what is known to be secret.

    Args:
        value: text, or attrs instances, lists, tuples and mappings with text in them.
        known: the secrets; found as they are, in base64 and as parts of URLs. Those of less than 6 characters stay.

    Returns:
        The same with a mark in the place of each; the value itself if there is nothing to take out.
    """
    forms = sorted(_forms(known), key=len, reverse=True)
    return _cleaned(value, forms) if forms else value


def _cleaned(value: Any, forms: list[str]) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        for form in forms:
            value = value.replace(form, MARK)
    elif isinstance(value, list | tuple):
        return type(value)(_cleaned(each, forms) for each in value)
    elif isinstance(value, dict):
        return {key: _cleaned(each, forms) for key, each in value.items()}
    elif attrs.has(type(value)) and not isinstance(value, type):
        fields = {field.name: _cleaned(getattr(value, field.name), forms) for field in attrs.fields(type(value))}
        return attrs.evolve(value, **fields)
    return value


def named_secret(values: Mapping[str, str]) -> list[str]:
    """Return the values of an env file whose names say that they are secret; names of versions and files are not."""
    return [v for k, v in values.items() if _SECRET_NAME.search(k) and not k.endswith(_NO_SECRET)]


def _forms(known: Iterable[str]) -> set[str]:
    made = set()
    for value in known:
        if len(value) >= _SHORTEST:
            made |= {value, quote(value, safe=""), base64.b64encode(value.encode()).decode().rstrip("=")}
    return made


def _looks_random(word: str) -> bool:
    """Tell random words from paths and names: what has one kind of letters only is a commit, a digest, a name."""
    return any(all(kind.search(part) for kind in _KINDS) for part in word.split("/") if len(part) >= _PART)
