"""The lab itself: up twice is up once, down leaves nothing, labs live side by side, all of it on loopback only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.crash import bring_up, engine
from tests.support.host import LabHost
from tests.support.recipe import KNOWN_GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recipe import LabRecipe
    from tests.support.running import Done
    from tests.support.truth import KnownGood


def lab_says(host: LabHost, verb: str, *words: str, before: tuple[str, ...] = ()) -> Done:
    """Run a verb of `ccci lab` on this lab."""
    return host.start("ccci", "lab", verb, "--name", host.name, *before, *words).finish()


def record(host: LabHost) -> dict[str, object]:
    """Return what the controller remembers of a lab."""
    data: dict[str, object] = json.loads((host.home / "labs" / host.name / "lab.json").read_text("utf-8"))
    return data


def of_lab(host: LabHost, using: LabHost) -> list[str]:
    """Return all that the engine of another lab has under a lab's name."""
    found = [
        f"network {name}" for name in engine(using.home, using.name, "network", "ls", "--format", "{{.Name}}").split()
    ]
    for kind, listing in (("container", ("ps", "--all")), ("volume", ("volume", "ls"))):
        template = "{{.Names}}" if kind == "container" else "{{.Name}}"
        found += [f"{kind} {name}" for name in engine(using.home, using.name, *listing, "--format", template).split()]
    return sorted(line for line in found if f"ccci-lab-{host.name}" in line)


def processes_naming(text: str) -> list[int]:
    """Return the processes of this machine that have a text in their command line or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in seen and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


@pytest.fixture
def other(lab: LabHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A lab beside that of the session, which the test takes down."""
    host = LabHost(f"c-{lab.name}", lab.home, tmp_path_factory.mktemp("c"))
    bring_up(host)
    yield host
    assert lab_says(host, "down").code == 0


def test_second_up_changes_nothing(lab: LabHost) -> None:
    """`ccci lab up` of a lab that is up keeps its container, ports, keys and hosts file, and all that runs in it."""

    def photograph() -> tuple[object, ...]:
        keys = [p.read_bytes() for p in sorted((lab.home / "labs" / lab.name).iterdir()) if p.is_file()]
        inspected = json.loads(engine(lab.home, lab.name, "inspect", f"ccci-lab-{lab.name}"))[0]
        proxy = lab.sh(
            "docker service ps -q --no-trunc -f desired-state=running $(docker service ls -q -f name=traefik)"
        )
        swarm = lab.sh("docker info -f '{{.Swarm.NodeID}} {{.ID}}'")
        return keys, lab.settings, inspected["Id"], inspected["State"]["StartedAt"], proxy, swarm

    before = photograph()
    bring_up(lab)
    assert photograph() == before


def test_two_labs_and_the_end_of_one(lab: LabHost, other: LabHost) -> None:
    """Two labs have hosts, swarms and ports of their own; `down` of one leaves nothing of it and all of the other."""
    swarm = "docker info -f '{{.Swarm.Cluster.ID}}'"
    assert lab.sh(swarm) != other.sh(swarm)
    ports = [record(host)[f"{kind}_port"] for host in (lab, other) for kind in ("ssh", "http", "https")]
    assert len(set(ports)) == len(ports)
    there, folder = of_lab(lab, lab), other.home / "labs" / other.name
    container = engine(lab.home, lab.name, "inspect", "-f", "{{.Id}}", f"ccci-lab-{other.name}")
    assert of_lab(other, lab)
    assert processes_naming(container)
    other.close()
    assert lab_says(other, "down").code == 0
    assert of_lab(other, lab) == []
    assert processes_naming(container) == []
    assert processes_naming(f"ccci-lab-{other.name}") == []
    assert not folder.exists()
    assert not (other.home / "hosts" / f"{other.name}.toml").exists()
    for port in ports[3:]:
        assert f":{int(str(port)):04X} " not in listening(), f"somebody listens on {port}"
    assert of_lab(lab, lab) == there
    assert lab.sh("docker info -f '{{.Swarm.LocalNodeState}}'") == "active"
    again = lab_says(other, "down")
    assert (again.code, again.out) == (0, f"there is no lab {other.name}")


def listening() -> str:
    """Return the sockets of this machine that listen, as the kernel lists them."""
    lines = (
        Path("/proc/net/tcp").read_text("utf-8").splitlines() + Path("/proc/net/tcp6").read_text("utf-8").splitlines()
    )
    return "\n".join(f"{line.split()[1]} " for line in lines[1:] if line.split()[3] == "0A")


