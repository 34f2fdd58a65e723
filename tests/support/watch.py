"""A client that asks an app again and again over TLS, each time anew, and knows how long it was without an answer."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from typing import TYPE_CHECKING

import attrs
import gevent
from typing_extensions import Self

if TYPE_CHECKING:
    from gevent import Greenlet

EVERY = 0.05  # seconds between two questions
PATIENCE = 2.0  # seconds for one answer


@attrs.define
class Watch:
    """Asks `https://<name>/` at a port of the loopback; verifies the certificate.

    Attributes:
        name: the app's name.
        port: where the proxy is.
        ca: the file of the authority that is trusted.
        answers: when each right answer came, in seconds of the monotonic clock.
        failures: how many questions got none.
        certificates: digests of all certificates that were seen.
    """

    name: str
    port: int
    ca: str
    answers: list[float] = attrs.field(factory=list)
    failures: int = 0
    certificates: set[str] = attrs.field(factory=set)
    _greenlet: Greenlet[..., None] | None = None
    _stopped: bool = False

    def __enter__(self) -> Self:
        """Begin; the first answer is waited for."""
        deadline = time.monotonic() + 60
        while not self._ask():
            assert time.monotonic() < deadline, f"{self.name} does not serve"
            gevent.sleep(EVERY)
        self.failures = 0
        self._greenlet = gevent.spawn(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stopped = True
        if self._greenlet is not None:
            self._greenlet.join()

    @property
    def gap(self) -> float:
        """The longest time between two right answers, in seconds."""
        pairs = zip(self.answers, self.answers[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0)

    @property
    def asked(self) -> int:
        """How many questions there were."""
        return len(self.answers) + self.failures

    def _watch(self) -> None:
        while not self._stopped:
            self._ask()
            gevent.sleep(EVERY)

    def _ask(self) -> bool:
        context = ssl.create_default_context(cafile=self.ca)
        text = f"GET / HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n"
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=self.name) as tls,
            ):
                self.certificates.add(hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest())
                tls.sendall(text.encode())
                right = tls.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            right = False
        if right:
            self.answers.append(time.monotonic())
        else:
            self.failures += 1
        return right
