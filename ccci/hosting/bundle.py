"""What ccci needs on a host, made here: its locked dependencies for the host's Python, itself, playbooks, recipes."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import attrs
from packaging.requirements import Requirement

import ccci
from ccci.errors import InfrastructureError, UsageError
from ccci.facts.system import HostPython
from ccci.paths import controller_cache

OLDEST_GLIBC = 17  # minor version; manylinux2014, the oldest that our dependencies have wheels for
_SKIPPED = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
_LOCK = "requirements/run.lock"


@attrs.frozen
class Bundle:
    """A whole ccci for one host.

    Attributes:
        name: a digest of all that is in it; the same content has the same name.
        archive: gzipped tar: `site/` for Python's path, `recipes/`, `playbooks/` if there are any of the user's own.
    """

    name: str
    archive: bytes


def make_bundle(python: HostPython, recipes: Path, playbooks: Path | None) -> Bundle:
    """Collect everything for a host.

    Args:
        python: the host's Python.
        recipes: the folder of enrolled recipes.
        playbooks: a folder of playbooks besides ccci's own, or None.

    Raises:
        UsageError: the host's Python is not one that ccci runs on.
        InfrastructureError: a dependency cannot be had.
    """
    check_python(python)
    package = Path(ccci.__file__).parent
    own = next(f for f in (package.parent / "playbooks", package / "_playbooks") if f.is_dir())
    files = dict(_tree(dependencies(python), "site"))
    files |= dict(_tree(package, "site/ccci"))
    files |= dict(_tree(own, "site/ccci/_playbooks"))
    files |= dict(_metadata())
    files |= dict(_tree(recipes, "recipes"))
    files |= dict(_tree(playbooks, "playbooks")) if playbooks else {}
    digest = hashlib.sha256(python.tag.encode())
    for name, body in sorted(files.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    return Bundle(digest.hexdigest()[:16], _archive(files))


def check_python(python: HostPython) -> None:
    """Refuse a host whose Python cannot run ccci.

    Raises:
        UsageError: too old, or not built on glibc.
    """
    if python.version < (3, 10):
        have = ".".join(map(str, python.version))
        raise UsageError(f"the host's python3 is {have}; ccci needs 3.10 or newer", hint="install a newer python3")
    if python.glibc < (2, OLDEST_GLIBC):
        raise UsageError("the host's Python is not built on glibc 2.17 or newer", hint="use a Debian host, say")


def _lock_file() -> Path:
    package = Path(ccci.__file__).parent
    return next(p for p in (package.parent / _LOCK, package / f"_{_LOCK}") if p.is_file())


def locked(text: str, python: HostPython) -> str:
    """Return those requirements of a lock file that a Python needs, without conditions.

    Args:
        text: a lock file that pip can read, with hashes.
        python: whose they shall be; pip itself would look at the Python that it runs in.
    """
    kept = []
    for block in _blocks(text):
        head, _, hashes = block.partition(" \\\n")
        wanted = Requirement(head)
        if wanted.marker is None or wanted.marker.evaluate(python.environment):
            kept.append(f"{wanted.name}{wanted.specifier} \\\n{hashes}")
    return "\n".join([*kept, ""])


def _blocks(text: str) -> Iterator[str]:
    """Yield each requirement with the lines of its hashes."""
    block: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not line[0].isspace() and block:
            yield "\n".join(block)
            block = []
        block.append(line)
    if block:
        yield "\n".join(block)


def dependencies(python: HostPython) -> Path:
    """Return a folder with the locked dependencies for a Python; they are fetched once.

    Raises:
        InfrastructureError: one of them cannot be had.
    """
    wanted = locked(_lock_file().read_text("utf-8"), python)
    key = hashlib.sha256(f"{python.tag}\0{wanted}".encode()).hexdigest()[:16]
    there = controller_cache() / "host" / key
    if there.is_dir():
        return there
    there.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new-", dir=there.parent) as folder:
        (new := Path(folder) / "site").mkdir()
        (lock := Path(folder) / "lock").write_text(wanted, "utf-8")
        _pip("install", "--target", str(new), "--requirement", str(lock), *pip_options(python))
        if not there.is_dir():  # somebody else may have been quicker
            new.rename(there)
    return there


def pip_options(python: HostPython) -> list[str]:
    """Return what tells pip to fetch for another Python than its own."""
    glibc = range(python.glibc[1], OLDEST_GLIBC - 1, -1)
    platforms = [f"manylinux_2_{minor}_{python.machine}" for minor in glibc]
    platforms += [f"manylinux2014_{python.machine}", f"linux_{python.machine}"]
    words = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-compile", "--implementation", "cp"]
    words += ["--python-version", ".".join(map(str, python.version))]
    return words + [word for platform in platforms for word in ("--platform", platform)]


def _pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        detail = done.stderr.decode("utf-8", "replace")
        raise InfrastructureError(
            "pip could not fetch what ccci needs on the host",
            hint="pip must be in the Python that runs ccci, and reach its package index",
            detail=detail[-2000:],
        )


def _tree(folder: Path, at: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not set(path.parts).intersection(_SKIPPED):
            yield str(PurePosixPath(at, *path.relative_to(folder).parts)), path.read_bytes()


def _metadata() -> Iterator[tuple[str, bytes]]:
    """Yield what says that ccci is installed: pyinfra finds its connector by that."""
    mine = distribution("ccci")
    for name in ("METADATA", "entry_points.txt"):
        yield f"site/ccci-{mine.version}.dist-info/{name}", (mine.read_text(name) or "").encode()


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, body in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(body), 0o644
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()
