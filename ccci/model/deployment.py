"""What one `docker stack deploy` needs, worked out before anything is touched: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import attrs

from ccci.errors import ComposeError
from ccci.model import abra, envfile, policy
from ccci.model.app import App
from ccci.model.compose import Compose
from ccci.model.envfile import SecretSpec
from ccci.model.exceptions import NONE, Exceptions
from ccci.model.overrides import extra_compose, host_mode_ports
from ccci.model.run import Release
from ccci.model.stack import Wanted
from ccci.model.version import is_version

INPUTS_LABEL = "ccci.inputs"
COMMIT_LABEL = "ccci.commit"
_RESERVED = frozenset({"PATH", "HOME", "IFS", "ENV", "BASH_ENV", "SHELL", "PWD", "SHELLOPTS", "BASHOPTS"})
_RESERVED_PREFIXES = ("LD_", "DOCKER_", "BASH_FUNC", "CCCI_")

Files = Mapping[str, bytes]


@attrs.frozen
class Place:
    """Where and how an app is deployed this time.

    Attributes:
        app: the app.
        env: the values of its env file.
        overlay: values that lie over them for this run only.
        forks: the fork's name by the volume's name, for a run that works on forks.
        dnsrr: whether the host's kernel lacks IPVS (see the design, section 6).
        chaos: whether a commit rather than a released version is deployed.
        allow: the recipe's exceptions from the policy.
    """

    app: App
    env: Mapping[str, str]
    overlay: Mapping[str, str] = attrs.field(factory=dict)
    forks: Mapping[str, str] = attrs.field(factory=dict)
    dnsrr: bool = False
    chaos: bool = False
    allow: Exceptions = NONE


@attrs.frozen
class Deployment:
    """One deployment, complete.

    Attributes:
        place: where it goes.
        release: what it is.
        files: compose files of the worktree, in order.
        env: the environment for docker's interpolation.
        compose: what the files say.
        extra: text of the compose file that ccci adds.
        inputs: digest of all of it, kept as a label so that a second deploy can see it is done.
        secrets: real names of the swarm secrets that it needs, with how to make them.
        rewrites: the compose files as they were read, or with host-mode ports: what is checked is what is deployed.
    """

    place: Place
    release: Release
    files: tuple[str, ...]
    env: Mapping[str, str]
    compose: Compose
    extra: str
    inputs: str
    secrets: Mapping[str, SecretSpec]
    rewrites: Mapping[str, str]

    @property
    def app(self) -> App:
        """The app that is deployed."""
        return self.place.app

    @property
    def volumes(self) -> Mapping[str, str]:
        """Names of the app's own volumes by key, as they are without forks."""
        return self.compose.volume_names(self.app.stack)

    def wanted(self, *, settle: float, since: float, going_back: bool = False) -> Wanted:
        """Return what the health gate waits for; see `Wanted` for the arguments.

        A deployment without `inputs` stands for one that somebody else made: its label is not looked at.
        """
        services = {name: (s.image, None if s.is_global else s.replicas) for name, s in self.compose.services.items()}
        labels = {INPUTS_LABEL: self.inputs} if "app" in services and self.inputs else {}
        return Wanted(services, labels, settle=settle, since=since, going_back=going_back)


def text_of(files: Files, name: str) -> str:
    """Return a file of a recipe's tree as text.

    Raises:
        ComposeError: it is not there or not UTF-8.
    """
    if name not in files:
        raise ComposeError(f"the recipe has no file {name!r} at this commit", hint="see COMPOSE_FILE in .env.sample")
    try:
        return files[name].decode()
    except UnicodeDecodeError as error:
        raise ComposeError(f"{name} is not UTF-8: {error}") from error


def sample_env(files: Files) -> dict[str, str]:
    """Return the values of the recipe's .env.sample, or none if it has none."""
    return envfile.parse(text_of(files, ".env.sample"), where=".env.sample") if ".env.sample" in files else {}


