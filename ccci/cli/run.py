"""`ccci run`: a run described by the environment, as CI systems do."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import click

from ccci.cli.play import settings_for
from ccci.engine.console import console_sink
from ccci.engine.request import Context, request_from_environment
from ccci.engine.start import start
from ccci.events import Stream


@click.command()
@click.option("--host", help="The host to work on, by its name in the settings.")
@click.option("--result", type=click.Path(path_type=Path, dir_okay=False), help="Write result.json here, too.")
@click.option("-v", "--verbose", is_flag=True, help="Show what pytest prints.")
def run(host: str | None, result: Path | None, verbose: bool) -> int:
    """Run what RECIPE, REF, PR, CCCI_QUICK=1 or MODE=quick, STAGES and CCCI_SKIP_FETCH describe."""
    request = attrs.evolve(request_from_environment(os.environ), result=result)
    pull = f" pr={request.pull_request}" if request.pull_request else ""
    ref = request.ref or ("(its head)" if pull else "(the newest)")
    click.echo(f"mode={request.playbook} recipe={request.recipe}{pull} ref={ref}")
    stream = Stream()
    stream.attach(console_sink(verbose=verbose))
    return start(Context(settings_for(host), request), stream).exit_code
