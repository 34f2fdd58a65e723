"""The proxy keeps itself at its latest release and comes back when that is bad, under the eyes of a client.

The client asks an app behind the proxy every 50 ms, through everything. How long it was without an answer is told by
`pytest -rP` as captured output.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.support.keycloak import https_port
from tests.support.provider import Provider
from tests.support.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.host import LabHost
    from tests.support.provider import Edit
    from tests.support.recipe import Tree

OLD, NEW = "3.9.0+3.6.15", "3.10.0+3.7.15"
RECIPES = Path(__file__).parents[2] / "recipes"
GAP = 20.0  # seconds; measured: 3.2 to 14 on machines where forty to a hundred processes wanted two cores
GATE = 40.0  # seconds for the health gate of a release that will not pass it
_FRONT = """
on=traefik.http.routers.{name}
docker service create -q -d --name {name} --network proxy --endpoint-mode dnsrr --no-resolve-image \
  -l traefik.enable=true -l "$on.rule=Host(\\`{domain}\\`)" -l $on.tls=true -l $on.entrypoints=web-secure \
  -l traefik.http.services.{name}.loadbalancer.server.port=80 nginx:1.26.3 >/dev/null
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, warm_lab: LabHost) -> Iterator[Provider]:
    """The proxy at its older release; its secrets and its env file are those that the lab made."""
    recipes = tmp_path_factory.mktemp("t") / "recipes"
    shutil.copytree(RECIPES, recipes, ignore=shutil.ignore_patterns("__pycache__"))
    made = Provider(warm_lab, "traefik", f"traefik.{warm_lab.settings['base_domain']}", recipes)
    made.hide(NEW)
    made.take_down()
    made.host.sh(f"rm -rf {made.home} && sed -i 's/^TYPE=.*/TYPE=traefik:{OLD}/' {made.env_file}")
    done = made.reconcile()
    assert f"RECONCILE RESULT: redeployed:{OLD}" in done.out, done.all
    yield made
    made.show(NEW)


@pytest.fixture(scope="module")
def front(provider: Provider) -> Iterator[str]:
    """An app behind the proxy; gives its domain."""
    name = "seen-by-all"
    domain = f"{name}.{provider.host.settings['base_domain']}"
    provider.host.sh(_FRONT.format(name=name, domain=domain))
    yield domain
    provider.host.sh(f"docker service rm {name}")


@attrs.define
class Seen:
    """The proxy, the client that asks an app behind it, and how long that may be without an answer, in seconds."""

    provider: Provider
    watch: Watch
    limit: float = GAP


@pytest.fixture
def seen(provider: Provider, front: str, told: Callable[[str], None], request: pytest.FixtureRequest) -> Iterator[Seen]:
    """The proxy, asked every 50 ms; in the end it is at its last good version, and nothing but that has changed."""
    provider.forget_alerts()
    before = kept_of(provider)
    with Watch(front, https_port(provider.host), provider.host.settings["ca"]) as watch:
        yield (made := Seen(provider, watch))
    told(f"{request.node.name}: the proxy gave no answer for {watch.gap:.1f} s")
    assert watch.gap < made.limit
    assert len(watch.certificates) == 1, "the certificate is the same before and after"
    provider.assert_at(provider.last_good()["version"])
    assert kept_of(provider) == before


def kept_of(provider: Provider) -> str:
    """Return what no reconcile may change: the env file but for its TYPE, and every secret's id."""
    secrets = "docker secret ls --format '{{.ID}} {{.Name}}'"
    return provider.host.sh(f"grep -v ^TYPE= {provider.env_file}; {secrets}")


def new_settings(tree: Tree, old: str, new: str, config: str) -> None:
    """Change Traefik's own settings and raise their version."""
    assert old in tree["traefik.yml.tmpl"]
    tree["traefik.yml.tmpl"] = tree["traefik.yml.tmpl"].replace(old, new)
    assert "TRAEFIK_YML_VERSION=v1" in tree["abra.sh"]
    tree["abra.sh"] = tree["abra.sh"].replace("TRAEFIK_YML_VERSION=v1", f"TRAEFIK_YML_VERSION={config}")


def does_not_start(tree: Tree) -> None:
    """Listen at a port that there is not."""
    new_settings(tree, '":443"', '":no-such-port"', "v8")


def does_not_route(tree: Tree) -> None:
    """Start well, and look for apps where there are none."""
    new_settings(tree, "/var/run/docker.sock", "/var/run/nowhere.sock", "v7")


@pytest.mark.parametrize(
    ("version", "edit", "word"),
    [("3.9.1+3.6.15", does_not_start, "no-such-port"), ("3.9.2+3.6.15", does_not_route, "404")],
)
def test_a_bad_release_is_rolled_back(seen: Seen, version: str, edit: Edit, word: str) -> None:
    """A release that does not start, or starts and does not route, is rolled back; the alert says why."""
    watched, seen.limit = seen.provider, GATE + 3 * GAP
    watched.release(version, edit, base=OLD)
    try:
        done = watched.reconcile(env={"CCCI_GATE_TIMEOUT": str(GATE)})
    finally:
        watched.withdraw(version)
    assert (done.code, done.result["outcome"]) == (1, f"rolled-back:{version}->{OLD}"), done.all
    [alert] = watched.alerts()
    assert (alert["kind"], alert["attempted"], alert["last_good"]) == ("rolled-back", version, OLD)
    assert alert["recovered"] is True
    assert word in alert["text"]
    assert watched.last_good()["version"] == OLD


def test_a_major_step_is_held(seen: Seen) -> None:
    """A new major version of Traefik touches nothing, and nobody is without an answer."""
    watched, version = seen.provider, "3.11.0+4.0.0"
    tasks = watched.tasks()
    watched.release(version, lambda _: None, base=OLD)
    try:
        done = watched.reconcile()
    finally:
        watched.withdraw(version)
    assert (done.code, done.result["outcome"]) == (0, f"held-major:{OLD}->{version}"), done.all
    assert watched.tasks() == tasks
    assert [alert["kind"] for alert in watched.alerts()] == ["held-major"]
    assert seen.watch.failures == 0


def test_a_healthy_upgrade_is_taken(seen: Seen) -> None:
    """A good release is taken, and a second reconcile finds nothing to do."""
    watched = seen.provider
    watched.show(NEW)
    done = watched.reconcile()
    assert (done.code, done.result["outcome"]) == (0, f"upgraded:{OLD}->{NEW}"), done.all
    assert watched.last_good()["version"] == NEW
    again = watched.reconcile()
    assert again.result["outcome"] == "noop-healthy", again.all
    assert not watched.alerts()
