"""Text for people: what recipes and containers print is made harmless and short before it meets a template."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone

LINES, WIDTH = 40, 300  # of a log in the report
_ESCAPES = re.compile(  # ECMA-48: OSC up to its end, CSI, other two-character sequences
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?"
)
_KEPT = "\t"


def clean(value: object) -> str:
    """Return one line of text without terminal escapes, control characters and marks that turn its direction.

    Such marks (Unicode's Cf) can make a page show another text than the one that is there.
    """
    text = _ESCAPES.sub("", str(value)).replace("\r", " ").replace("\n", " ")
    return "".join(c if c in _KEPT or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)


def log_lines(text: str) -> list[str]:
    """Return the last lines of a log, each cleaned and cut to a width."""
    lines = [clean(line.rstrip()) for line in re.split(r"\r?\n", text.strip("\n"))] if text.strip() else []
    cut = [line if len(line) <= WIDTH else f"{line[:WIDTH]} …" for line in lines[-LINES:]]
    return cut if len(lines) <= LINES else [f"… {len(lines) - LINES} lines before", *cut]


def took(seconds: float) -> str:
    """Return a duration as people say it: 0.4 s, 12 s, 3 min 05 s, 1 h 02 min."""
    whole = round(seconds)
    if seconds < 10:  # noqa: PLR2004  (below it tenths matter)
        return f"{seconds:.1f} s"
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def moment(stamp: str) -> datetime | None:
    """Return an ISO 8601 time of a record; None if it is none."""
    try:
        when = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def when_said(stamp: str) -> str:
    """Return a time of a record for people, in UTC."""
    when = moment(stamp)
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M") if when else clean(stamp)


def amount(size: float) -> str:
    """Return a number of bytes in GB."""
    return f"{size / 1e9:.1f} GB"
