"""Send messages to people, by whatever way their addresses name; apprise knows the ways."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import apprise

from ccci.errors import UsageError

_OTHERS = 0o077
LONGEST = 4000  # characters of a message; ways that take less split or cut it by themselves


def read_addresses(path: Path) -> list[str]:
    """Read addresses, one a line; empty lines and those that begin with # do not count.

    Raises:
        UsageError: the file cannot be read, others may read it, or an address is none. Addresses hold passwords: the
            message names the line only.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the addresses for alerts cannot be read: {path}: {type(error).__name__}") from error
    if mode & _OTHERS:
        raise UsageError(f"{path} holds passwords, and others may read it", hint=f"chmod 600 {path}")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        address = line.strip()
        if not address or address.startswith("#"):
            continue
        if not apprise.Apprise.instantiate(address, suppress_exceptions=True):
            raise UsageError(f"{path}: line {number} is no address", hint="apprise's documents list what there is")
        found.append(address)
    return found


def send(addresses: Sequence[str], title: str, body: str) -> list[str]:
    """Send a message to every address.

    Args:
        addresses: as `read_addresses` returns them.
        title: one line of plain text.
        body: plain text; cut at `LONGEST` characters.

    Returns:
        What could not be delivered: the number of the address and its scheme, never the address.
    """
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    text = body if len(body) <= LONGEST else body[: LONGEST - 2] + " …"
    failed = []
    for number, address in enumerate(addresses, 1):
        way = apprise.Apprise()
        way.add(address)
        if not way.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT):
            failed.append(f"address {number} ({address.partition(':')[0]})")
    return failed
