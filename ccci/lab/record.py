"""What the controller remembers of a lab, and the hosts file that it writes for the rest of ccci."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from attrs import asdict, evolve, frozen

from ccci.errors import StateUnreadable, UsageError
from ccci.paths import controller_home

if TYPE_CHECKING:
    from pathlib import Path

BASE_DOMAIN = "ci.lab.test"
ADDRESS = "10.99.0.1"  # inside every lab: what names of the base domain resolve to
LOOPBACK = "127.0.0.1"
FORGE = "file:///srv/git/{recipe}.git"
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
SCHEMA = 1


@frozen
class Record:
    """One lab, as its folder in the controller's home describes it.

    Attributes:
        name: the lab's name.
        engine: the value of DOCKER_HOST of the engine that it runs in ("" for the ambient one).
        ssh_port: where its sshd is published on 127.0.0.1.
        http_port: where its proxy's port 80 is published.
        https_port: where its proxy's port 443 is published.
        image: the image of its container.
        recipes: the recipes whose images were asked for.
    """

    name: str
    engine: str
    ssh_port: int
    http_port: int
    https_port: int
    image: str
    recipes: tuple[str, ...] = ()
    schema: int = SCHEMA

    @property
    def container(self) -> str:
        """The name of its container, and the beginning of the names of its volumes."""
        return f"ccci-lab-{self.name}"

    @property
    def volumes(self) -> dict[str, str]:
        """Volume name -> where it is mounted."""
        return {
            f"{self.container}-docker": "/var/lib/docker",
            f"{self.container}-warm": "/var/lib/ci-warm",
        }

    @property
    def folder(self) -> Path:
        """Where its keys, certificates and this record lie."""
        return folder(self.name)

    def with_recipes(self, recipes: tuple[str, ...]) -> Record:
        """The record with more recipes, each once."""
        return evolve(self, recipes=tuple(dict.fromkeys((*self.recipes, *recipes))))

    def save(self) -> None:
        """Write it to its folder, whole."""
        _write(self.folder / "lab.json", json.dumps(asdict(self), indent=2) + "\n")


def blank(name: str) -> Record:
    """The record of a lab that has nothing yet."""
    return Record(name=name, engine="", ssh_port=0, http_port=0, https_port=0, image="")


def checked_name(name: str) -> str:
    """A lab's name as it is.

    Raises:
        UsageError: it is no name that containers and files can have.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a lab", hint="small letters, digits and hyphens, at most 31")
    return name


def folder(name: str) -> Path:
    """The folder of a lab in the controller's home."""
    return controller_home() / "labs" / checked_name(name)


def hosts_file(name: str) -> Path:
    """The file that tells the rest of ccci how to reach a lab."""
    return controller_home() / "hosts" / f"{checked_name(name)}.toml"


def load(name: str) -> Record | None:
    """The record of a lab, or None where there is no lab of that name.

    Raises:
        StateUnreadable: there is one that this version cannot read.
    """
    path = folder(name) / "lab.json"
    try:
        content = json.loads(path.read_text())
        lab = Record(**{**content, "recipes": tuple(content["recipes"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, name, str(error)) from error
    if lab.schema != SCHEMA:
        raise _unreadable(path, name, f"schema {lab.schema}")
    return lab


def names() -> list[str]:
    """The names of all labs of this controller's home."""
    return sorted(path.parent.name for path in (controller_home() / "labs").glob("*/lab.json"))


def write_hosts_file(record: Record) -> Path:
    """Write the hosts file of a lab (mode 0600) and the known_hosts that it names."""
    keys = record.folder
    public = (keys / "host_key.pub").read_text().split()
    (keys / "known_hosts").write_text(f"[{LOOPBACK}]:{record.ssh_port} {public[0]} {public[1]}\n")
    values: dict[str, str | int] = {
        "address": LOOPBACK,
        "port": record.ssh_port,
        "user": "root",
        "key": str(keys / "id_ed25519"),
        "known_hosts": str(keys / "known_hosts"),
        "base_domain": BASE_DOMAIN,
        "ca": str(keys / "ca.pem"),
        "forge": FORGE,
    }
    path = hosts_file(record.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A JSON string or number is the same in TOML.
    _write(path, "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def forget(name: str) -> None:
    """Remove the hosts file, then the folder of a lab."""
    hosts_file(name).unlink(missing_ok=True)
    shutil.rmtree(folder(name), ignore_errors=True)


def _unreadable(path: Path, name: str, why: str) -> StateUnreadable:
    return StateUnreadable(
        f"{path} is no record of a lab that this version knows: {why}",
        hint=f"`ccci lab down --name {name}` removes what is there",
    )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)
