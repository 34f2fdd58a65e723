"""`ccci canonical`: look at known-good, and change it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table

from ccci.cli.play import complete_recipe, settings_for
from ccci.engine.console import console_sink
from ccci.engine.operator import operator_run, operator_session
from ccci.engine.run import Run
from ccci.events import Stream
from ccci.model import codec, names
from ccci.steps import lifecycle, operator

_host = click.option("--host", help="The host to work on, by its name in the settings.")
_recipe = click.argument("recipe", shell_complete=complete_recipe)
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def canonical() -> None:
    """Look at the canonicals and their known-good; deploy, change, move and retire them by hand."""


@contextmanager
def _run(verb: str, recipe: str, host: str | None) -> Iterator[Run]:
    settings = settings_for(host)
    stream = Stream()
    stream.attach(console_sink(verbose=False))
    with operator_session(settings, f"canonical {verb}", stream) as session:
        yield operator_run(session, settings, recipe)


@canonical.command("list")
@_host
def list_(host: str | None) -> None:
    """List every canonical: version, status, what runs."""
    with operator_session(settings_for(host), "canonical list", Stream()) as session:
        glances, faults = operator.list_canonicals(session)
    for fault in faults:
        click.echo(f"! {fault}")
    if not glances:
        click.echo("no canonical yet: a green `ccci play cold --recipe R` makes one")
        return
    table = Table("recipe", "known-good", "commit", "before it", "status", "deployed", "lock", box=None)
    for glance in glances:
        record = glance.record
        lock = "held" if glance.holder is not None else "free"
        table.add_row(
            record.recipe,
            record.version,
            record.commit[:7],
            record.previous.version if record.previous else "-",
            record.status.value,
            "yes" if glance.running else "no",
            lock,
        )
    Console().print(table)


@canonical.command()
@_recipe
@_host
def show(recipe: str, host: str | None) -> None:
    """Show a canonical's record and its snapshot's manifest."""
    with operator_session(settings_for(host), "canonical show", Stream()) as session:
        found = operator.known(operator_run(session, settings_for(host), recipe))
    click.echo(codec.dump(found.record) + codec.dump(found.manifest), nl=False)


@canonical.command()
@_recipe
@_host
def verify(recipe: str, host: str | None) -> None:
    """Compare archives and volumes with known-good's digests, byte for byte."""
    with _run("verify", recipe, host) as run:
        lines = operator.verify(run)
    click.echo("\n".join([*lines, f"{recipe}: archives and volumes are known-good {run.head.version}"]))


@canonical.command()
@_recipe
@_host
def deploy(recipe: str, host: str | None) -> None:
    """Deploy a canonical at known-good, on its own data. No run touches it until it is undeployed."""
    with _run("deploy", recipe, host) as run:
        url = operator.deploy(run)
    click.echo(f"{url} is up. Afterwards: `ccci canonical undeploy {recipe}`")


@canonical.command()
@_recipe
@_host
def undeploy(recipe: str, host: str | None) -> None:
    """Undeploy a canonical; its volumes stay."""
    with _run("undeploy", recipe, host) as run:
        same = operator.undeploy(run)
    if same:
        click.echo(f"{recipe} is idle; its data are known-good {run.head.version}")
    else:
        click.echo(
            f"{recipe} is undeployed, and its data differ from known-good: runs refuse it until\n"
            f"  `ccci canonical seed {recipe}` keeps them, or `ccci canonical restore {recipe}` throws them away"
        )


@canonical.command()
@_recipe
@_host
@_yes
def seed(recipe: str, host: str | None, yes: bool) -> None:
    """Take the undeployed canonical's data as known-good."""
    if not yes:
        click.confirm(f"Replace the known-good data of {recipe} by what its volumes hold now?", abort=True)
    with _run("seed", recipe, host) as run:
        record = operator.seed(run)
    click.echo(f"known-good of {recipe} is {record.version} with snapshot {record.snapshot[:12]}")


@canonical.command()
@_recipe
@_host
@_yes
def restore(recipe: str, host: str | None, yes: bool) -> None:
    """Throw the undeployed canonical's data away and put known-good back."""
    if not yes:
        click.confirm(f"Throw away what the volumes of {recipe} hold now?", abort=True)
    with _run("restore", recipe, host) as run:
        operator.restore(run)
    click.echo(f"{recipe} is idle; its data are known-good {run.head.version}")


@canonical.command()
@_recipe
@click.argument("version", default="")
@_host
@_yes
def promote(recipe: str, version: str, host: str | None, yes: bool) -> None:
    """Make a release that a stored green cold run has proven known-good: VERSION, or the newest."""
    if not yes:
        click.confirm(f"Bring the canonical of {recipe} to {version or 'the newest release'}, on its data?", abort=True)
    with _run("promote", recipe, host) as run:
        said = lifecycle.promote_release(run, names.git_ref(version) if version else "")
    click.echo(f"{recipe}: {said}")


@canonical.command()
@_recipe
@_host
@_yes
def rollback(recipe: str, host: str | None, yes: bool) -> None:
    """Go back to the known-good before this one, version and data; this one is kept in its place."""
    if not yes:
        click.confirm(f"Put the data of {recipe} back to those of the known-good before this one?", abort=True)
    with _run("rollback", recipe, host) as run:
        before = operator.known(run).known_good
        record = lifecycle.roll_back(run)
    click.echo(f"known-good of {recipe} is {record.version} again (was {before}); canonical idle, its data proven")


@canonical.command()
@_recipe
@_host
@_yes
def retire(recipe: str, host: str | None, yes: bool) -> None:
    """Remove a canonical for good: record, snapshots, volumes, secrets, env file. RECIPE need not be enrolled."""
    name = names.recipe_name(recipe)
    if not yes:
        click.confirm(
            f"Remove the canonical of {name} with all its data and snapshots? There is no way back", abort=True
        )
    stream = Stream()
    stream.attach(console_sink(verbose=False))
    with operator_session(settings_for(host), "canonical retire", stream) as session:
        volumes = lifecycle.retire(session, name)
    click.echo(f"{name} has no canonical any more; gone with it: {', '.join(volumes) or 'no volume'}")
