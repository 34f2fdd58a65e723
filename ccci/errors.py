"""Every error that ccci raises on purpose, and the exit code that each becomes.

::

    CcciError                      3   (never raised bare)
    ├── UsageError                 2   the request itself is wrong; nothing was changed
    │   ├── SettingsError          2   a settings file, environment variable or flag
    │   ├── RecipeMetaError        2   recipes/<name>/recipe_meta.toml
    │   ├── ComposeError           2   a recipe's files cannot be read or used
    │   │   └── PolicyRefused      2   they ask for more than a recipe may have
    │   └── NotIdle                2   an operator's app is in the way
    ├── RecipeFailed               1   the recipe's fault
    │   ├── DeployFailed           1   docker refused the stack
    │   ├── GateFailed             1   the health gate said no
    │   ├── BackupFailed           1   a backup is not what the recipe's labels promise
    │   ├── RestoreFailed          1   a restore did not bring back what was saved
    │   └── TestsFailed            1   a test failed, or none was found
    ├── InfrastructureError        3   the host's fault or ours
    │   ├── HostUnreachable        3   no connection, or the host's key has changed
    │   ├── ConnectionLost         3   the connection died in the middle (retried before it is shown)
    │   ├── CommandFailed          3   a command on the host failed that never should
    │   ├── CommandTimeout         3   a command on the host did not end in its time
    │   ├── StateUnreadable        3   something on the host cannot be read: never taken for "nothing there"
    │   ├── ProviderDown           3   a provider that a run needs, such as Keycloak, does not answer
    │   ├── ServiceDown            3   the forge or Drone does not answer now (retried before it is shown)
    │   ├── ServiceRefused         3   the forge or Drone answers, and says no
    │   ├── SnapshotBroken         3   a snapshot or volume is not what its digest says
    │   └── Fenced                 3   another run took over this app while we were cut off
    ├── Locked                     4   another run holds the app
    └── Stopped              130/143   SIGINT or SIGTERM; every clean-up was run

Exit code 0 means passed. No other code is used.
"""

from __future__ import annotations

import signal

EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 3
EXIT_LOCKED = 4


class CcciError(Exception):
    """The root of the tree.

    Args:
        what: one sentence that says what is wrong and where.
        hint: what the reader can do about it, or None.
        detail: the last lines of the output that matters, or None; never a secret.
    """

    exit_code = EXIT_INFRASTRUCTURE

    def __init__(self, what: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.detail = detail


class UsageError(CcciError):
    """The request is wrong; nothing was changed."""

    exit_code = EXIT_USAGE


class SettingsError(UsageError):
    """Settings are wrong; the message lists every fault at once."""


class RecipeMetaError(UsageError):
    """A recipe_meta.toml is wrong; the message lists every fault at once."""


class ComposeError(UsageError):
    """A recipe's compose, env or abra.sh file cannot be used."""


class PolicyRefused(ComposeError):
    """A recipe asks for more of the host than the policy lets it have; the message lists every fault at once."""


class NotIdle(UsageError):
    """The canonical is deployed by an operator, so a run would take it from under somebody."""


class RecipeFailed(CcciError):
    """The head under test is at fault."""

    exit_code = EXIT_FAILED


class DeployFailed(RecipeFailed):
    """Docker refused the stack."""


class GateFailed(RecipeFailed):
    """The health gate said no."""


class BackupFailed(RecipeFailed):
    """A backup hook failed, or what it left is missing, empty, cut short or damaged."""


class RestoreFailed(RecipeFailed):
    """A restore hook failed, or a file is not what was saved."""


class TestsFailed(RecipeFailed):
    """A test failed, or there was none."""

    __test__ = False  # pytest would collect the name


class InfrastructureError(CcciError):
    """The host's fault, or ours."""


class HostUnreachable(InfrastructureError):
    """No SSH connection to the host, or its key is not the one we know."""


class ConnectionLost(InfrastructureError):
    """The SSH connection died while a command was under way."""


class CommandFailed(InfrastructureError):
    """A command on the host failed that should not have."""


class CommandTimeout(InfrastructureError):
    """A command on the host did not end in its time."""


class StateUnreadable(InfrastructureError):
    """Something on the host cannot be read or is not in a form that we know."""


class ProviderDown(InfrastructureError):
    """A provider that a run needs does not answer, or is not healthy."""


class ServiceDown(InfrastructureError):
    """A service that ccci asks over HTTP, the forge or Drone, does not answer now; the same question may work later."""


class ServiceRefused(InfrastructureError):
    """Such a service answers, and says no: the token, the question or what it is about is wrong.

    Args:
        what, hint: as everywhere.
        status: the HTTP status code.
    """

    def __init__(self, what: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status


class SnapshotBroken(InfrastructureError):
    """A snapshot or a volume does not have the digest that it should have."""


class Fenced(InfrastructureError):
    """Another run took this app over while we were cut off; we may not write any more."""


class Locked(CcciError):
    """Another run holds the app."""

    exit_code = EXIT_LOCKED


class Stopped(CcciError):
    """The run was asked to stop by a signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        # a terminal that is closed (SIGHUP) asks for the same as SIGTERM
        self.exit_code = 130 if signum == signal.SIGINT else 143
