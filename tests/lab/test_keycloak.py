"""The live Keycloak keeps itself at its latest release, and comes back with its data when that release is bad.

One Keycloak on the lab of the providers: each test leaves it healthy, with the marker realm and its user.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import heads
from tests.support.provider import PATIENCE, Keycloak, Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.host import LabHost
    from tests.support.provider import Edit
    from tests.support.recipe import Tree

OLD, NEW = "10.7.1+26.5.6", "10.7.2+26.7.3"
RECIPES = Path(__file__).parents[2] / "recipes"
MARKER, USER, PASSWORD = "marker", "old-user", "not-a-secret"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, warm_lab: LabHost) -> Iterator[Provider]:
    """Keycloak at its older release, brought up by the reconcile, with a marker realm in it."""
    recipes = tmp_path_factory.mktemp("k") / "recipes"
    shutil.copytree(RECIPES, recipes, ignore=shutil.ignore_patterns("__pycache__"))
    meta = recipes / "keycloak" / "recipe_meta.toml"
    meta.write_text(meta.read_text("utf-8").replace("timeout = 300.0", f"timeout = {PATIENCE}"), "utf-8")
    made = Provider(warm_lab, "keycloak", f"warm-keycloak.{warm_lab.settings['base_domain']}", recipes)
    made.hide(NEW)
    made.forget()
    done = made.reconcile()
    assert done.code == 0, done.all
    assert f"RECONCILE RESULT: installed:{OLD}" in done.out
    user = {"username": USER, "enabled": True, "email": "old@example.com", "emailVerified": True, "firstName": "Old"}
    user |= {"lastName": "User", "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}]}
    client = {"clientId": "pub", "publicClient": True, "directAccessGrantsEnabled": True}
    Keycloak(made).make_realm(MARKER, users=[user], clients=[client])
    yield made
    made.show(NEW)


@pytest.fixture
def kept(provider: Provider) -> Iterator[Provider]:
    """Keycloak, which must be healthy, at its last good version and with its marker when the test ends."""
    provider.forget_alerts()
    yield provider
    provider.assert_at(provider.last_good()["version"])
    keycloak = Keycloak(provider)
    assert keycloak.realms() == sorted(["master", MARKER]), "the marker realm, and no realm of a run"
    assert keycloak.token(MARKER, "pub", USER, PASSWORD)["access_token"]


def bad_hostname(tree: Tree) -> None:
    """Name a host that no URL can have: Keycloak does not start."""
    tree["compose.yml"] = tree["compose.yml"].replace("KC_HOSTNAME=https://${DOMAIN}", '"KC_HOSTNAME=:::bad-host:::"')


def dies_at_once(tree: Tree) -> None:
    """Do not start, and be through with it after one try."""
    bad_hostname(tree)
    with heads.app(tree) as service:
        service["deploy"]["restart_policy"] = {"condition": "none"}


def never_healthy(tree: Tree) -> None:
    """Start, migrate the database to the end, and then not be healthy."""
    ready = "curl --fail --silent --output /dev/null http://localhost:9000/health/ready"
    check = f"until {ready}; do sleep 0.5; done; echo it migrated; exit 1"
    with heads.app(tree) as service:
        service["healthcheck"] = {"test": ["CMD-SHELL", check], "interval": "1s", "timeout": "600s", "retries": 1}
        service["deploy"]["restart_policy"] = {"condition": "none"}


def manual_notes(tree: Tree) -> None:
    """Say in the notes that somebody has to do something."""
    tree["releaseNotes/10.7.3+26.7.4.md"] = "## Before you upgrade\n\nThis needs a manual\nmigration of the database.\n"


def nothing(_: Tree) -> None:
    """Change nothing."""


def test_healthy_at_the_latest_release_is_left_alone(kept: Provider, told: Callable[[str], None]) -> None:
    """A second reconcile finds nothing to do, deploys nothing, and not one task is another."""
    before = kept.tasks()
    done = kept.reconcile()
    assert (done.code, done.result["outcome"], done.result["verdict"]) == (0, "noop-healthy", "passed")
    assert [step["name"] for step in done.result["steps"] if "deploying" in step["name"]] == []
    assert kept.tasks() == before
    told(f"reconcile of a healthy Keycloak: {done.result['seconds']} s (aim: under 2 s on a machine of its own)")
    assert not kept.alerts()


@pytest.mark.parametrize(
    ("version", "edit", "kind", "words"),
    [
        ("11.0.0+27.0.0", nothing, "held-major", "major"),
        ("10.7.3+26.7.4", manual_notes, "held-manual-migration", "manual"),
    ],
)
def test_a_hold_touches_nothing(kept: Provider, version: str, edit: Edit, kind: str, words: str) -> None:
    """A release behind the safety gate is held before anything is touched; one alert carries the notes, not two."""
    kept.release(version, edit, base=OLD)
    try:
        tasks, snapshot = kept.tasks(), kept.snapshot()
        for _ in range(2):
            done = kept.reconcile()
            assert (done.code, done.result["verdict"]) == (0, "held"), done.all
            assert done.result["outcome"] == f"{kind}:{OLD}->{version}"
        assert (kept.tasks(), kept.snapshot()) == (tasks, snapshot)
        [alert] = kept.alerts()
        assert (alert["kind"], alert["attempted"], alert["last_good"]) == (kind, version, OLD)
        assert alert["recovered"] is None
        assert f"--allow '{OLD}->{version}'" in alert["todo"]
        assert words in f"{alert['text']} {alert['notes']}"
    finally:
        kept.withdraw(version)


@pytest.mark.parametrize(
    ("version", "edit", "word"),
    [("10.7.4+26.7.3", bad_hostname, "hostname"), ("10.7.6+26.7.3", never_healthy, "its healthcheck never passed")],
)
def test_a_bad_release_is_rolled_back(kept: Provider, version: str, edit: Edit, word: str) -> None:
    """A release that does not start, or that migrates and is not healthy, is rolled back, data and version.

    The timer leaves it alone until somebody says.
    """
    kept.release(version, edit, base="newer")
    try:
        done = kept.reconcile()
        assert (done.code, done.result["verdict"]) == (1, "failed"), done.all
        assert f"RECONCILE RESULT: rolled-back:{version}->{OLD}" in done.out
        assert "restoring the data" in done.out
        assert f'"version": "{OLD}"' in kept.snapshot(), "the snapshot is of the version before"
        [alert] = kept.alerts()
        assert (alert["kind"], alert["attempted"], alert["last_good"]) == ("rolled-back", version, OLD)
        assert alert["recovered"] is True
        assert word in alert["text"]
        again = kept.reconcile()
        assert again.result["outcome"] == f"held-failed:{OLD}->{version}"
        assert len(kept.alerts()) == 1, "what is known is not said again"
    finally:
        kept.withdraw(version)


def test_an_image_that_does_not_exist_moves_nothing(kept: Provider) -> None:
    """An image that cannot be had is found out while the old version still serves."""
    version = "10.7.5+26.7.3"
    kept.release(version, lambda tree: heads_image(tree, "keycloak:26.7.99"), base="newer")
    try:
        tasks = kept.tasks()
        done = kept.reconcile()
        assert (done.code, done.result["outcome"]) == (1, f"rolled-back:{version}->{OLD}"), done.all
        assert "keycloak:26.7.99" in done.result["reason"]
        assert kept.tasks() == tasks
        [alert] = kept.alerts()
        assert (alert["kind"], alert["recovered"]) == ("rolled-back", True)
    finally:
        kept.withdraw(version)


def heads_image(tree: Tree, image: str) -> None:
    """Name another image."""
    with heads.app(tree) as service:
        service["image"] = image


def test_a_rollback_that_fails_says_so_and_is_finished_later(kept: Provider) -> None:
    """An image of the version before is gone: the data are back, to the byte, and the next reconcile goes on."""
    version, image = "10.7.7+26.7.3", "mariadb:10.11"
    kept.release(version, dies_at_once, base="newer")
    kept.host.sh(f"docker tag {image} kept:1")
    try:
        run = kept.start("play", "reconcile_keycloak")
        run.wait_for(f"deploying {version}", PATIENCE)
        kept.host.sh(f"docker rmi {image}")
        done = run.finish(PATIENCE)
        assert (done.code, done.result["verdict"]) == (3, "errored"), done.all
        assert done.result["outcome"] == f"rollback-failed:{version}->{OLD}"
        [alert] = kept.alerts()
        assert (alert["kind"], alert["recovered"]) == ("rollback-failed", False)
        assert "reconcile_keycloak" in alert["todo"]
        assert f"{kept.home}/snapshot" in alert["todo"]
        kept.take_down()
        assert kept.differences() == ""
        kept.host.sh(f"docker tag kept:1 {image}")
        again = kept.reconcile()
        assert again.result["outcome"] == f"held-failed:{OLD}->{version}", again.all
        assert [alert["kind"] for alert in kept.alerts()] == ["rollback-failed", "rolled-back"]
    finally:
        kept.host.sh(f"docker tag kept:1 {image} && docker rmi kept:1")
        kept.withdraw(version)


def test_a_killed_reconcile_is_undone_by_the_next(kept: Provider) -> None:
    """A reconcile killed with -9 while the new version starts: the next one restores the data and says so."""
    version = "10.7.8+26.7.3"
    kept.release(version, never_healthy, base="newer")
    try:
        run = kept.start("play", "reconcile_keycloak")
        run.wait_for(f"deploying {version}", PATIENCE)
        run.kill()
        run.finish(PATIENCE)
    finally:
        kept.withdraw(version)
    done = kept.reconcile()
    assert done.result["outcome"] == "noop-healthy", done.all
    assert [alert["kind"] for alert in kept.alerts()] == ["interrupted"]


def test_keycloak_down_is_the_hosts_fault(kept: Provider) -> None:
    """With Keycloak down a run that needs it ends as errored, with that reason, before its app is deployed."""
    kept.host.sh(f"docker service scale -d {kept.stack}_app=0 && sleep 2")
    done = kept.start("run", env={"RECIPE": "private-html", "STAGES": "install,custom"}).finish(PATIENCE)
    assert (done.code, done.result["verdict"]) == (3, "errored"), done.all
    assert "live keycloak at warm-keycloak" in done.result["reason"]
    assert done.result["deploy_count"] == {"actual": 0, "expected": 0}
    again = kept.reconcile()
    assert again.result["outcome"] == f"redeployed:{OLD}", again.all


def test_two_runs_at_once_get_two_realms(kept: Provider) -> None:
    """Two runs of one recipe side by side pass, each with its own realm, and leave nothing."""
    env = {"RECIPE": "private-html", "STAGES": "install,custom"}
    both = [kept.start("run", env=env) for _ in range(2)]
    for run in both:
        run.wait_for("making realm", PATIENCE)
    waiting = kept.start("play", "reconcile_keycloak")
    ended = [run.finish(PATIENCE) for run in both]
    assert waiting.finish(PATIENCE).result["outcome"] == "noop-healthy", "with nothing to do it waits for nobody"
    for done in ended:
        assert done.code == 0, done.all
        assert "deploy-count = 1 (expect 1)" in done.out
        assert "dep: using live-warm keycloak @ warm-keycloak." in done.out
        tests = [test["name"] for stage in done.result["stages"] for test in stage["tests"]]
        assert any("browser_login" in name for name in tests)
    realms = {line.text.split("realm ")[1] for done in ended for line in done.lines if "deleted per-run" in line.text}
    assert len(realms) == len(both)
    assert kept.host.sh("docker stack ls --format '{{.Name}}' | grep -c priv- || true") == "0"
    assert kept.host.sh("docker secret ls --format '{{.Name}}' | grep -c priv- || true") == "0"


def test_a_killed_run_leaves_a_realm_that_is_reaped(kept: Provider) -> None:
    """The realm of a run killed with -9 goes with the next reap, and a person's realm of a like name stays."""
    keycloak = Keycloak(kept)
    keycloak.make_realm("notes")
    run = kept.start("run", env={"RECIPE": "private-html", "STAGES": "install"})
    run.wait_for("deploying", PATIENCE)
    run.kill()
    run.finish(PATIENCE)
    [orphan] = [name for name in keycloak.realms() if name.startswith("private-html-")]
    done = kept.start("realm", "reap", "--live", "aaa111").finish(PATIENCE)
    assert f"deleted {orphan}" in done.out
    assert keycloak.realms() == sorted(["master", MARKER, "notes"])
    keycloak.drop_realm("notes")
    soon = {"CCCI_KEEPALIVE": "0.2", "CCCI_DEAD_AFTER": "0.5"}  # else it could be a run that lost its connection
    recovered = kept.start("play", "recover", env=soon).finish(PATIENCE)
    assert recovered.code == 0, recovered.all
    assert "was left over and is torn down" in recovered.out


