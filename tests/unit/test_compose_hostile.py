"""Compose files that mean harm, or nothing."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccci.errors import ComposeError
from ccci.model.compose import Compose, Port

FIRST = """
services:
  app:
    image: nginx
    networks: [proxy]
    volumes: ["data:/srv:ro"]
    ports: [80:80]
    configs: [conf]
    healthcheck: {test: [CMD, "true"]}
    deploy: {replicas: $COUNT, labels: [a=b]}
volumes: {data: }
"""
ENV = {"COUNT": "2"}


def load(*texts: str, env: dict[str, str] | None = None) -> Compose:
    """Load texts as files f0.yml, f1.yml and so on."""
    return Compose.load([(f"f{i}.yml", text) for i, text in enumerate(texts)], env or {})


# fmt: off
PIECES = [
    "services:", "a", "image", "{}", "[]", "&", "*", "<", "-", "?", "|", ">", "!", "'", '"', "\n", "$",
    "${", ":", ",", "#",
]
KEYS = [
    "image", "deploy", "volumes", "networks", "ports", "configs", "secrets", "healthcheck", "replicas",
    "mode", "labels", "endpoint_mode", "type", "source", "target", "published", "protocol", "read_only",
    "name", "external", "file", "driver", "test", "disable", "version", "a",
]
# fmt: on
BOMBS = {
    "aliases": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)),
    "merges": "a0: &a0 {k: v}\n"
    + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 40)),
    "long text": f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]",
    "depth": "a: " + "[" * 10_000,
    "block depth": "".join(" " * i + "a:\n" for i in range(100)),
    "itself": "services: &s {a: *s}",
    "size": "#" * (1 << 20) + "x",
    "values": "a: [" + "1," * 60_000 + "]",
    "digits": "a: " + "9" * 5000,
    "variables": "services: {a: {image: '" + "$BIG" * 50_000 + "'}}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name: str) -> None:
    """YAML that would fill the memory or the stack is refused, and soon."""
    started = time.monotonic()
    with pytest.raises(ComposeError):
        load(BOMBS[name], env={"BIG": "x" * 10_000})
    assert time.monotonic() - started < 20


def test_scalars_are_those_of_docker() -> None:
    """A mapping of ports below 60 is text and no number in base 60, and dates stay text."""
    compose = load("services: {a: {image: x, ports: [22:22], deploy: {labels: {d: 2024-01-02, n: 010}}}}")
    assert compose.services["a"].ports == (Port(22, 22),)
    assert compose.services["a"].labels == {"d": "2024-01-02", "n": "8"}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.text()
    | st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    ).map(" ".join)
)
def test_only_our_error_on_any_text(text: str) -> None:
    """Whatever the text, loading it raises ComposeError or nothing."""
    with contextlib.suppress(ComposeError):
        load(text)
    with contextlib.suppress(ComposeError):
        load("services: {a: {image: b}}", "services:\n  a:\n    image: " + text)


WORDS = st.sampled_from(
    ["", "a", "a:b", "80:80", "$A", "${", "-1", "true", "host", "/x", "1-9", "dnsrr", "global", "NONE"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
FIELDS = st.sampled_from(KEYS)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4))


def _wrapped(field: str, tree: Any) -> dict[str, Any]:
    service: dict[str, Any] = {"image": "x", field: tree}
    return {
        "services": {"a": service},
        "volumes": {"v": tree},
        "secrets": {"s": tree},
        "networks": {"n": tree},
    }


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.one_of(
        TREES,
        st.builds(_wrapped, FIELDS, TREES),
        st.fixed_dictionaries({"services": st.dictionaries(FIELDS, TREES)}),
    )
)
def test_only_our_error_on_any_tree(tree: Any) -> None:
    """Whatever has the shape of a compose file, loading it alone or merged raises ComposeError or nothing."""
    text = yaml.safe_dump(tree, allow_unicode=True)
    for texts in ((text,), (FIRST, text), (text, text)):
        with contextlib.suppress(ComposeError):
            compose = load(*texts, env=ENV)
            assert compose.services
            compose.resource_name_faults("s")
            compose.volume_names("s")
            compose.used_volumes()
