"""A fake host as tests have it: boot it, kill it, cut its connections, fill its disk."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ccci.lab import keys, recipes
from ccci.lab.inside import DEPLOY, PROXY_DOMAIN, PROXY_ENV, PROXY_RECIPE, PROXY_STACK
from ccci.lab.record import BASE_DOMAIN, FORGE, LOOPBACK
from tests.support.host import LabHost

ROOT = Path(__file__).parents[3]
BIN = Path(__file__).parent / "bin"
SIZE = "4g"  # of its disk, which is in memory as far as it is used; runs want some space
NAME = "fake"
_SSHD = """
HostKey {folder}/keys/host_key
AuthorizedKeysFile {folder}/keys/id_ed25519.pub
StrictModes no
UsePAM no
PasswordAuthentication no
MaxSessions 100
SetEnv PATH={folder}/faults:{bin}:{path} CURL_CA_BUNDLE={folder}/keys/ca.pem
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DISK = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo ready && cat'


class FakeHost:
    """One fake host. Its disk outlives its death and goes with this process."""

    def __init__(self, folder: Path, *, twin: FakeHost | None = None) -> None:
        """Make keys, settings and disk, or take the keys of another one; nothing runs yet."""
        self.folder, self.home = folder, folder / "home"
        for name in ("keys", "disk", "faults", "home/hosts", "tests"):
            (folder / name).mkdir(parents=True)
        if twin is not None:
            shutil.copytree(twin.folder / "keys", folder / "keys", dirs_exist_ok=True)
        else:
            for name in ("host_key", "id_ed25519"):
                keys.write_ssh_pair(folder / "keys" / name, name)
            keys.write_certificates(folder / "keys", BASE_DOMAIN)
        (folder / "sshd_config").write_text(_SSHD.format(folder=folder, bin=BIN, path=_PATH))
        with socket.create_server((LOOPBACK, 0)) as free:
            self.port = int(free.getsockname()[1])
        self._write_hosts_file()
        self.lab = LabHost(NAME, self.home, folder / "tests")
        self._holder = _start(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _DISK, "-", str(folder / "disk"), SIZE]
        )
        _read(self._holder, "ready")
        self._init: subprocess.Popen[str] | None = None

    def _write_hosts_file(self) -> None:
        folder = self.folder / "keys"
        kind, key, *_ = (folder / "host_key.pub").read_text().split()
        (folder / "known_hosts").write_text(f"[{LOOPBACK}]:{self.port} {kind} {key}\n")
        values = {
            "address": LOOPBACK, "port": self.port, "user": "root", "key": str(folder / "id_ed25519"),
            "known_hosts": str(folder / "known_hosts"), "base_domain": BASE_DOMAIN, "ca": str(folder / "ca.pem"),
            "forge": FORGE,
        }  # fmt: skip
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        (self.home / "hosts" / f"{NAME}.toml").write_text(text)

    def boot(self) -> None:
        """Start it, or start it again after its death."""
        enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={ROOT}"]
        alone = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL"]
        with socket.create_server((LOOPBACK, self.port), backlog=64) as listener:
            words = [
                *enter,
                *alone,
                sys.executable,
                "-m",
                "tests.support.fakehost.init",
                str(self.folder),
                str(listener.fileno()),
            ]
            self._init = _start(words, keep=listener.fileno())
        _read(self._init, "up")

    def kill(self) -> None:
        """Kill it and all that runs on it in one instant; the disk stays."""
        assert self._init is not None
        self._init.kill()
        self._init.wait()
        self.lab.close()

    def tell(self, word: str) -> None:
        """Cut or mend the connections, or restart the engine: `cut`, `mend`, `engine`."""
        assert self._init is not None
        assert self._init.stdin is not None
        self._init.stdin.write(f"{word}\n")
        self._init.stdin.flush()
        _read(self._init, "done")

    def furnish(self, *names: str, proxy: int = -1) -> None:
        """Give it what `ccci lab up` gives a lab: network, images, repositories of recipes, a release of the proxy."""
        self.lab.sh("for i in $(seq 500); do docker version >/dev/null 2>&1 && exit; sleep 0.01; done; exit 1")
        images = sorted({image for name in (*names, PROXY_RECIPE) for image in recipes.load(name).images})
        self.lab.sh(f"docker network create --driver overlay proxy; docker image add {' '.join(images)}")
        for name in (*names, PROXY_RECIPE):
            recipes.build(recipes.load(name), self.folder / "tests")
            bare = self.folder / "tests" / f"{name}.git"
            tar = subprocess.run(
                ["/usr/bin/tar", "-C", str(bare.parent), "-c", bare.name], capture_output=True, check=True
            )
            self.lab.ssh("tar -C /srv/git -x --no-same-owner", tar.stdout)
        self._deploy_proxy(recipes.load(PROXY_RECIPE).releases[proxy])

    def _deploy_proxy(self, version: str) -> None:
        env = PROXY_ENV.format(version=version, domain=PROXY_DOMAIN)
        self.lab.ssh(f"cat >/root/.abra/servers/default/{PROXY_DOMAIN}.env", env.encode())
        script = DEPLOY.replace("/etc/ccci-lab/cert.cert", "/run/keys/cert.pem").replace("/etc/ccci-lab/", "/run/keys/")
        words = f"{PROXY_RECIPE} {version} {PROXY_DOMAIN} {PROXY_STACK}"
        self.lab.ssh(f"sh -s {words}", script.encode())

    def resize(self, size: str) -> None:
        """Give the disk another size, such as `4g`, or `used`: then nothing more fits."""
        used = "$(df -B1 --output=used . | tail -1)"
        self.on_disk(f'mount -o "remount,size={used if size == "used" else size}" .')

    def on_disk(self, text: str) -> None:
        """Run shell text in the folder of its disk, from outside."""
        enter = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wdns={self.folder / 'disk'}"]
        subprocess.run([*enter, "sh", "-ec", text], check=True)

    @contextmanager
    def broken(self, program: str, script: str) -> Iterator[None]:
        """Put a wrapper in a program's place; in its text `$REAL` is the program itself."""
        wrapper = self.folder / "faults" / program
        real = BIN / program if (BIN / program).exists() else shutil.which(program)
        new = wrapper.with_suffix(".new")
        new.write_text(f"#!/bin/bash\nREAL={real}\n{script}\n")
        new.chmod(0o755)
        new.rename(wrapper)
        try:
            yield
        finally:
            wrapper.unlink()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Leave every program as it is."""
        yield

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._holder.kill()
        self._holder.wait()


def _start(words: list[str], *, keep: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=_environment(),
        pass_fds=() if keep is None else (keep,),
    )  # fmt: skip


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CCCI_", "PYTEST_"))}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _read(process: subprocess.Popen[str], wanted: str) -> None:
    stream: IO[str] | None = process.stdout
    assert stream is not None
    line = stream.readline().strip()
    assert line == wanted, f"the fake host said {line!r}"
