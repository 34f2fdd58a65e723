"""`python -m ccci.lab`: the same verbs as `ccci lab`."""

from __future__ import annotations

import sys

import click

from ccci.cli.lab import lab
from ccci.errors import CcciError


def main() -> int:
    """Run a verb; an error of ours becomes its message and its exit code."""
    try:
        lab(prog_name="ccci lab", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except CcciError as error:
        for line in (f"error: {error.what}", error.detail, error.hint and f"try: {error.hint}"):
            if line:
                click.echo(line, err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
