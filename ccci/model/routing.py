"""What a service's labels ask of the proxy: an app routes its own domain, under names of its own, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from ccci.model.app import App
from ccci.model.exceptions import Exceptions
from ccci.model.names import shown

_RULE_MAX = 4096  # characters
_DEPTH_MAX = 20
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z][A-Za-z0-9]*)|(?P<text>`[^`]*`|\"[^\"\\]*\")|(?P<sign>&&|\|\||[!(),]))")
_FREE = ("enable", "swarm", "docker", "constraint-label", "tags")
_NAMED = ("routers", "services", "middlewares", "serverstransports")
_HOST = ("host", "hostsni")


class _RuleError(ValueError):
    """A rule that cannot be read."""


def faults(label: str, value: str, app: App, allow: Exceptions) -> Iterator[str]:
    """Find what a label asks of Traefik that is not the app's.

    Args:
        label: its name; Traefik folds case, and so does this.
        value: its value.
        app: the app.
        allow: the exceptions of the recipe's enrolment.

    Returns:
        A sentence for each fault.
    """
    stack, domain = app.stack, app.domain
    words = label.split(".")
    folded = [word.lower() for word in words]
    if folded[0] != "traefik":
        return
    if len(words) < 2 or folded[1] in _FREE:  # noqa: PLR2004 - traefik, protocol
        return
    if folded[1] not in ("http", "tcp") or len(words) < 4 or folded[2] not in _NAMED:  # noqa: PLR2004
        yield f"{shown(label)} changes the proxy for everybody; remove it"
        return
    name = words[3]
    if name != stack and not name.startswith((f"{stack}_", f"{stack}-")):
        yield f"{shown(label)}: {shown(name)} could be another app's: begin it with ${{STACK_NAME}}"
    if folded[2] != "routers":
        return
    if folded[4:] == ["rule"] and not is_confined(value, domain):
        yield f"{shown(label)}: the rule {shown(value)} takes more than https://{domain}: name Host(`${{DOMAIN}}`)"
    if folded[4:] == ["service"] and "@" in value and not allow.has("service", value):
        yield f'{shown(label)}: the service {shown(value)} is not this app\'s: allow it: "service:{value}"'


def is_confined(rule: str, domain: str) -> bool:
    """Return whether a Traefik rule can match requests for a domain and names below it only.

    Whatever cannot be read is not confined.
    """
    try:
        return len(rule) <= _RULE_MAX and _Rule(_tokens(rule), domain.lower()).whole()
    except _RuleError:
        return False


def _tokens(rule: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, end = 0, len(rule.rstrip())
    while position < end:
        match = _TOKEN.match(rule, position)
        if match is None or match.lastgroup is None:
            raise _RuleError
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


@attrs.define
class _Rule:
    tokens: list[tuple[str, str]]
    domain: str
    at: int = 0
    depth: int = 0

    def whole(self) -> bool:
        confined = self.either()
        if self.at != len(self.tokens):
            raise _RuleError
        return confined

    def either(self) -> bool:
        parts = [self.both()]
        while self.take("sign", "||"):
            parts.append(self.both())
        return all(parts)

    def both(self) -> bool:
        parts = [self.one()]
        while self.take("sign", "&&"):
            parts.append(self.one())
        return any(parts)

    def one(self) -> bool:
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise _RuleError
        try:
            if self.take("sign", "!"):
                self.one()
                return False
            if self.take("sign", "("):
                confined = self.either()
                self.must("sign", ")")
                return confined
            return self.matcher()
        finally:
            self.depth -= 1

    def matcher(self) -> bool:
        name = self.must("word").lower()
        self.must("sign", "(")
        values = []
        while not self.take("sign", ")"):
            values.append(self.must("text")[1:-1].lower())
            if not self.take("sign", ","):
                self.must("sign", ")")
                break
        return name in _HOST and bool(values) and all(self.is_ours(value) for value in values)

    def is_ours(self, host: str) -> bool:
        return host == self.domain or re.fullmatch(rf"[a-z0-9.-]+\.{re.escape(self.domain)}", host) is not None

    def take(self, kind: str, text: str = "") -> str:
        if self.at < len(self.tokens):
            found, value = self.tokens[self.at]
            if found == kind and (not text or value == text):
                self.at += 1
                return value
        return ""

    def must(self, kind: str, text: str = "") -> str:
        value = self.take(kind, text)
        if not value:
            raise _RuleError
        return value
