"""`ccci bridge`: comments on pull requests become runs."""

from __future__ import annotations

import os
import sys

import click


@click.group()
def bridge() -> None:
    """Let comments on pull requests ask for runs."""


@bridge.command()
def serve() -> None:
    """Serve webhooks, or poll, as the table [bridge] of the settings says; until SIGTERM."""
    # a process of its own: this one is patched by gevent, and the bridge works with threads
    words = [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "ccci.bridge"]
    os.execv(sys.executable, words)  # noqa: S606  (no shell: an argument list)
