"""ccci for Python programs.

A run needs gevent's patches, signal handlers and a process group of its own, which no library may
force on a program. So `play` starts a process and reads the result that it writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ccci import errors
from ccci.errors import CcciError, InfrastructureError
from ccci.model import codec
from ccci.model.run import RunResult

HINT = "  what to do: "  # begins the line of an error that says how to go on
_BY_CODE: dict[int, type[CcciError]] = {
    errors.EXIT_USAGE: errors.UsageError,
    errors.EXIT_INFRASTRUCTURE: errors.InfrastructureError,
    errors.EXIT_LOCKED: errors.Locked,
}


def play(
    playbook: str, *, recipe: str, host: str | None = None, ref: str = "", stages: tuple[str, ...] = (),
    skip_fetch: bool = False,
) -> RunResult:  # fmt: skip
    """Run a playbook and return what `result.json` holds. Prints nothing.

    Args:
        playbook: its name, such as "quick".
        recipe: the recipe's name.
        host: the host's name in the settings; the default host if None.
        ref: branch, tag or commit; the lane's own choice if empty.
        stages: only these; all if empty.
        skip_fetch: use the recipe's clone on the host as it is.

    Raises:
        UsageError: the request or the settings are wrong.
        InfrastructureError: the host could not be reached, before there was a run.
        Locked: another run holds the app.

    A recipe that fails is a result, not an exception. Side effects on the host: those of the playbook.
    """
    with tempfile.TemporaryDirectory(prefix="ccci-") as folder:
        path = Path(folder) / "result.json"
        words = [sys.executable, "-m", "ccci", "play", playbook, "--recipe", recipe, "--result", str(path)]
        words += ["--host", host] if host else []
        words += [f"--ref={ref}"] if ref else []
        words += [f"--stages={','.join(stages)}"] if stages else []
        env = {**os.environ, **({"CCCI_SKIP_FETCH": "1"} if skip_fetch else {})}
        code, _, stderr = _run(words, env)
        result = codec.load(RunResult, path.read_text(), where="result.json") if path.exists() else None
    if result is not None and code not in (errors.EXIT_USAGE, errors.EXIT_LOCKED):
        return result
    raise _error(code, result, stderr)


def reap_orphaned_realms(domain: str, live_hexes: Collection[str], *, host: str | None = None) -> list[str]:
    """Delete the realms whose run does not live any more, on a live Keycloak.

    Args:
        domain: where the Keycloak is, such as `warm-keycloak.ci.example.com`.
        live_hexes: hex digits of the runs that live; a realm that is not named like a run's is never deleted.
        host: the host's name in the settings; the default host if None.

    Returns:
        The names of the deleted realms, sorted.

    Raises:
        UsageError: no provider of the host is at that domain.
        InfrastructureError: the host or the Keycloak does not answer.
    """
    words = [sys.executable, "-m", "ccci", "realm", "reap", "--domain", domain, "--json"]
    words += [f"--live={','.join(sorted(live_hexes))}"]
    words += ["--host", host] if host else []
    code, stdout, stderr = _run(words, dict(os.environ))
    if code:
        raise _error(code, None, stderr)
    names: list[str] = json.loads(stdout)
    return names


def _run(words: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    """Run ccci to its end; a caller that is interrupted waits until its clean-ups are done."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=env, text=True, start_new_session=True, **quiet) as process:
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    return process.returncode, stdout, stderr


def _error(code: int, result: RunResult | None, stderr: str) -> CcciError:
    kind = _BY_CODE.get(code, InfrastructureError)
    if result is not None:
        return kind(result.reason, hint=result.hint or None, detail=result.detail or None)
    first, *rest = stderr.strip().splitlines() or [f"ccci ended with {code} and said nothing"]
    hints = [line.removeprefix(HINT) for line in rest if line.startswith(HINT)]
    detail = "\n".join(line for line in rest if not line.startswith(HINT))
    return kind(first.removeprefix("ccci: "), hint=hints[0] if hints else None, detail=detail or None)
