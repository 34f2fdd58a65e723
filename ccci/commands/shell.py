"""Argument lists to shell text. This folder is the only place that quotes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from pyinfra.api import StringCommand

Argv = tuple[str, ...]


def argv(*words: object) -> Argv:
    """Return the words as an argument list; NUL, which no argument can hold, is refused."""
    out = tuple(str(word) for word in words)
    if any("\0" in word for word in out):
        raise ValueError(f"an argument holds NUL: {out!r}")
    return out


def quote(words: Sequence[str]) -> str:
    """Return an argument list as one line of POSIX shell that runs exactly it."""
    return shlex.join(words)


def command(
    words: Sequence[str] | str, *, stdin: str | bytes | None = None, timeout: float | None = None
) -> StringCommand:
    """Return a pyinfra command.

    Args:
        words: an argument list, or shell text made in this folder.
        stdin: text or bytes for its standard input; the only way for a secret.
        timeout: seconds after which the host itself ends it.
    """
    text = words if isinstance(words, str) else quote(words)
    if timeout is not None:
        text = quote(argv("timeout", "-k", "5", f"{timeout:g}", "sh", "-c", text))
    extra: dict[str, Any] = {} if stdin is None else {"_stdin": stdin}
    return StringCommand(text, **extra)


def pipe(*stages: Sequence[str]) -> str:
    """Return bash text that runs the stages as a pipe and fails if any of them fails."""
    return quote(argv("bash", "-o", "pipefail", "-c", " | ".join(quote(stage) for stage in stages)))


def all_of(*commands: Sequence[str] | str) -> str:
    """Return shell text that runs one after the other and stops at the first that fails."""
    return " && ".join(c if isinstance(c, str) else quote(c) for c in commands)
