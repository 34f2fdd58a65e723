"""`ccci run`: a run described by the environment, as CI systems do."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import click

from ccci.cli.play import settings_for
from ccci.engine.console import console_sink
from ccci.engine.progress import claim, keep_result, note_refusal, progress_sink
from ccci.engine.request import Context, request_from_environment
from ccci.engine.start import start
from ccci.errors import CcciError
from ccci.events import Stream
from ccci.settings import Settings


@click.command()
@click.option("--host", help="The host to work on, by its name in the settings.")
@click.option("--result", type=click.Path(path_type=Path, dir_okay=False), help="Write result.json here, too.")
@click.option("-v", "--verbose", is_flag=True, help="Show what pytest prints.")
def run(host: str | None, result: Path | None, verbose: bool) -> int:
    """Run what RECIPE, REF, PR, CCCI_QUICK=1 or MODE=quick, STAGES and CCCI_SKIP_FETCH describe."""
    settings = settings_for(host)
    folder = claim(os.environ, settings.results)
    try:
        return _run(settings, folder, result, verbose)
    except CcciError as error:
        if folder:
            note_refusal(folder, error)
        raise


def _run(settings: Settings, folder: Path | None, result: Path | None, verbose: bool) -> int:
    request = attrs.evolve(request_from_environment(os.environ), result=result)
    pull = f" pr={request.pull_request}" if request.pull_request else ""
    ref = request.ref or ("(its head)" if pull else "(the newest)")
    click.echo(f"mode={request.playbook} recipe={request.recipe}{pull} ref={ref}")
    stream = Stream()
    stream.attach(console_sink(verbose=verbose))
    if folder:
        stream.attach(progress_sink(folder))
    ended = start(Context(settings, request), stream)
    if folder:
        keep_result(folder, ended)
    return ended.exit_code
