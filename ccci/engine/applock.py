"""An app's lock, held through an open SSH channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ccci.commands.lock import BUSY, GRACE, LOCKED, Fence, hold
from ccci.commands.shell import argv, quote
from ccci.connector import CcciConnector
from ccci.errors import Fenced, InfrastructureError, Locked
from ccci.model.app import App


class AppLock:
    """The lock of one app for one run; see `ccci.commands.lock` for how it works on the host."""

    def __init__(self, connector: CcciConnector, app: App, run_id: str, who: str, tell: Callable[[str], None]) -> None:
        self.fence = Fence(app.home, run_id, app.domain)
        self._connector = connector
        self._app = app
        self._who = who
        self._tell = tell
        self._channel: Any = None

    def take(self, wait: float = 0.0) -> None:
        """Take the lock.

        Args:
            wait: seconds to wait for it.

        Raises:
            Locked: another run holds it; the message says who, since when.
        """
        self._connector.ensure_connected()
        self._channel = self._connector.open_command(quote(hold(self.fence, self._who, wait=wait)))
        lines = self._channel.makefile("rb")
        answer = lines.readline().decode("utf-8", "replace").strip()
        if answer == LOCKED:
            return
        rest = lines.read(4096).decode("utf-8", "replace").strip() if answer == BUSY else ""
        self.release()
        if answer != BUSY:
            raise InfrastructureError(f"the lock of {self._app.domain} cannot be taken: the host said {answer!r}")
        raise Locked(
            f"{self._app.domain} is locked by {rest or 'another run'}",
            hint="wait for that run, or stop it: its lock goes with it",
        )

    def take_within(self, wait: float, waiting: Callable[[str], None]) -> None:
        """Take the lock, or say who holds it and wait up to so many seconds for that.

        Raises:
            Locked: another run holds it still.
        """
        try:
            self.take()
        except Locked as error:
            if not wait:
                raise
            waiting(error.what)
            self.take(wait=wait)

    def retake(self) -> None:
        """Take the lock again after the connection was lost.

        Raises:
            Fenced: somebody else was there meanwhile.
        """
        owner = self._owner()
        if owner != self.fence.run_id:
            raise Fenced(
                f"run {owner or 'of somebody else'} took {self._app.domain} over while the connection was lost"
            )
        self.take(wait=GRACE + 3)
        self._tell(f"the SSH connection was lost; it is back, and so is the lock of {self._app.domain}")

    def release(self) -> None:
        """Give the lock back."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def _owner(self) -> str:
        channel = self._connector.open_command(quote(argv("cat", self.fence.home / "owner")))
        text: bytes = channel.makefile("rb").read(200)
        channel.close()
        return text.decode("utf-8", "replace").strip()
