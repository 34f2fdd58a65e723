"""What the test process is told about the run, and the line format in which it answers."""

from __future__ import annotations

from typing import ClassVar

import attrs

CONTEXT_VARIABLE = "CCCI_TEST_CHANNEL"  # the number of the inherited socket to the run
REPORT = "ccci:report:"  # begins a line that reports how a test ended


@attrs.frozen
class SsoContext:
    """The realm of a run, as its tests may know it.

    Attributes:
        issuer: the realm's issuer, a URL.
        realm: its name.
        client_id, client_secret: of the confidential client that the app uses.
        username, password: of the realm's test user.
    """

    issuer: str
    realm: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    username: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class TestContext:
    """What tests may know.

    Attributes:
        recipe, domain, stack, stage, run_id, mode: of the run.
        service: the service that answers requests.
        commit, version: what must be deployed now; chaos: whether that is no release.
        health_path, health_status: from recipe_meta.toml.
        proxy: URL of the way to the app, through the run's SSH connection.
        ca: file of the certificate authority, or empty for the system's.
        sso: the run's realm on the live Keycloak, or None if the recipe does not depend on it.
        deps: domains of the dependencies that were deployed with the app, by recipe.
    """

    __test__ = False  # pytest would collect the name
    SCHEMA: ClassVar[str] = "ccci.testcontext/1"
    schema: str
    recipe: str
    domain: str
    stack: str
    stage: str
    run_id: str
    mode: str
    service: str
    commit: str
    version: str
    chaos: bool
    health_path: str
    health_status: list[int]
    proxy: str
    ca: str
    sso: SsoContext | None = None
    deps: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Call:
    """A question of the test process to the run: run a command in a container, or read the stack."""

    kind: str
    service: str = ""
    words: list[str] = attrs.field(factory=list)
    stdin: str | None = None


@attrs.frozen
class Reply:
    """The answer: exit code, output, and what went wrong on the way, if anything did."""

    code: int
    stdout: str = ""
    stderr: str = ""
    error: str = ""
