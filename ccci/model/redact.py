"""Take out of text what looks like a secret, before strangers read it. Pure.

Runs keep secrets out of their results; this is the second fence. It would rather take too much than too little.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

MARK = "[secret]"
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
    for value in sorted(_forms(known), key=len, reverse=True):
        text = text.replace(value, MARK)
    for pattern in _PATTERNS:
        text = pattern.sub(MARK, text)
    text = _ASSIGNED.sub(lambda found: found[1] + MARK, text)
    return _WORD.sub(lambda found: MARK if _looks_random(found[0]) else found[0], text)


def _forms(known: Iterable[str]) -> set[str]:
    made = set()
    for value in known:
        if len(value) >= _SHORTEST:
            made |= {value, quote(value, safe=""), base64.b64encode(value.encode()).decode().rstrip("=")}
    return made


def _looks_random(word: str) -> bool:
    """Tell random words from paths and names: what has one kind of letters only is a commit, a digest, a name."""
    return any(all(kind.search(part) for kind in _KINDS) for part in word.split("/") if len(part) >= _PART)
