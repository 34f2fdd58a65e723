"""What a deployment needs, worked out from a real recipe before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import tomli
import yaml

import ccci
from ccci.errors import ComposeError
from ccci.model.app import App, cold_app
from ccci.model.deployment import COMMIT_LABEL, INPUTS_LABEL, Deployment, Place, app_env, plan, version_label
from ccci.model.exceptions import Exceptions
from ccci.model.run import Release

SOURCES = Path(ccci.__file__).parent / "lab" / "recipes" / "custom-html"
APP = cold_app("custom-html", "abc123", "ci.lab.test")
VOLUME = f"{APP.stack}_content"
RELEASE = Release("1" * 40, "1.11.0+1.26.3", released=True)


def recipe() -> dict[str, bytes]:
    """Return the sample recipe's tree, as of its last annotated release."""
    history = tomli.loads((SOURCES / "history.toml").read_text())
    commit = [commit for commit in history["commit"] if "tag" in commit][-1]
    files = {}
    for path in (SOURCES / "tree").rglob("*"):
        if path.is_file():
            text = path.read_text()
            for key, value in commit["set"].items():
                text = text.replace(f"@@{key}@@", value)
            files[str(path.relative_to(SOURCES / "tree"))] = text.encode()
    return files


FILES = recipe()


def made(files: Mapping[str, bytes] = FILES, release: Release = RELEASE, app: App = APP, **place: Any) -> Deployment:
    """Plan a deployment of the sample recipe, with changes; `env` is added to the env file."""
    env = app_env(files, app, release, place.pop("env", {}))
    return plan(files, release, Place(app, env, **place))


def with_file(name: str, text: str) -> dict[str, bytes]:
    """Return the recipe with one file changed."""
    return {**FILES, name: text.encode()}


def with_compose(old: str, new: str) -> dict[str, bytes]:
    """Return the recipe with a text in its compose file replaced."""
    text = FILES["compose.yml"].decode()
    assert old in text
    return with_file("compose.yml", text.replace(old, new))


def labels(deployment: Deployment) -> dict[str, str]:
    """Return the labels that the extra compose file adds."""
    found: dict[str, str] = yaml.safe_load(deployment.extra)["services"]["app"]["deploy"]["labels"]
    return found


def test_the_sample_recipe_is_planned() -> None:
    """Files, stack, volume, image and version of a real recipe come out as docker would have them."""
    deployment = made()
    assert deployment.app.stack == "cust-abc123_ci_lab_test"
    assert deployment.files == ("compose.yml",)
    assert deployment.volumes == {"content": "cust-abc123_ci_lab_test_content"} == {"content": VOLUME}
    assert deployment.compose.services["app"].image == "nginx:1.26.3"
    assert version_label(deployment.compose, APP.stack) == RELEASE.version
    assert deployment.secrets == {}
    assert deployment.rewrites == {"compose.yml": FILES["compose.yml"].decode()}  # what is checked is what is deployed


def test_the_environment_is_the_apps() -> None:
    """The sample's values, the recipe's settings above them, and what the app is above all; abra.sh adds its own."""
    env = made(env={"EXTRA": "1", "DOMAIN": "evil.example", "TYPE": "x", "LETS_ENCRYPT_ENV": "production"}).env
    assert env["TYPE"] == "custom-html:1.11.0+1.26.3"
    assert (env["DOMAIN"], env["STACK_NAME"]) == (APP.domain, APP.stack)
    assert (env["LETS_ENCRYPT_ENV"], env["EXTRA"], env["DEFAULT_CONF_VERSION"]) == ("", "1", "v2")


def test_the_stacks_name_cannot_be_taken_from_another_app() -> None:
    """A recipe's STACK_NAME, in the env file or abra.sh, does not send the deployment to another stack."""
    assert made(env={"STACK_NAME": "traefik"}).env["STACK_NAME"] == APP.stack
    assert made(with_file("abra.sh", "export STACK_NAME=traefik\n")).env["STACK_NAME"] == APP.stack


