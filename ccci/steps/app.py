"""The verbs of an app's life: bring up, upgrade, gate, take down."""

from __future__ import annotations

import secrets as random
import string
from collections.abc import Mapping

import attrs

from ccci import paths
from ccci.commands.docker import APP_LABEL, RUN_LABEL
from ccci.commands.shell import command
from ccci.engine.run import Run
from ccci.engine.session import Session, current
from ccci.engine.steps import step
from ccci.errors import CcciError, CommandFailed, DeployFailed, GateFailed, InfrastructureError, UsageError
from ccci.facts.docker import DockerEngine, Secrets, Stack
from ccci.facts.warm import File
from ccci.model import envfile
from ccci.model.app import App
from ccci.model.deployment import Deployment, Files, Place, app_env, plan, sample_env
from ccci.model.enrolment import find_recipe
from ccci.model.envfile import SecretSpec
from ccci.model.exceptions import Exceptions
from ccci.model.recipe import Health
from ccci.model.redact import named_secret
from ccci.model.run import Release
from ccci.operations.recipe import worktree
from ccci.operations.record import secrets_present
from ccci.operations.stack import deploy, logs_of, undeploy
from ccci.operations.stack import health_gate as health_gate_operation
from ccci.steps.head import read_files

SECRET_LENGTH = 32  # characters, where the recipe names none
LOG_LINES = 15
_DAEMON_AWAY = (
    "Cannot connect to the Docker daemon",
    "error during connect",
    "code = Unavailable",
    "code = DeadlineExceeded",
)


@step("deploying {1.version} fresh at {0.domain}")
def deploy_fresh(app: App, release: Release, run: Run) -> None:
    """Bring a new app up with an env file made from the recipe's sample."""
    env = app_env(files_of(run, app, release), app, release, run.recipe.meta.env_with(run.dep_domains))
    bring_up(run, app, release, env)


def ensure_deployed(app: App, run: Run) -> None:
    """Deploy the head fresh if no stage before this one has deployed the app."""
    if app.domain not in run.session.deployments:
        run.expected_deploys += 1
        deploy_fresh(app, run.head, run)
        health_gate(app, run)


@step("deploying canonical {0.domain} at known-good")
def deploy_canonical(app: App, run: Run) -> None:
    """Bring the canonical up at known-good, on its forks if the run has them."""
    canonical = run.canonical
    if canonical is None:
        raise UsageError(f"{app.recipe} has no canonical")
    release = Release(canonical.record.commit, canonical.record.version, released=True)
    bring_up(run, app, release, canonical_env(run, app, release))


@step("upgrading {0.domain} in place to {1.version} ({1.short})")
def upgrade_in_place(app: App, to: Release, run: Run) -> None:
    """Deploy another commit over the running app: same volumes, env file kept, new variables added."""
    session = run.session
    before = session.deployments[app.domain].place.env
    env = {**sample_env(files_of(run, app, to)), **before, "TYPE": f"{app.recipe}:{to.version or to.short}"}
    deployment = plan_release(run, app, to, env)
    if to.commit == session.deployments[app.domain].release.commit:
        raise DeployFailed(f"the head is what {app.domain} already runs: there is nothing to upgrade")
    _deploy(run, deployment)


@step("waiting until {0.domain} is healthy")
def health_gate(app: App, run: Run, *, going_back: bool = False) -> None:
    """Pass the health gate, or fail with the reason and the log of the service to blame.

    Args:
        app: the app, deployed by this run.
        run: the run; its recipe says when the app counts as healthy.
        going_back: whether the app is brought back to what it was, so that Swarm's own rollback to that is welcome.

    Raises:
        GateFailed: the gate said no.
    """
    gate(run.session, app, run.recipe.meta.health, going_back=going_back)


def gate(session: Session, app: App, health: Health, *, going_back: bool = False) -> None:
    """Pass the health gate of any app that this session deployed; errors as `health_gate`."""
    if session.settings.gate_timeout:
        health = attrs.evolve(health, timeout=session.settings.gate_timeout)
    deployment = session.deployments[app.domain]
    since = session.deployed_since[app.domain]
    try:
        session.perform(
            health_gate_operation, deployment, health, since=since, going_back=going_back, tell=session.waiting
        )
    except GateFailed as error:
        raise GateFailed(error.what, hint=error.hint, detail=service_log(session, deployment, error.what)) from error


@step("undeploying {0.domain}")
def take_down(app: App) -> None:
    """Remove the app's stack and wait until its tasks, networks and mounts are gone."""
    session = current()
    session.perform(undeploy, app.stack, fence=session.fence(app))
    session.deployments.pop(app.domain, None)


def canonical_env(run: Run, app: App, release: Release) -> Mapping[str, str]:
    """Return the canonical's env file with what is new in a release's sample; of a new one, what it will be."""
    files = files_of(run, app, release)
    text = run.session.read(File, path=app.env_file)
    if text is None:
        return app_env(files, app, release, run.recipe.meta.env_with(run.dep_domains))
    own = envfile.parse(text, where=str(app.env_file))
    return {**sample_env(files), **own, "TYPE": f"{app.recipe}:{release.version}"}


