"""`ccci lab`: a disposable cc-ci host."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

import click
from rich.console import Console

from ccci.errors import CcciError
from ccci.lab import core
from ccci.lab.record import Record

NAME = click.option("--name", default=core.DEFAULT_NAME, show_default=True, help="Which lab.")


class Steps:
    """Says each step with its seconds: a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One step; its line is written when the block ends."""
        start = time.monotonic()
        waiting = self._console.status(text) if self._console.is_terminal else contextlib.nullcontext()
        with waiting:
            yield
        self._console.print(f"  {text:<42} {time.monotonic() - start:6.1f} s")


@click.group()
def lab() -> None:
    """A disposable cc-ci host in a container."""


@lab.command()
@NAME
@click.option("--recipes", default=",".join(core.DEFAULT_RECIPES), show_default=True)
def up(name: str, recipes: str) -> None:
    """Bring the lab up."""
    wanted = [recipe for recipe in recipes.split(",") if recipe]
    made: Record = core.up(name, wanted, Steps())
    click.echo(f"lab {made.name} is up")


@lab.command()
@NAME
def down(name: str) -> None:
    """Remove the lab."""
    click.echo("removed" if core.down(name, Steps()) else "there was nothing to remove")
