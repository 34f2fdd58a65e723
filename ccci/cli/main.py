"""The command `ccci`. gevent's patch comes first: pyinfra's time-outs do not work without it."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import click  # noqa: E402
from typing_extensions import override  # noqa: E402

from ccci import __version__  # noqa: E402
from ccci.cli.lab import lab  # noqa: E402
from ccci.errors import CcciError  # noqa: E402


class _Group(click.Group):
    """Verbs are imported when they are called, so that `ccci --help` is quick."""

    _LAZY = ("play", "run", "bridge", "canonical", "alerts", "realm", "host", "report", "status", "log", "doctor")

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._LAZY])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._LAZY:
            import importlib  # noqa: PLC0415

            command: click.Command = getattr(importlib.import_module(f"ccci.cli.{cmd_name}"), cmd_name)
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """CI for self-hosted apps on Docker Swarm: is this change safe, how sure, and if not, why not?"""


cli.add_command(lab)


def main() -> None:
    """Run the command line; every error is one clear message and its exit code."""
    try:
        code = cli(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except CcciError as error:
        say_error(error)
        sys.exit(error.exit_code)


def say_error(error: CcciError) -> None:
    """Say an error: what and where, the output that matters, what to do."""
    click.echo(f"ccci: {error.what}", err=True)
    for line in (error.detail or "").splitlines()[-15:]:
        click.echo(f"  | {line}", err=True)
    if error.hint:
        click.echo(f"  what to do: {error.hint}", err=True)


if __name__ == "__main__":
    main()