def test_a_reconcile_waits_for_runs(kept: Provider) -> None:
    """An upgrade does not begin while a run uses Keycloak, and a run that comes meanwhile waits for it."""
    version = "10.7.9+26.7.3"
    kept.release(version, dies_at_once, base="newer")
    try:
        first = kept.start("run", env={"RECIPE": "private-html", "STAGES": "install"})
        first.wait_for("making realm", PATIENCE)
        upgrade = kept.start("play", "reconcile_keycloak")
        upgrade.wait_for("run(s) use", PATIENCE)
        second = kept.start("run", env={"RECIPE": "private-html", "STAGES": "install"})
        second.wait_for("is being reconciled", PATIENCE)
        one, moved, two = first.finish(PATIENCE), upgrade.finish(PATIENCE), second.finish(PATIENCE)
        assert (one.code, moved.code, two.code) == (0, 1, 0), f"{one.all}\n{moved.all}\n{two.all}"
        assert moved.when("undeploying") > one.when("deleting realm")
        assert two.when("making realm") > moved.when("RECONCILE RESULT")
    finally:
        kept.withdraw(version)


def test_a_healthy_upgrade_keeps_the_data(kept: Provider) -> None:
    """A good release is taken: a snapshot first, then the new version with the old realm and user in it."""
    kept.show(NEW)
    done = kept.reconcile()
    assert (done.code, done.result["outcome"]) == (0, f"upgraded:{OLD}->{NEW}"), done.all
    assert kept.last_good()["version"] == NEW
    assert f'"version": "{OLD}"' in kept.snapshot()
    assert not kept.alerts()
