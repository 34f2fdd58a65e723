"""What ``recipes/<name>/recipe_meta.toml`` says: the settings of a recipe."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from ccci import paths
from ccci.errors import RecipeMetaError, UsageError
from ccci.model.app import App, canonical_app
from ccci.model.exceptions import NONE, Exceptions, is_exception, wanted
from ccci.model.names import domain, recipe_name
from ccci.model.tomltable import Table, is_bool, is_env, is_seconds, is_strings, matches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

META_FILE = "recipe_meta.toml"
STAGES = ("install", "upgrade", "backup", "restore", "custom")
HOOKS = ("upgrade", "backup", "restore")  # the stages before whose change a recipe may put data in
_TIMEOUT_MAX = 3600.0  # seconds
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_DEP = re.compile(r"\{dep:([a-z0-9-]+)\}")
_BRACES = re.compile(r"\{([a-z_]+)\}")
_SSO_WORDS = ("issuer", "realm", "client_id", "provider_url")
_PATH = re.compile(r"/[!-~]{0,1023}")


@attrs.frozen
class Health:
    """When an app counts as healthy.

    Attributes:
        path: what is asked for over TLS; starts with ``/``.
        status: the HTTP status codes that mean "serves".
        timeout: how long a deploy may take until then, in seconds.
        settle: how long it must then stay so, in seconds.
    """

    path: str = "/"
    status: tuple[int, ...] = (200,)
    timeout: float = 120.0
    settle: float = 1.0


@attrs.frozen
class Sso:
    """How an app is told of its run's realm on the live Keycloak.

    Attributes:
        redirect_paths: paths of the app to which Keycloak may send a browser back.
        env: values of its env file; `{issuer}`, `{realm}`, `{client_id}` and `{provider_url}` stand for the realm's.
        secrets: values of its swarm secrets, by the secret's name in the compose file; `{client_secret}` too.
    """

    redirect_paths: tuple[str, ...] = ()
    env: dict[str, str] = attrs.field(factory=dict)
    secrets: dict[str, str] = attrs.field(factory=dict)


@attrs.frozen
class ProviderMeta:
    """A recipe whose app is kept up for others, by a reconcile.

    Attributes:
        domain: where it is; `{base}` stands for the host's base domain.
        stateful: whether its data are snapshotted before an upgrade and restored after one that failed.
        everybody: whether every run uses it, as the proxy; else those whose recipe has it in `deps`.
    """

    domain: str
    stateful: bool = True
    everybody: bool = False

    def at(self, base: str) -> str:
        """Return the provider's domain on a host."""
        return domain(self.domain.replace("{base}", base), what="domain of a provider")


@attrs.frozen
class RecipeMeta:
    """The settings of a recipe.

    Attributes:
        recipe: the recipe's name; the folder's name says the same.
        enrolled: whether sweeps such as nightly include it.
        health: when it counts as healthy.
        stages: the stages of a cold run, in the order of `STAGES`.
        env: extra values of its apps' env files.
        deps: the providers that must be up first.
        service: the service that answers requests and carries the labels.
        sso: how it is told of a realm, if `deps` has keycloak.
        provider: what it is for others, or None if it is no provider.
        policy: its exceptions from the policy.
        rehearse_rollback: whether the cold lane tries out, at its end, if the old version starts on upgraded data.
    """

    recipe: str
    enrolled: bool = True
    health: Health = attrs.field(factory=Health)
    stages: tuple[str, ...] = STAGES
    env: dict[str, str] = attrs.field(factory=dict)
    deps: tuple[str, ...] = ()
    service: str = "app"
    sso: Sso = attrs.field(factory=Sso)
    provider: ProviderMeta | None = None
    policy: Exceptions = NONE
    rehearse_rollback: bool = False

    def env_with(self, domains: Mapping[str, str]) -> dict[str, str]:
        """Return the extra values of the env file, `{dep:NAME}` replaced by where that dependency is.

        Args:
            domains: domains of dependencies that are deployed with the app, by recipe.
        """
        return {
            key: _DEP.sub(lambda found: domains.get(found[1], "not-deployed.invalid"), value)
            for key, value in self.env.items()
        }


@attrs.frozen
class Recipe:
    """An enrolled recipe.

    Attributes:
        name: its name.
        folder: where it is described.
        meta: its settings.
        tests: its own tests, or None if it has none.
        hooks: the stages for which `tests/hooks.py` has a function `pre_<stage>`.
    """

    name: str
    folder: Path
    meta: RecipeMeta
    tests: Path | None
    hooks: tuple[str, ...] = ()

    def app_at(self, base: str) -> App:
        """Return the app of this recipe that stays: a provider, or else the canonical, on a host."""
        if self.meta.provider is None:
            return canonical_app(self.name, base)
        return App(self.name, self.meta.provider.at(base), paths.WARM / self.name)


