"""`ccci report`: write what is known of hosts and their runs as static pages."""

from __future__ import annotations

from pathlib import Path

import click

from ccci import settings as settings_module
from ccci.engine.operator import operator_session
from ccci.errors import CcciError
from ccci.events import Stream
from ccci.report.collect import HostFindings, read_here, read_host
from ccci.report.site import write_site
from ccci.report.view import make_board
from ccci.settings import Settings

NEWEST = 200


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("report"), show_default=True,
    help="The folder to write.",
)  # fmt: skip
@click.option("--host", "hosts", multiple=True, help="A host to look at, by its name in the settings; may be repeated.")
@click.option("--runs", type=click.IntRange(1, 5000), default=NEWEST, show_default=True, help="Runs of a host at most.")
@click.option("--url", "address", default="", help="Where the folder will be served, for the links of the feed.")
def report(out: Path, hosts: tuple[str, ...], runs: int, address: str) -> int:
    """Write a report: canonicals, providers, nights and runs as pages, with a JSON feed and a badge for each recipe."""
    settings = settings_module.load(flags={"host": hosts[0]} if hosts else None)
    findings = [_read(settings, name, runs) for name in dict.fromkeys(hosts or (settings.host,))]
    findings.append(read_here(settings.results, newest=runs))
    board = make_board(findings)
    files = write_site(board, out, address=address)
    click.echo(f"{files[0]}: {len(board.recipes)} recipe(s), {len(board.runs)} run(s), {len(files)} files")
    for found in findings:
        for line in [found.error, *found.faults]:
            if line:
                click.echo(f"! {line}", err=True)
    return 3 if any(found.error for found in findings) else 0


def _read(settings: Settings, name: str, runs: int) -> HostFindings:
    """Read a host; one that cannot be read is shown as such, and the report is made all the same."""
    settings.get_host(name)
    try:
        with operator_session(settings_module.load(flags={"host": name}), "report", Stream()) as session:
            return read_host(session, newest=runs)
    except CcciError as error:
        return HostFindings(name, error=error.what)