def test_a_release_is_not_chaos_and_a_commit_is() -> None:
    """A released version says so; a commit carries its id in the labels that abra reads, too."""
    prefix = f"coop-cloud.{APP.stack}"
    released, chaos = labels(made()), labels(made(chaos=True))
    assert (released[COMMIT_LABEL], released[f"{prefix}.chaos"]) == (RELEASE.commit, "false")
    assert f"{prefix}.chaos-version" not in released
    assert (chaos[f"{prefix}.chaos"], chaos[f"{prefix}.chaos-version"]) == ("true", RELEASE.commit[:8])


def test_the_gate_wants_what_was_planned() -> None:
    """Image, replicas and the digest of the inputs are what the gate compares with."""
    deployment = made()
    want = deployment.wanted(settle=2.0, since=5.0)
    assert {key: value[:2] for key, value in want.services.items()} == {"app": ("nginx:1.26.3", 1)}
    assert (want.settle, want.since) == (2.0, 5.0)
    assert want.labels == {INPUTS_LABEL: labels(deployment)[INPUTS_LABEL]} == {INPUTS_LABEL: deployment.inputs}


def test_a_global_service_is_wanted_on_each_node() -> None:
    """Replicas None means one a node."""
    files = with_compose("    deploy:\n", "    deploy:\n      mode: global\n")
    assert made(files).wanted(settle=1, since=0).services["app"][:2] == ("nginx:1.26.3", None)


def test_the_digest_of_the_inputs_is_stable() -> None:
    """The same inputs give the same digest, whatever order the files and variables come in."""
    assert made().inputs == made().inputs
    assert made(dict(reversed(FILES.items()))).inputs == made().inputs
    one, two = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    assert made(env=one).inputs == made(env=two).inputs


def test_each_input_changes_the_digest() -> None:
    """Commit, variables, app, chaos, forks and abra.sh each make another deployment of it."""
    others = [
        made(),
        made(release=attrs.evolve(RELEASE, commit="2" * 40)),
        made(release=attrs.evolve(RELEASE, version="1.12.0+1")),
        made(env={"A": "1"}),
        made(env={"A": "2"}),
        made(app=cold_app("custom-html", "abc124", "ci.lab.test")),
        made(chaos=True),
        made(forks={VOLUME: "fork-1"}),
        made(forks={VOLUME: "fork-2"}),
        made(with_file("abra.sh", "export DEFAULT_CONF_VERSION=v9\n")),
    ]
    assert len({deployment.inputs for deployment in others}) == len(others)


def test_forks_take_the_place_of_volumes() -> None:
    """A fork is an external volume under the recipe's key; one that the head does not have is left out."""
    deployment = made(forks={VOLUME: "fork-1", "gone": "fork-2"})
    assert yaml.safe_load(deployment.extra)["volumes"] == {"content": {"external": True, "name": "fork-1"}}
    assert deployment.volumes == made().volumes


def test_without_ipvs_every_service_resolves_by_dns() -> None:
    """The extra file says so, and published ports move to the host; else the recipe's text stays as it is."""
    assert yaml.safe_load(made(dnsrr=True).extra)["services"]["app"]["deploy"]["endpoint_mode"] == "dnsrr"
    assert made(dnsrr=True).rewrites == made().rewrites
    published = with_compose("    networks:\n", '    ports: ["8080:80"]\n    networks:\n')
    allow = Exceptions(frozenset({"port:8080"}))
    assert '"mode": "host"' in made(published, dnsrr=True, allow=allow).rewrites["compose.yml"]
    assert made(published, allow=allow).rewrites == {"compose.yml": published["compose.yml"].decode()}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "IFS", "BASH_ENV", "ENV", "LD_PRELOAD", "DOCKER_HOST", "DOCKER_CONFIG", "CCCI_HOME", "SHELLOPTS",
     "BASH_FUNC_x"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["env", "abra.sh"])