def bring_up(run: Run, app: App, release: Release, env: Mapping[str, str]) -> None:
    """Deploy an app that is not deployed, and count it."""
    fresh = app.domain not in run.session.deployments
    _deploy(run, plan_release(run, app, release, env))
    run.session.deploys += fresh


def files_of(run: Run, app: App, release: Release) -> Files:
    """Return a commit's tree; a run reads each once."""
    if release.commit not in run.files:
        run.files[release.commit] = read_files(run.session, app.recipe, release.commit)
    return run.files[release.commit]


def plan_release(run: Run, app: App, release: Release, env: Mapping[str, str]) -> Deployment:
    """Work a deployment out on this host; changes nothing.

    Raises:
        ComposeError: the recipe cannot be deployed as it is.
    """
    run.session.stream.hide(named_secret(env))
    engine = run.session.read(DockerEngine)
    forks = run.session.forks.get(app.domain, {})
    overlay = run.overlay.get(app.domain, {})
    place = Place(app, env, overlay, forks, dnsrr=not engine.ipvs, chaos=not release.released, allow=_allow(run, app))
    return plan(files_of(run, app, release), release, place)


def _allow(run: Run, app: App) -> Exceptions:
    """Return the policy's exceptions for an app: those of its own recipe, also if it is a dependency."""
    own = app.recipe == run.recipe.name
    return (run.recipe if own else find_recipe(app.recipe, run.session.settings.recipes)).meta.policy


def _deploy(run: Run, deployment: Deployment) -> None:
    session, app, release = run.session, deployment.app, deployment.release
    scratch = paths.scratch_of(session.run_id, app.recipe)
    tree = scratch / f"tree-{release.commit[:12]}"
    session.perform(worktree, paths.recipe_clone(app.recipe), path=tree, commit=release.commit)
    _make_secrets(session, deployment, run.given_secrets)
    session.deployed_since[app.domain] = session.read(Stack, stack=app.stack).now
    try:
        session.perform(deploy, deployment, tree=tree, scratch=scratch, fence=session.fence(app))
    except CommandFailed as error:
        raise _refused(error, deployment) from error
    session.deployments[app.domain] = deployment


def _refused(error: CommandFailed, deployment: Deployment) -> CcciError:
    """Tell a recipe that docker refuses from a docker that does not answer."""
    text = error.detail or ""
    immutable = "only updates to Labels are allowed" in text
    if not immutable and any(word in text for word in _DAEMON_AWAY):
        return InfrastructureError(f"docker does not answer: {error.what}", detail=error.detail)
    hint = "a config or secret changed but kept its name: raise its version in abra.sh" if immutable else None
    last = text.splitlines()[-1] if text else error.what
    return DeployFailed(f"docker refused the stack of {deployment.release.short}: {last}", hint=hint, detail=text)


def _make_secrets(session: Session, deployment: Deployment, given: Mapping[str, str]) -> None:
    if not deployment.secrets:
        return
    known = session.read(Secrets)
    missing = {name: spec for name, spec in deployment.secrets.items() if name not in known}
    if wanted := sorted(name for name, spec in missing.items() if not spec.generate and name not in given):
        raise UsageError(
            f"the recipe wants {wanted[0]} from its operator (generate=false), and it is not there",
            hint=f"on the host: docker secret create {wanted[0]} -",
        )
    values = {name: given.get(name) or make_secret(spec) for name, spec in missing.items()}
    session.stream.hide(values.values())
    labels = {APP_LABEL: deployment.app.domain, RUN_LABEL: session.run_id}
    session.perform(secrets_present, values, labels=labels, fence=session.fence(deployment.app))


def make_secret(spec: SecretSpec) -> str:
    """Return a new random secret by the recipe's rule for it."""
    alphabet = "0123456789abcdef" if spec.charset == "hex" else string.ascii_letters + string.digits
    return "".join(random.choice(alphabet) for _ in range(spec.length or SECRET_LENGTH))


def service_log(session: Session, deployment: Deployment, reason: str) -> str:
    """Return the last log lines of the service that a reason names; empty if there are none.

    If a task of it died, that task's lines: those of others would only hide them.
    """
    stack = deployment.app.stack
    service = next((name for name in deployment.compose.services if f"service {name}" in reason), "app")
    state = session.read(Stack, stack=stack)
    ids = {s.id for s in state.services if s.name == f"{stack}_{service}"}
    since = session.deployed_since[deployment.app.domain]
    dead = [t for t in state.tasks if t.service in ids and t.created >= since and t.state in ("failed", "rejected")]
    if not ids:
        return ""
    whose = max(dead, key=lambda t: t.created).id if dead else f"{stack}_{service}"
    _, output = session.ask(command(logs_of(whose, LOG_LINES), timeout=10))
    return "\n".join(output.stdout_lines[-LOG_LINES:])