def load_meta(folder: Path) -> RecipeMeta:
    """Read the settings of a recipe.

    Args:
        folder: the recipe's folder; its name is the recipe's.

    Returns:
        The settings, with defaults for what the file does not say.

    Raises:
        RecipeMetaError: the file cannot be read, or something in it is wrong; all faults are listed.
        UsageError: the folder's name is no name of a recipe.
    """
    name = recipe_name(folder.name, what="folder of a recipe")
    path = folder / META_FILE
    try:
        content = tomli.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        raise RecipeMetaError(f"{path}: {_reason(error)}", hint="it must be a TOML file in UTF-8") from None
    faults: list[str] = []
    meta = _meta(Table(content, "", faults), name)
    if faults:
        raise RecipeMetaError(f"{path} has faults:\n  " + "\n  ".join(faults), hint="see the docs on recipes")
    return meta


def _meta(table: Table, name: str) -> RecipeMeta:
    table.known(
        "recipe", "enrolled", "health", "stages", "env", "deps", "service", "sso", "provider", "policy",
        "rehearse_rollback",
    )  # fmt: skip
    table.get("recipe", name, lambda v: v == name, f"{name!r}, as the folder, or be left out")
    stages = table.get("stages", list(STAGES), _is_stages, f"a list of different names out of {', '.join(STAGES)}")
    meta = RecipeMeta(
        recipe=name,
        enrolled=table.get("enrolled", True, is_bool, "true or false"),
        health=_health(table.table("health")),
        stages=tuple(stage for stage in STAGES if stage in stages),
        env=table.get("env", {}, is_env, "a table of strings, named as shells name variables"),
        deps=tuple(table.get("deps", [], _is_recipes, "a list of different recipes")),
        service=table.get("service", "app", lambda v: matches(_SERVICE, v), "the name of a service"),
        sso=_sso(table.table("sso")),
        provider=_provider(table.table("provider"), name) if "provider" in table.content else None,
        policy=_policy(table.table("policy")),
        rehearse_rollback=table.get("rehearse_rollback", False, is_bool, "true or false"),
    )
    if meta.provider and meta.enrolled:
        table.faults.append("enrolled must be false: a provider is kept by its reconcile, and is nobody's canonical")
    if "restore" in stages and "backup" not in stages:
        table.faults.append("stages has restore without backup: what should be restored?")
    if name in meta.deps:
        table.faults.append(f"deps names {name} itself")
    if unknown := {found for value in meta.env.values() for found in _DEP.findall(value)} - set(meta.deps):
        table.faults.append(f"env names {{dep:{min(unknown)}}}, which is not in deps")
    return meta


def _sso(table: Table) -> Sso:
    table.known("redirect_paths", "env", "secrets")
    wanted = f"a table of strings, in which braces stand for {', '.join(_SSO_WORDS)}"
    secret_words = (*_SSO_WORDS, "client_secret")
    return Sso(
        redirect_paths=tuple(table.get("redirect_paths", [], _is_paths, "a list of paths that start with '/'")),
        env=table.get("env", {}, lambda v: _is_filled(v, _SSO_WORDS), wanted),
        secrets=table.get("secrets", {}, lambda v: _is_filled(v, secret_words), f"{wanted}, client_secret"),
    )


def _provider(table: Table, name: str) -> ProviderMeta:
    table.known("domain", "stateful", "everybody")
    return ProviderMeta(
        domain=table.get("domain", f"warm-{name}.{{base}}", _is_domain, "a domain that ends with '.{base}'"),
        stateful=table.get("stateful", True, is_bool, "true or false"),
        everybody=table.get("everybody", False, is_bool, "true or false"),
    )


def _policy(table: Table) -> Exceptions:
    table.known("allow")
    entries = table.get("allow", [], lambda v: is_strings(v) and all(map(is_exception, v)), wanted())
    return Exceptions(frozenset(entries))


def _is_paths(value: Any) -> bool:
    return is_strings(value) and all(matches(_PATH, path) for path in value)


def _is_filled(value: Any, words: tuple[str, ...]) -> bool:
    return is_env(value) and all(set(_BRACES.findall(text)) <= set(words) for text in value.values())


def _is_domain(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.endswith(".{base}") and bool(ProviderMeta(value).at("example.com"))
    except UsageError:
        return False


def _health(table: Table) -> Health:
    table.known("path", "status", "timeout", "settle")
    default = Health()
    seconds = f"a number of seconds from {{}} to {_TIMEOUT_MAX:.0f}"
    return Health(
        path=table.get("path", default.path, lambda v: matches(_PATH, v), "a path that starts with '/'"),
        status=tuple(table.get("status", [200], _is_status, "a list of HTTP status codes, 100 to 599")),
        timeout=float(table.get("timeout", default.timeout, lambda v: _is_wait(v, 1), seconds.format(1))),
        settle=float(table.get("settle", default.settle, lambda v: _is_wait(v, 0), seconds.format(0))),
    )


def _is_stages(value: Any) -> bool:
    return is_strings(value) and bool(value) and set(value) <= set(STAGES)


def _is_recipes(value: Any) -> bool:
    try:
        return is_strings(value) and all(recipe_name(v) for v in value)
    except UsageError:
        return False


def _is_status(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(v) is int and 100 <= v <= 599 for v in value)  # noqa: PLR2004


def _is_wait(value: Any, least: float) -> bool:
    return is_seconds(value, least, _TIMEOUT_MAX)


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
