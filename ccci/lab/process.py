"""Run a program of this machine and turn its failure into one clear error."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from typing import TYPE_CHECKING, Any

from ccci.errors import CommandFailed, CommandTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TAIL = 15  # lines of output that an error shows


def run(
    argv: Sequence[str],
    *,
    what: str,
    stdin: bytes | None = None,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it wrote to stdout.

    Args:
        argv: the program and its arguments; never a secret.
        what: what fails if it fails, as the start of a sentence ("starting the lab's container").
        stdin: what it reads, or None for nothing.
        timeout: seconds after which it is killed.
        env: variables in addition to ours.

    Returns:
        stdout, decoded, without surrounding blanks.

    Raises:
        CommandFailed: it could not be started or did not end with 0.
        CommandTimeout: it was not done in time.
    """
    return _run(argv, what, timeout, input=stdin or b"", env={**os.environ, **(env or {})})


def run_from_file(argv: Sequence[str], source: Path, *, what: str, timeout: float = 300) -> str:
    """Run a program that reads a file on its stdin; else as `run`."""
    with source.open("rb") as file:
        return _run(argv, what, timeout, stdin=file)


def _run(argv: Sequence[str], what: str, timeout: float, **options: Any) -> str:
    shown = " ".join(argv[:6])
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False, **options)
    except FileNotFoundError as error:
        raise CommandFailed(f"{what} failed: there is no program {argv[0]!r}", hint="install it") from error
    except subprocess.TimeoutExpired as error:
        raise CommandTimeout(f"{what} was not done within {timeout:g} s: {shown} …") from error
    if done.returncode != 0:
        output = (done.stderr or done.stdout).decode(errors="replace")
        raise CommandFailed(f"{what} failed: {shown} … ended with {done.returncode}", detail=tail(output))
    return str(done.stdout.decode(errors="replace").strip())


def succeeds(argv: Sequence[str], *, timeout: float = 20) -> bool:
    """Whether a program can be started and ends with 0 in time. What it says is dropped."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def run_logged(argv: Sequence[str], log: Path, *, what: str, timeout: float = 1800) -> None:
    """Run a long build with all its output in a file.

    Args:
        argv: the program and its arguments; never a secret.
        log: the file, made anew.
        what: what fails if it fails, as the start of a sentence.
        timeout: seconds after which it is killed.

    Raises:
        CommandFailed: it could not be started, was not done in time or did not end with 0; names the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as out:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise CommandFailed(f"{what} failed: there is no program {argv[0]!r}", hint="install it") from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{what} was not done within {timeout:g} s", hint=f"see {log}") from error
    if done.returncode != 0:
        raise CommandFailed(
            f"{what} failed: {argv[0]} ended with {done.returncode}",
            hint=f"the whole log is {log}; without a network the packages cannot be fetched",
            detail=tail(log.read_text(errors="replace")),
        )


def tail(text: str) -> str:
    """The last lines of an output, as an error shows them."""
    return "\n".join(text.strip().splitlines()[-TAIL:])


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock file, waiting for it; the kernel releases it if we die.

    Args:
        path: the lock file, made if missing.
        shared: let other shared holders in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock file if nobody else does; yields whether that is so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
