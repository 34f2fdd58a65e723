"""Show an app of the lab in a browser of this machine that trusts the lab's certificate and nothing more."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from ccci.errors import CommandFailed, InfrastructureError, UsageError
from ccci.lab import keys, outer, process
from ccci.lab.inside import Inside
from ccci.lab.record import BASE_DOMAIN, LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from ccci.lab.record import Record

PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "brave-browser",
)
SCREEN = "1280,900"


def domain_of(recipe: str) -> str:
    """The domain of a recipe's canonical; a domain of the lab stays as it is."""
    return recipe if recipe.endswith(f".{BASE_DOMAIN}") else f"warm-{recipe}.{BASE_DOMAIN}"


def browser_argv(lab: Record, program: str, profile: str, *, screenshot: Path | None = None) -> list[str]:
    """The browser's command line, without the address to show.

    Args:
        lab: the lab; its certificate is read.
        program: the browser.
        profile: a new folder for its profile.
        screenshot: where to write a picture instead of opening a window.
    """
    argv = [
        program,
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        f"--host-resolver-rules=MAP *.{BASE_DOMAIN} {LOOPBACK}:{lab.https_port}",
        f"--ignore-certificate-errors-spki-list={keys.spki_sha256(lab.folder / 'cert.pem')}",
    ]
    if os.geteuid() == 0:
        argv.append("--no-sandbox")  # Chromium refuses to run as root with it
    if screenshot is not None:
        argv += ["--headless=new", "--hide-scrollbars", f"--window-size={SCREEN}"]
        argv.append(f"--screenshot={screenshot.absolute()}")
    return argv


def curl_line(lab: Record, domain: str) -> str:
    """A command to paste that asks an app for its page without a browser."""
    port = lab.https_port
    target = f"--connect-to {domain}:443:{LOOPBACK}:{port}"
    return f"curl --cacert {lab.folder / 'ca.pem'} {target} https://{domain}/"


def show(lab: Record, recipe: str, *, program: str | None = None, screenshot: Path | None = None) -> None:
    """Open a browser at an app of the lab and wait until it is closed, or take a picture.

    Args:
        lab: the lab.
        recipe: the recipe whose canonical to show, or the domain of an app.
        program: the browser, or None to look for one.
        screenshot: where to write a picture instead of opening a window.

    Raises:
        UsageError: the app is not deployed.
        InfrastructureError: there is no browser, or it wrote no picture.
    """
    domain = domain_of(recipe)
    _check_deployed(lab, domain)
    found = program or next((name for name in PROGRAMS if shutil.which(name)), None)
    if found is None or shutil.which(found) is None:
        raise InfrastructureError(
            f"there is no {found or 'Chromium or Chrome'} on this machine",
            hint=f"install one (Debian: apt-get install chromium), or ask by hand: {curl_line(lab, domain)}",
        )
    with tempfile.TemporaryDirectory(prefix="ccci-browser-", ignore_cleanup_errors=True) as profile:
        argv = [*browser_argv(lab, found, profile, screenshot=screenshot), f"https://{domain}/"]
        if screenshot is None:
            subprocess.run(argv, capture_output=True, check=False)
            return
        screenshot.unlink(missing_ok=True)
        process.run(argv, what="taking the picture", timeout=60)
    if not screenshot.exists():
        raise CommandFailed(f"{found} wrote no picture of {domain}", hint=curl_line(lab, domain))


def _check_deployed(lab: Record, domain: str) -> None:
    engine = outer.running(lab.engine)
    if engine is None:
        raise InfrastructureError("the lab's Docker engine does not run", hint="`ccci lab up` starts it")
    stack = domain.replace(".", "_")
    inside = Inside(engine, lab)
    if inside.succeeds("docker", "service", "inspect", f"{stack}_app"):
        return
    listing = ("docker", "service", "ls", "--format", "{{.Name}}")
    services = inside.run(*listing, what="listing the lab's apps").split()
    raise UsageError(
        f"{domain} is not deployed in the lab",
        hint="a canonical is undeployed when idle: deploy it by `ccci canonical deploy`, "
        f"then open it again or ask by hand: {curl_line(lab, domain)}",
        detail=f"services there are: {', '.join(services) or 'none'}",
    )