def test_ports_are_on_loopback_only(lab: LabHost) -> None:
    """`lab status` tells the ports; each listens on 127.0.0.1 and on no other address of this machine."""
    status = lab_says(lab, "status")
    assert status.code == 0, status.all
    known = record(lab)
    said = f"ssh {known['ssh_port']}, http {known['http_port']}, https {known['https_port']} on 127.0.0.1"
    assert said in status.out, status.out
    assert "state        running" in status.out
    for kind in ("ssh", "http", "https"):
        end = f":{int(str(known[f'{kind}_port'])):04X} "
        where = [line for line in listening().splitlines() if f"{line} ".endswith(end) or line.endswith(end)]
        assert [line.partition(":")[0] for line in where] == ["0100007F"], (kind, where)


@pytest.fixture
def deployed(kept: KnownGood) -> Iterator[LabRecipe]:
    """The worker's recipe, deployed by an operator."""
    recipe = kept.recipe
    up = recipe.ccci("canonical", "deploy", recipe.name)
    assert up.code == 0, up.all
    yield recipe
    down = recipe.ccci("canonical", "undeploy", recipe.name)
    assert down.code == 0, down.all


def test_url_is_the_same_everywhere(deployed: LabRecipe) -> None:
    """One URL serves the app from the host, from a container of another service and from this machine, TLS verified."""
    host, domain = deployed.host, deployed.domain
    url, ask = f"https://{domain}/", "curl -sS --fail --max-time 20"
    on_host = host.sh(f"{ask} {url}")
    assert "<" in on_host, on_host
    ca, port = host.settings["ca"], record(host)["https_port"]
    words = [*ask.split(), "--cacert", str(ca), "--connect-to", f"{domain}:443:127.0.0.1:{port}", url]
    outside = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (outside.returncode, outside.stdout.strip()) == (0, on_host), outside.stderr
    untrusted = subprocess.run([w for w in words if w not in {"--cacert", str(ca)}], capture_output=True, check=False)
    assert untrusted.returncode == 60, untrusted
    ca_there = host.sh("ls /etc/ssl/certs/ca-certificates.crt")
    inside = host.sh(
        f"docker run --rm --network proxy -v {ca_there}:{ca_there}:ro nginx:1.26.3 {ask} --cacert {ca_there} {url}"
    )
    assert inside == on_host


def test_ssh_returns_exit_codes(lab: LabHost) -> None:
    """`lab ssh -- command` runs the command word by word on the host and ends with its exit code."""
    done = lab_says(lab, "ssh", "--", "sh", "-c", 'printf "%s|" "$@"; hostname; exit 7', "-", "a b", "$HOME")
    assert (done.code, done.out) == (7, f"a b|$HOME|{lab.name}"), done.all
    assert lab_says(lab, "ssh", "--", "true").code == 0


def test_releases_are_annotated_tags(lab: LabHost) -> None:
    """The lab's recipes have releases as abra makes them: annotated tags, and one light tag that is none."""
    listing = "git -C /srv/git/{0}.git for-each-ref --format='%(objecttype) %(refname:short)' refs/tags"
    pairs = [line.split() for line in lab.sh(listing.format("custom-html")).splitlines()]
    tags = {name: kind for kind, name in pairs}
    assert tags[KNOWN_GOOD] == "tag"
    assert {name: kind for name, kind in tags.items() if kind != "tag"} == {"1.12.0+1.26.3": "commit"}
    assert set(lab.sh(listing.format("traefik") + " | cut -d' ' -f1").split()) == {"tag"}


def test_open_of_an_app_that_is_down(lab: LabHost) -> None:
    """`lab open` of a recipe whose canonical is not deployed says so, and how to deploy it."""
    done = lab_says(lab, "open", "nothing-here")
    assert done.code == 2, done.all
    assert "warm-nothing-here.ci.lab.test is not deployed" in done.stderr
    assert "ccci canonical deploy" in done.stderr


def test_open_without_a_browser(deployed: LabRecipe) -> None:
    """`lab open` without a browser gives a command that shows the page all the same, and that command works."""
    done = lab_says(deployed.host, "open", deployed.name, before=("--browser", "no-such-browser"))
    assert done.code == 3, done.all
    assert "there is no no-such-browser on this machine" in done.stderr
    command = done.stderr.partition("by hand: ")[2].splitlines()[0].split()
    assert command[0] == "curl"
    shown = subprocess.run([*command, "-sS", "--fail"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
