"""`ccci doctor`: what is missing here and on the host, and the fix."""

from __future__ import annotations

import shutil

import click

from ccci.cli.play import settings_for
from ccci.engine import loader
from ccci.engine.operator import operator_session
from ccci.engine.session import Session
from ccci.errors import CcciError
from ccci.events import Stream
from ccci.facts.docker import DockerEngine, Networks
from ccci.facts.system import Listens, MissingCommands
from ccci.model.enrolment import enrolled, find_recipe
from ccci.settings import Settings

_NEEDED = (
    "docker",
    "git",
    "curl",
    "tar",
    "zstd",
    "flock",
    "timeout",
    "sha256sum",
    "bash",
    "find",
    "base64",
    "gzip",
)


@click.command()
@click.option("--host", help="The host to look at, by its name in the settings.")
def doctor(host: str | None) -> int:
    """Check this machine and the host; say what is missing and how to mend it. Changes nothing."""
    faults = 0
    settings = settings_for(host)
    for name, problem, fix in [*_here(settings), *_there(settings)]:
        faults += bool(problem)
        click.echo(f"{'ok     ' if not problem else 'MISSING'}  {name}{f': {problem}' if problem else ''}")
        if problem:
            click.echo(f"           fix: {fix}")
    click.echo("all is well" if not faults else f"{faults} thing(s) to mend")
    return 0 if not faults else 3


Check = tuple[str, str, str]


def _here(settings: Settings) -> list[Check]:
    checks: list[Check] = []
    names = enrolled(settings.recipes)
    checks.append(
        (
            f"{len(names)} recipes in {settings.recipes}",
            "" if names else "none is enrolled",
            "see docs/recipes.md",
        )
    )
    for name in names:
        try:
            find_recipe(name, settings.recipes)
        except CcciError as error:
            checks.append((f"recipe {name}", error.what, error.hint or "see docs/recipes.md"))
    try:
        checks.append((f"{len(loader.load_all(settings))} playbooks", "", ""))
    except CcciError as error:
        checks.append(("playbooks", error.what, error.hint or ""))
    ssh = "" if shutil.which("ssh") else "no ssh command (only `ccci lab ssh` needs it)"
    return [*checks, ("ssh", ssh, "apt-get install openssh-client")]


def _there(settings: Settings) -> list[Check]:
    try:
        with operator_session(settings, "doctor", Stream()) as session:
            return [(f"SSH to {settings.host}", "", ""), *_host(session)]
    except CcciError as error:
        return [(f"host {settings.host}", error.what, error.hint or "look at the host")]


def _host(session: Session) -> list[Check]:
    missing = session.read(MissingCommands, names=_NEEDED)
    checks: list[Check] = [
        (
            "commands on the host",
            ", ".join(missing),
            "install the packages that have them: docker.io git curl zstd util-linux",
        )
    ]
    if "docker" in missing or "curl" in missing:
        return checks
    engine = session.read(DockerEngine)
    checks.append((f"Docker {engine.version}", "", ""))
    checks.append(("Swarm manager", "" if engine.manager else "it is none", "docker swarm init"))
    proxy = "proxy" in session.read(Networks) if engine.manager else False
    checks.append(("network proxy", "" if proxy else "there is none", "docker network create --driver overlay proxy"))
    listens = session.read(Listens, port=443)
    checks.append(("proxy on port 443", "" if listens else "nothing listens", "deploy the recipe traefik"))
    return checks