def test_names_that_change_the_tools_are_refused(name: str, where: str) -> None:
    """Neither a sample nor an abra.sh may choose which docker runs and where: refused, with the name."""
    files = with_file("abra.sh", f"export {name}=x\n") if where == "abra.sh" else FILES
    with pytest.raises(ComposeError, match=name):
        made(files, env={name: "x"} if where == "env" else {})


def test_similar_names_are_allowed() -> None:
    """Variables that only look alike are the recipe's own business."""
    names = {"MY_PATH": "1", "HOMEPAGE": "1", "DOCKERFILE": "1", "PATHS": "1"}
    assert names.items() <= made(env=names).env.items()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({name: data for name, data in FILES.items() if name != "compose.yml"}, "compose.yml"),
        ({**FILES, "compose.yml": b"\xff\xfe"}, "not UTF-8"),
        ({**FILES, "abra.sh": b"\xff"}, "not UTF-8"),
        (with_file("compose.yml", "services: ["), "compose.yml"),
        (with_file(".env.sample", "COMPOSE_FILE=../../etc/passwd\n"), "COMPOSE_FILE"),
        (with_file(".env.sample", "COMPOSE_FILE=compose.yml:compose.more.yml\n"), "compose.more.yml"),
        (with_compose("${DEFAULT_CONF_VERSION}", "x" * 65), "characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_deployed_is_refused_before_anything_is_touched(files: dict[str, bytes], says: str) -> None:
    """Each fault of a recipe's files is a ComposeError that names the file or the value."""
    with pytest.raises(ComposeError, match=says):
        made(files)


@pytest.mark.parametrize("path", ["/etc/shadow", "../../other/abra.sh", "nothing.tmpl"])
def test_files_outside_of_the_recipe_are_refused(path: str) -> None:
    """A config or env_file cannot read what lies elsewhere on the host."""
    with pytest.raises(ComposeError, match="no plain file of the recipe"):
        made(with_compose("file: default.conf.tmpl", f"file: {path}"))
    with pytest.raises(ComposeError, match="no plain file of the recipe"):
        made(with_compose("    networks:\n", f"    env_file: [{path}]\n    networks:\n"))


SECRETS = """
secrets:
  db_password:
    external: true
    name: ${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}
"""


def with_secret(text: str, sample: str) -> dict[str, bytes]:
    """Return the recipe with secrets that its service uses."""
    compose = FILES["compose.yml"].decode().replace("    networks:\n", "    secrets: [db_password]\n    networks:\n", 1)
    return {
        **FILES,
        "compose.yml": (compose + text).encode(),
        ".env.sample": FILES[".env.sample"] + sample.encode(),
    }


def test_secrets_are_named_and_described() -> None:
    """An external secret has its real name with version, and the sample's length and charset."""
    files = with_secret(SECRETS, "SECRET_DB_PASSWORD_VERSION=v3 # length=20 charset=hex\n")
    (name, spec), *rest = made(files).secrets.items()
    assert not rest
    assert name == f"{APP.stack}_db_password_v3"
    assert (spec.length, spec.charset, spec.generate) == (20, "hex", True)


def test_a_secret_of_another_app_is_refused() -> None:
    """A pull request cannot mount the secret of an app that is none of its own."""
    foreign = "secrets:\n  db_password:\n    external: true\n    name: traefik_ci_lab_test_dns_token_v1\n"
    with pytest.raises(ComposeError, match="not this app's"):
        made(with_secret(foreign, ""))


def test_a_version_label_that_is_none_is_nothing() -> None:
    """A label that is no version, or a recipe without the service app, is no version."""
    broken = made(with_compose("version=1.11.0+1.26.3", "version=latest"))
    assert version_label(broken.compose, APP.stack) == ""
    other = made(with_compose("services:\n  app:", "services:\n  web:"))
    assert version_label(other.compose, APP.stack) == ""
    assert other.wanted(settle=1, since=0).labels == {}
