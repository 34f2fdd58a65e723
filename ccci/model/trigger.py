"""The comment that asks for a run. Pure."""

from __future__ import annotations

COLD = "!testme"
QUICK = "!testme --quick"
_MEANS = {COLD: (True, False), QUICK: (True, True)}


def parse_trigger(text: str) -> tuple[bool, bool]:
    """Tell whether a comment asks for a run, and in which lane.

    Args:
        text: the whole comment. White space around it does not count; anything else besides the words does.

    Returns:
        Whether it asks for a run, and whether for the quick lane: `(True, False)` for "!testme", `(True, True)` for
        "!testme --quick", `(False, False)` for everything else.
    """
    return _MEANS.get(text.strip(), (False, False))
