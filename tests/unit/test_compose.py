"""Compose files."""

from __future__ import annotations

import pytest

from ccci.errors import ComposeError
from ccci.model.compose import Compose, Mount, Port

FIRST = """
version: "3.8"
x-shared: &shared {restart: "1e3"}
services:
  app:
    <<: *shared
    image: nginx:${TAG:-1.2}
    networks: [proxy, internal]
    volumes: ["data:/srv:ro", /tmp:/tmp, {type: volume, source: other, target: /o}, /anonymous]
    ports: [80:80, "443:443/udp", {target: 22, published: 2222, mode: host}, "127.0.0.1:53:5353"]
    configs: [{source: conf, target: /x}]
    secrets: [pw]
    healthcheck: {test: [CMD, "true"]}
    deploy:
      replicas: ${COUNT}
      labels: ["a=b$$c", "coop-cloud.${STACK_NAME}.version=1.0.0+1"]
  everywhere:
    image: agent
    deploy: {mode: global}
    healthcheck: {disable: true}
volumes: {data: , other: {driver: local}, unused: {name: my_own}}
networks: {proxy: {external: true}, internal: }
configs: {conf: {name: "${STACK_NAME}_conf_${CONF_VERSION}", file: x.conf}}
secrets: {pw: {external: true, name: "${STACK_NAME}_pw_v1"}}
"""
SECOND = """
version: "3.8"
services:
  app:
    deploy: {labels: {number: 1, yes_no: true}, endpoint_mode: dnsrr}
    ports: [{target: 80, published: 80, mode: host}]
    volumes: ["newer:/srv"]
volumes: {newer: {}, other: {external: true, name: fork}}
"""
ENV = {"COUNT": "2", "STACK_NAME": "s_x"}


def load(*texts: str, env: dict[str, str] | None = None) -> Compose:
    """Load texts as files f0.yml, f1.yml and so on."""
    return Compose.load([(f"f{i}.yml", text) for i, text in enumerate(texts)], env or {})


def test_one_file() -> None:
    """Everything that a deploy decides on is read from short and long forms alike."""
    compose = load(FIRST, env=ENV)
    app, everywhere = compose.services["app"], compose.services["everywhere"]
    assert (app.image, app.replicas, app.is_global, app.has_healthcheck) == ("nginx:1.2", 2, False, True)
    assert (everywhere.replicas, everywhere.is_global, everywhere.has_healthcheck) == (1, True, False)
    assert app.labels == {"a": "b$c", "coop-cloud.s_x.version": "1.0.0+1"}
    assert app.volumes == (
        Mount("volume", "data", "/srv", read_only=True),
        Mount("bind", "/tmp", "/tmp"),  # noqa: S108 - a mount in a test's text
        Mount("volume", "other", "/o"),
        Mount("volume", None, "/anonymous"),
    )
    assert app.ports == (Port(80, 80), Port(443, 443, protocol="udp"), Port(22, 2222, "host"), Port(5353, 53))
    assert (app.networks, app.configs, app.secrets) == (("proxy", "internal"), ("conf",), ("pw",))
    assert app.raw["restart"] == "1e3"
    assert compose.unset == ("CONF_VERSION",)
    assert compose.version == "3.8"


def test_second_file_is_merged() -> None:
    """A later file changes labels by name, mounts by target, ports by what they publish, volumes whole."""
    compose = load(FIRST, SECOND, env=ENV)
    app = compose.services["app"]
    assert app.labels["number"] == "1"
    assert app.labels["yes_no"] == "true"
    assert app.labels["a"] == "b$c"
    assert (app.replicas, app.image, app.endpoint_mode) == (2, "nginx:1.2", "dnsrr")
    assert app.volumes[0] == Mount("volume", "newer", "/srv")
    assert app.ports[0] == Port(80, 80, "host")
    assert len(app.ports) == 4
    assert compose.volumes["other"].raw == {"external": True, "name": "fork"}


def test_volumes() -> None:
    """Own volumes get their real names, and those that no service mounts are told apart."""
    assert load(FIRST, env=ENV).volume_names("s_x") == {
        "data": "s_x_data",
        "other": "s_x_other",
        "unused": "my_own",
    }
    assert load(FIRST, env=ENV).used_volumes() == ("data", "other")
    merged = load(FIRST, SECOND, env=ENV)
    assert merged.volume_names("s") == {"data": "s_data", "unused": "my_own", "newer": "s_newer"}
    assert merged.used_volumes() == ("other", "newer")


