"""Secrets of the bridge, from files that only their owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

from ccci.errors import UsageError

_OTHERS = 0o077
_LONGEST = 4096  # bytes
_SHORTEST = 16  # characters; what is shorter can be guessed


def read_secret(path: Path, *, what: str) -> str:
    """Read a secret: the one line of a file.

    Args:
        path: the file.
        what: the option that names it, for the message.

    Raises:
        UsageError: it cannot be read, others may read it, or it holds no secret. The message has nothing of it.
    """
    try:
        with path.open("rb") as file:
            mode, content = stat.S_IMODE(path.stat().st_mode), file.read(_LONGEST + 1)
    except OSError as error:
        raise UsageError(f"{what}: {path} cannot be read: {error.strerror or type(error).__name__}") from error
    if mode & _OTHERS:
        raise UsageError(f"{what}: {path} holds a secret, and others may read it", hint=f"chmod 600 {path}")
    secret = content.decode("ascii", errors="replace").strip()
    if not secret.isascii() or not secret.isprintable() or " " in secret or not _SHORTEST <= len(secret) <= _LONGEST:
        raise UsageError(
            f"{what}: {path} must hold one line of {_SHORTEST} characters or more, without spaces",
            hint="`openssl rand -hex 32` makes a good one for a webhook",
        )
    return secret
