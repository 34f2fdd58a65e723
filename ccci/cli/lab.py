"""`ccci lab`: a disposable cc-ci host."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ccci.errors import InfrastructureError
from ccci.lab import browser, core, state

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = click.option("--name", default=core.DEFAULT_NAME, show_default=True, help="Which lab.")


class Steps:
    """Says each step with its seconds: a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One step; its line is written when the block ends."""
        start = time.monotonic()
        with self._console.status(text) if self._console.is_terminal else contextlib.nullcontext():
            yield
        self._console.print(f"  {text:<44}{time.monotonic() - start:6.1f} s", markup=False)


@click.group()
def lab() -> None:
    """A disposable cc-ci host in a container of this machine."""


@lab.command()
@NAME
@click.option(
    "--recipes",
    default=",".join(core.DEFAULT_RECIPES),
    show_default=True,
    help="Recipes whose images are to be in it, with commas between.",
)
def up(name: str, recipes: str) -> None:
    """Bring the lab up, or add what is missing to it."""
    wanted = [recipe.strip() for recipe in recipes.split(",") if recipe.strip()]
    with _total():
        made = core.up(name, wanted, Steps())
    option = "" if name == core.DEFAULT_NAME else f" --name {name}"
    click.echo(f"lab {made.name} is up. Next:")
    click.echo(f"  ccci play cold --recipe {wanted[0] if wanted else core.DEFAULT_RECIPES[0]}")
    click.echo(f"  ccci lab status{option}")
    click.echo(f"  ccci lab ssh{option}")
    click.echo(f"  ccci lab down{option}")


@lab.command()
@NAME
def down(name: str) -> None:
    """Remove the lab: container, volumes, network, keys, and the engine if we started it."""
    removed = core.down(name, Steps())
    click.echo(f"lab {name} is gone" if removed else f"there is no lab {name}")


@lab.command()
@NAME
def reset(name: str) -> None:
    """Make the lab anew, with the same ports, keys and recipes."""
    with _total():
        core.reset(name, Steps())
    click.echo(f"lab {name} is new")


@lab.command()
@click.option("--name", default=None, help="Which lab; all without it.")
def status(name: str | None) -> None:
    """Show the labs of this user: state, ports, recipes, images, disk."""
    labs = [core.existing(name)] if name else core.everything()
    if not labs:
        click.echo("there is no lab; `ccci lab up` makes one")
    for each in labs:
        for key, value in state.describe(each).items():
            click.echo(f"{key:<12} {value}")


@lab.command(context_settings={"ignore_unknown_options": True})
@NAME
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, command: tuple[str, ...]) -> None:
    """Open a shell on the lab's host, or run COMMAND there."""
    argv = state.ssh_argv(core.existing(name))
    try:
        # One argument is a line for the host's shell, as ssh has it; several are one command, word by word.
        line = command[0] if len(command) == 1 else shlex.join(command)
        os.execvp(argv[0], [*argv, *(["--", line] if line else [])])  # noqa: S606 - to become ssh, not to start one
    except FileNotFoundError as error:
        raise InfrastructureError("there is no ssh on this machine", hint="install openssh-client") from error


@lab.command("open")
@NAME
@click.option("--browser", "program", default=None, help="A Chromium or Chrome; found without it.")
@click.option("--screenshot", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("recipe")
def open_(name: str, program: str | None, screenshot: Path | None, recipe: str) -> None:
    """Show an app of the lab in a browser: that of RECIPE's canonical, or any by its domain."""
    browser.show(core.existing(name), recipe, program=program, screenshot=screenshot)
    if screenshot:
        click.echo(screenshot)


@contextlib.contextmanager
def _total() -> Iterator[None]:
    start = time.monotonic()
    yield
    click.echo(f"  {'in all':<44}{time.monotonic() - start:6.1f} s", err=True)