def test_names_that_swarm_refuses() -> None:
    """Configs and secrets of more than 64 characters are found before the deploy."""
    assert load(FIRST, env=ENV).resource_name_faults("s_x") == []
    long = {**ENV, "STACK_NAME": "s" * 60}
    assert len(load(FIRST, env=long).resource_name_faults("s" * 60)) == 2
    own = "services: {a: {image: b}}\nconfigs: {conf: {file: x}}"
    assert "65 characters" in load(own).resource_name_faults("s" * 60)[0]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A", "1"),
        ("${A}x", "1x"),
        ("$$A", "$A"),
        ("${U:-d}", "d"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${U-d e}", "d e"),
        ("${A:?no}", "1"),
        ("${E?no}", ""),
        ("$U", ""),
        ("${U-}", ""),
        ("$A-x", "1"),
    ],
)
def test_interpolation(text: str, result: str) -> None:
    """Variables are replaced by docker's rules, the odd one about "$A-x" included."""
    compose = load(f"services: {{a: {{image: b, deploy: {{labels: {{l: '{text}'}}}}}}}}", env={"A": "1", "E": ""})
    assert compose.services["a"].labels["l"] == result


def test_versions_of_the_format() -> None:
    """All files have one version of swarm's format, and 3 is 3.0."""
    body = "\nservices: {a: {image: b}}"
    assert load("version: 3" + body, "version: '3.0'" + body).version == "3.0"
    for bad in ("version: '2'", "version: true", "version: 3.8.1", "version: []"):
        with pytest.raises(ComposeError, match=r"f0\.yml: version is"):
            load(bad + body)
    with pytest.raises(ComposeError, match=r"f1\.yml: version is 3\.7, but 3\.8"):
        load("version: '3.8'" + body, "version: '3.7'" + body)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no service"),
        ("services: {}", "no service"),
        ("- a", "line 1: the top must be a mapping"),
        ("services: []", "services must be a mapping"),
        ("services: {a: }", "services.a must be a mapping"),
        ("services: {a: {}}", "no image"),
        ("services: {a: {image: 3}}", "image must be a string"),
        ("services: {'a b': {image: x}}", "key"),
        ("services: {a: {image: x, deploy: []}}", "deploy must be a mapping"),
        ("services: {a: {image: x, deploy: {replicas: -1}}}", "replicas must be a number"),
        ("services: {a: {image: x, deploy: {mode: often}}}", "mode must be one of"),
        ("services: {a: {image: x, deploy: {labels: [[]]}}}", "labels must be"),
        ("services: {a: {image: x, healthcheck: 1}}", "healthcheck must be a mapping"),
        ("services: {a: {image: x, networks: [1]}}", "networks must be"),
        ("services: {a: {image: x, configs: [{}]}}", "configs must be"),
        ("services: {a: {image: x, volumes: [{}]}}", "mount"),
        ("services: {a: {image: x, volumes: ['a:b:c:d']}}", "mount"),
        ("services: {a: {image: x, ports: ['1:2:3:4']}}", "port"),
        ("services: {a: {image: x, ports: [70000]}}", "port"),
        ("services: {a: {image: x, ports: ['1-3:1-2']}}", "differ in length"),
        ("services: {a: {image: x, ports: ['1-60000']}}", "range"),
        (
            "services: {a: {image: '${X:?set it}'}}",
            "services.a.image: required variable 'X' is missing: 'set it'",
        ),
        ("services: {a: {image: '${'}}", "malformed variable"),
        ("services: {a: {image: x}}\nvolumes: {b: {name: ../x}}", "volumes.b.name"),
        ("services: {a: {image: x}}\nvolumes: {b: {external: 7}}", "volumes.b.external"),
        ("services: {a: {image: x}}\nsecrets: {b: {file: 7}}", "secrets.b.file"),
        ("services: {a: {image: x}}\nsecrets: {b: 7}", "secrets.b must be a mapping"),
        ("services:\n  a: {image: x}\n b: 1", "line 3"),
        ("services:\n  1: {image: x}", "line 2: a key is no string"),
        ("a: \x00", "line 1"),
        ("a: 1\n---\nb: 2", "another document"),
    ],
)
def test_faults_name_the_place(text: str, message: str) -> None:
    """Each fault is one ComposeError that names the file and the place in it."""
    with pytest.raises(ComposeError) as caught:
        load(text)
    assert message in str(caught.value)
    assert "f0.yml" in str(caught.value)
