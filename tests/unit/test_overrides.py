"""The compose file that is merged last."""

from __future__ import annotations

import pytest
import yaml

from ccci.errors import ComposeError, UsageError
from ccci.model.compose import Compose, Port
from ccci.model.overrides import extra_compose, host_mode_ports

RECIPE = """
version: "3.7"
x-env: &env {a: "1e3", b: $$x}
services:
  app:
    image: nginx:${TAG}
    environment: *env
    ports: ["80:80", "${HTTPS}:443", {target: 22, published: 2222, mode: host}]
    volumes: ["data:/srv"]
    deploy: {endpoint_mode: vip, labels: {own: x}}
  db: {image: pg, volumes: ["db:/db"]}
volumes: {data: {driver: local, driver_opts: {type: tmpfs}}, db: }
"""
ENV = {"TAG": "1", "HTTPS": "443"}
COMPOSE = Compose.load([("compose.yml", RECIPE)], ENV)


def merged(extra: str) -> Compose:
    """Merge the recipe and an extra file as a deploy does."""
    return Compose.load([("compose.yml", RECIPE), ("extra.yml", extra)], ENV)


def test_labels_reach_the_app_only() -> None:
    """Labels are added to those of the service app, a dollar stays one, and no other service changes."""
    labels = {"coop-cloud.s.chaos": "true", "price": "$5 ${HOME}", "number": "1e3"}
    result = merged(extra_compose(COMPOSE, stack="s", labels=labels, version="3.7"))
    assert result.services["app"].labels == {"own": "x", **labels}
    assert result.services["db"] == COMPOSE.services["db"]
    assert result.services["app"].ports == COMPOSE.services["app"].ports


def test_forks_replace_volumes_whole() -> None:
    """A fork takes the place of the recipe's volume, and nothing of its driver is left."""
    result = merged(extra_compose(COMPOSE, stack="s", labels={}, forks={"data": "fork-1"}, version="3.7"))
    assert result.volumes["data"].raw == {"external": True, "name": "fork-1"}
    assert result.volume_names("s") == {"db": "s_db"}
    assert result.used_volumes() == ("data", "db")


def test_dnsrr() -> None:
    """Without IPVS every service gets dnsrr and every published port host mode."""
    result = merged(extra_compose(COMPOSE, stack="s", labels={}, dnsrr=True, version="3.7"))
    assert {service.endpoint_mode for service in result.services.values()} == {"dnsrr"}
    assert result.services["app"].ports == (
        Port(80, 80, "host"),
        Port(443, 443, "host"),
        Port(22, 2222, "host"),
    )


def test_text_is_always_the_same() -> None:
    """The same wishes in another order give the same text, and all its strings are in quotes."""
    one = extra_compose(COMPOSE, stack="s", labels={"a": "1", "b": "2"}, forks={"db": "f2", "data": "f1"})
    two = extra_compose(COMPOSE, stack="s", labels={"b": "2", "a": "1"}, forks={"data": "f1", "db": "f2"})
    assert one == two
    assert '"a": "1"' in one
    assert '"version": "3.8"' in one


def test_no_app_service() -> None:
    """A recipe without a service app gets no labels rather than a service without an image."""
    compose = Compose.load([("c.yml", "services: {web: {image: x}}")], {})
    assert yaml.safe_load(extra_compose(compose, stack="s", labels={"a": "b"})) == {"version": "3.8"}


def test_names_of_forks_are_checked() -> None:
    """A fork is a name and never a path."""
    with pytest.raises(UsageError, match="fork of the volume data"):
        extra_compose(COMPOSE, stack="s", labels={}, forks={"data": "../../etc"})


def test_host_mode_ports_change_ports_only() -> None:
    """Rewriting a recipe's file changes the mode of its ports, and all else stays, references too."""
    other = "services: {db: {image: pg}} # a comment"
    first, second = host_mode_ports([("compose.yml", RECIPE), ("other.yml", other)], ENV)
    assert second == ("other.yml", other)
    after = Compose.load([first], ENV)
    assert [port.mode for port in after.services["app"].ports] == ["host"] * 3
    before, content = yaml.safe_load(RECIPE), yaml.safe_load(first[1])
    for tree in (before, content):
        del tree["services"]["app"]["ports"]
    assert content == before


def test_host_mode_ports_refuse_broken_files() -> None:
    """A file that cannot be read is the same clear error here."""
    for text in ("services: [", "services: {a: {ports: [x]}}"):
        with pytest.raises(ComposeError, match=r"c\.yml"):
            host_mode_ports([("c.yml", text)], {})
