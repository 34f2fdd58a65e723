"""Enrolled recipes: a folder ``recipes/<name>/`` with ``recipe_meta.toml`` and, often, ``tests/``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from ccci.errors import RecipeMetaError, UsageError
from ccci.model.names import recipe_name, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

META_FILE = "recipe_meta.toml"
STAGES = ("install", "upgrade", "custom")
_TIMEOUT_MAX = 3600.0  # seconds
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
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
    """

    recipe: str
    enrolled: bool = True
    health: Health = attrs.field(factory=Health)
    stages: tuple[str, ...] = STAGES
    env: dict[str, str] = attrs.field(factory=dict)
    deps: tuple[str, ...] = ()
    service: str = "app"


@attrs.frozen
class Recipe:
    """An enrolled recipe.

    Attributes:
        name: its name.
        folder: where it is described.
        meta: its settings.
        tests: its own tests, or None if it has none.
    """

    name: str
    folder: Path
    meta: RecipeMeta
    tests: Path | None


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
    meta = _meta(_Table(content, "", faults), name)
    if faults:
        raise RecipeMetaError(f"{path} has faults:\n  " + "\n  ".join(faults), hint="see the docs on recipes")
    return meta


def _meta(table: _Table, name: str) -> RecipeMeta:
    table.known("recipe", "enrolled", "health", "stages", "env", "deps", "service")
    table.get("recipe", name, lambda v: v == name, f"{name!r}, as the folder, or be left out")
    stages = table.get("stages", list(STAGES), _is_stages, f"a list of different names out of {', '.join(STAGES)}")
    return RecipeMeta(
        recipe=name,
        enrolled=table.get("enrolled", True, lambda v: isinstance(v, bool), "true or false"),
        health=_health(table.table("health")),
        stages=tuple(stage for stage in STAGES if stage in stages),
        env=table.get("env", {}, _is_env, "a table of strings, named as shells name variables"),
        deps=tuple(table.get("deps", [], _is_recipes, "a list of different recipes")),
        service=table.get("service", "app", lambda v: _matches(_SERVICE, v), "the name of a service"),
    )


def _health(table: _Table) -> Health:
    table.known("path", "status", "timeout", "settle")
    default = Health()
    seconds = f"a number of seconds from {{}} to {_TIMEOUT_MAX:.0f}"
    return Health(
        path=table.get("path", default.path, lambda v: _matches(_PATH, v), "a path that starts with '/'"),
        status=tuple(table.get("status", [200], _is_status, "a list of HTTP status codes, 100 to 599")),
        timeout=float(table.get("timeout", default.timeout, lambda v: _is_seconds(v, 1), seconds.format(1))),
        settle=float(table.get("settle", default.settle, lambda v: _is_seconds(v, 0), seconds.format(0))),
    )


@attrs.define
class _Table:
    """A TOML table that collects faults instead of raising the first."""

    content: dict[str, Any]
    prefix: str
    faults: list[str]

    def known(self, *keys: str) -> None:
        for key in sorted(self.content.keys() - set(keys)):
            self.faults.append(f"{self.prefix}{shown(key)[1:-1]} is unknown; known are {', '.join(keys)}")

    def get(self, key: str, default: Any, is_good: Callable[[Any], bool], wanted: str) -> Any:
        value = self.content.get(key, default)
        if is_good(value):
            return value
        self.faults.append(f"{self.prefix}{key} must be {wanted}, but is {shown(value)}")
        return default

    def table(self, key: str) -> _Table:
        content = self.get(key, {}, lambda v: isinstance(v, dict), "a table")
        return _Table(content, f"{key}.", self.faults)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value) and len(set(value)) == len(value)


def _is_stages(value: Any) -> bool:
    return _is_strings(value) and bool(value) and set(value) <= set(STAGES)


def _is_recipes(value: Any) -> bool:
    try:
        return _is_strings(value) and all(recipe_name(v) for v in value)
    except UsageError:
        return False


def _is_env(value: Any) -> bool:
    return isinstance(value, dict) and all(_matches(_ENV_KEY, k) and isinstance(v, str) for k, v in value.items())


def _is_status(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(v) is int and 100 <= v <= 599 for v in value)  # noqa: PLR2004


def _is_seconds(value: Any, least: float) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and least <= value <= _TIMEOUT_MAX


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)


def enrolled(recipes_dir: Path) -> tuple[str, ...]:
    """List the recipes that sweeps include.

    Args:
        recipes_dir: the folder of enrolments; one that does not exist is empty.

    Returns:
        Their names, sorted.

    Raises:
        RecipeMetaError: the settings of a recipe are wrong; a sweep that passes it over would lie.
    """
    return tuple(name for name in _known(recipes_dir) if load_meta(recipes_dir / name).enrolled)


def find_recipe(name: str, recipes_dir: Path) -> Recipe:
    """Find an enrolled recipe.

    Args:
        name: its name; one that sweeps pass over (``enrolled = false``) is found, too.
        recipes_dir: the folder of enrolments.

    Returns:
        The recipe.

    Raises:
        UsageError: there is none of that name; the message lists those there are.
        RecipeMetaError: its settings are wrong.
    """
    folder = recipes_dir / recipe_name(name)
    if not (folder / META_FILE).is_file():
        known = ", ".join(_known(recipes_dir)) or "none"
        raise UsageError(
            f"recipe {name!r} is not enrolled in {recipes_dir}; known: {known}",
            hint=f"to enrol it, create {name}/{META_FILE} there; an empty file takes all defaults",
        )
    tests = folder / "tests"
    return Recipe(name=name, folder=folder, meta=load_meta(folder), tests=tests if tests.is_dir() else None)


def _known(recipes_dir: Path) -> list[str]:
    return sorted(meta.parent.name for meta in recipes_dir.glob(f"*/{META_FILE}"))