def app_env(files: Files, app: App, release: Release, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the env file of a new app: the sample's values, the recipe's settings, then what the app is.

    LETS_ENCRYPT_ENV is emptied: the host's wildcard certificate serves every app of ccci.
    """
    fixed = {"TYPE": f"{app.recipe}:{release.version}", "DOMAIN": app.domain, "LETS_ENCRYPT_ENV": ""}
    return {**sample_env(files), **extra, **fixed}


def plan(files: Files, release: Release, place: Place) -> Deployment:
    """Work a deployment out.

    Args:
        files: the tree of the commit.
        release: what is deployed.
        place: where and how.

    Raises:
        ComposeError: the recipe cannot be deployed as it is; nothing was changed.
        PolicyRefused: it asks for more than it may have.
    """
    exports = abra.exports(text_of(files, "abra.sh")) if "abra.sh" in files else {}
    env = {**place.env, **place.overlay, **exports, "STACK_NAME": place.app.stack}
    _refuse_reserved(env)
    names = envfile.compose_files(env)
    texts = [(name, text_of(files, name)) for name in names]
    compose = Compose.load(texts, env)
    policy.check(compose, files, place.app, place.allow, version=release.version or release.short)
    if faults := compose.resource_name_faults(place.app.stack):
        raise ComposeError("; ".join(faults), hint="shorten the name, or the domain")
    real = compose.volume_names(place.app.stack)
    forks = {key: place.forks[name] for key, name in real.items() if name in place.forks}
    labels = _labels(place, release)
    labels[INPUTS_LABEL] = _digest(release, names, env, {**labels, **forks})
    extra = extra_compose(
        compose, stack=place.app.stack, labels=labels, forks=forks, dnsrr=place.dnsrr, version=compose.version
    )
    secrets = _secrets(files, compose, env, place.app)
    rewrites = dict(host_mode_ports(texts, env) if place.dnsrr else texts)
    return Deployment(place, release, names, env, compose, extra, labels[INPUTS_LABEL], secrets, rewrites)


def _labels(place: Place, release: Release) -> dict[str, str]:
    prefix = f"coop-cloud.{place.app.stack}"
    labels = {COMMIT_LABEL: release.commit, f"{prefix}.chaos": "true" if place.chaos else "false"}
    return {**labels, f"{prefix}.chaos-version": release.commit[:8]} if place.chaos else labels


def _refuse_reserved(env: Mapping[str, str]) -> None:
    bad = sorted(key for key in env if key in _RESERVED or key.startswith(_RESERVED_PREFIXES))
    if bad:
        raise ComposeError(
            f"the recipe's env file or abra.sh sets {', '.join(bad)}, which would change the tools that deploy it",
            hint="rename the variable",
        )


def _digest(release: Release, names: tuple[str, ...], env: Mapping[str, str], rest: Mapping[str, str]) -> str:
    text = json.dumps([release.commit, names, dict(env), dict(rest)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _secrets(files: Files, compose: Compose, env: Mapping[str, str], app: App) -> dict[str, SecretSpec]:
    """Return the external secrets that services use: `<stack>_<name>_<version>` by abra's rule."""
    specs = envfile.secret_specs(text_of(files, ".env.sample")) if ".env.sample" in files else {}
    wanted: dict[str, SecretSpec] = {}
    for key, resource in compose.secrets.items():
        if not resource.external:
            continue
        version = env.get(f"SECRET_{key.upper().replace('-', '_')}_VERSION", "v1")
        real = resource.name or key
        spec = specs.get(key) or SecretSpec(key, version)
        if not real.startswith(f"{app.stack}_"):
            raise ComposeError(f"secret {key!r} is named {real!r}: not this app's own", hint="name it ${STACK_NAME}_…")
        wanted[real] = spec
    return wanted


def version_label(compose: Compose, stack: str) -> str:
    """Return what the compose files' label says the version is, or an empty text."""
    service = compose.services.get("app")
    text = service.labels.get(f"coop-cloud.{stack}.version", "") if service else ""
    return text if is_version(text) else ""
