"""What an app answers, asked on the host through its own proxy."""

from __future__ import annotations

import re

import attrs
from pyinfra.api import StringCommand
from typing_extensions import override

from ccci.commands.shell import argv, quote
from ccci.facts.base import HostFact


@attrs.frozen
class Answer:
    """An answer: HTTP status (0 if there was none) and what went wrong, if anything did."""

    status: int
    error: str

    @property
    def refused(self) -> bool:
        """Whether nothing listens at all: the proxy's fault, not the app's."""
        return "connect" in self.error and self.status == 0


class Served(HostFact[Answer]):
    """The answer to GET https://<domain><path> through the host's proxy, its certificate verified.

    The name is resolved to the host itself, so that DNS elsewhere has no say. The host's own trust
    store decides.
    """

    @override
    def command(self, domain: str, path: str) -> StringCommand:
        """Args: domain: the app's; path: begins with a slash."""
        words = argv(
            "curl", "-sS", "--max-time", "5", "--resolve", f"{domain}:443:127.0.0.1",
            "-o", "/dev/null", "-w", "%{http_code}", f"https://{domain}{path}",
        )  # fmt: skip
        return self.shell(f"{{ {quote(words)} 2>&1 || true; }}")

    @override
    def parse(self, lines: list[str]) -> Answer:
        text = "\n".join(lines).strip()
        error = re.sub(r" after \d+ ms", "", text[:-3].strip())  # else each look seems to be news
        return Answer(int(text[-3:]), error.removeprefix("curl: "))
