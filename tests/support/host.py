"""The lab's host, reached over the system's ssh: nothing of ccci is between the tests and the truth."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from tests.support.running import Running, clean_environment, python_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_API = ("services", "volumes", "secrets", "configs", "networks", "containers/json?all=true")


@attrs.frozen
class LabHost:
    """A running lab.

    Attributes:
        name: its name, which is the host's name in the settings, too.
        home: the CCCI_HOME that knows it.
        folder: a folder of the test process's own.
    """

    name: str
    home: Path
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """How to reach it: the hosts file that `ccci lab up` wrote."""
        return tomli.loads((self.home / "hosts" / f"{self.name}.toml").read_text("utf-8"))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a ccci that knows this lab and no settings of the user."""
        ours = {
            "CCCI_HOME": str(self.home),
            "CCCI_RESULTS": str(self.folder / "runs"),
            "CCCI_HOST": self.name,
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        return clean_environment({**ours, **(extra or {})})

    def start(self, *words: str, env: Mapping[str, str] | None = None, result: Path | None = None) -> Running:
        """Start a module of this Python, such as ccci, in an empty folder."""
        cwd = self.folder / "cwd"
        cwd.mkdir(exist_ok=True)
        return Running(python_program(*words), self.environment(env), cwd, result)

    def ssh(self, text: str, stdin: bytes = b"") -> bytes:
        """Run shell text on the host and return what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run([*self._ssh(), text], input=stdin, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, f"{text}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return done.stdout

    def sh(self, text: str) -> str:
        """Run shell text on the host and return its output as text without white space around it."""
        return self.ssh(text).decode().strip()

    def docker(self) -> dict[str, list[Any]]:
        """Return everything that Docker has, by kind, as the Engine API tells it."""
        urls = " ".join(f"'http://docker/{path}'" for path in _API)
        text = self.ssh(f"curl -sS --fail -w '\\n' --unix-socket /var/run/docker.sock {urls}").decode()
        answers = [json.loads(line) for line in text.splitlines() if line.strip()]
        found = dict(zip((path.partition("/")[0] for path in _API), answers, strict=True))
        return {**found, "volumes": found["volumes"]["Volumes"] or []}

    def close(self) -> None:
        """End the shared ssh connection."""
        subprocess.run([*self._ssh(), "-O", "exit"], capture_output=True, check=False, timeout=10)

    @property
    def _socket(self) -> Path:
        # The kernel takes 107 characters at most, and ssh adds 17 of its own: pytest's folders are too deep.
        mine = hashlib.sha256(f"{self.name} {self.folder}".encode()).hexdigest()[:8]
        return self.home / f"ssh-{mine}"

    def _ssh(self) -> list[str]:
        known = self.settings
        options = {
            "UserKnownHostsFile": known["known_hosts"],
            "IdentitiesOnly": "yes",
            "ControlMaster": "auto",
            "ControlPersist": "60",
            "ControlPath": str(self._socket),
            "LogLevel": "ERROR",
        }
        words = ["ssh", "-p", str(known["port"]), "-i", known["key"]]
        words += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return [*words, f"{known['user']}@{known['address']}"]
