"""Enrolled recipes: a folder ``recipes/<name>/`` with ``recipe_meta.toml`` and, often, ``tests/``."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ccci.errors import RecipeMetaError, UsageError
from ccci.model.names import recipe_name, same_stack, warm_domain
from ccci.model.recipe import HOOKS, META_FILE, Recipe, load_meta

if TYPE_CHECKING:
    from pathlib import Path

HOOKS_FILE = "hooks.py"


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


def swept(recipes_dir: Path) -> tuple[str, ...]:
    """List the recipes of a sweep: those that are enrolled, and those whose settings are wrong, so that it is said.

    Args:
        recipes_dir: the folder of enrolments; one that does not exist is empty.
    """
    return tuple(name for name in _known(recipes_dir) if _is_swept(recipes_dir / name))


def _is_swept(folder: Path) -> bool:
    try:
        return load_meta(folder).enrolled
    except UsageError:
        return True


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
    return Recipe(
        name=name,
        folder=folder,
        meta=load_meta(folder),
        tests=tests if tests.is_dir() else None,
        hooks=hooks_in(tests / HOOKS_FILE),
    )


def hooks_in(path: Path) -> tuple[str, ...]:
    """Find the hooks of a recipe without running anything of it.

    Args:
        path: its hooks.py; one that does not exist has none.

    Returns:
        The stages for which there is a function `pre_<stage>`.

    Raises:
        RecipeMetaError: the file is no Python, or a function is named like a hook of no stage.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, SyntaxError, ValueError) as error:
        raise RecipeMetaError(f"{path}: {error}", hint="it must be a Python file") from None
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("pre_")]
    if unknown := [name for name in names if name.removeprefix("pre_") not in HOOKS]:
        known = ", ".join(f"pre_{stage}" for stage in HOOKS)
        raise RecipeMetaError(f"{path}: {unknown[0]} is a hook of no stage", hint=f"hooks are {known}")
    return tuple(stage for stage in HOOKS if f"pre_{stage}" in names)


def providers_in(recipes_dir: Path) -> list[Recipe]:
    """List the recipes that are providers.

    Args:
        recipes_dir: the folder of enrolments.

    Raises:
        RecipeMetaError: the settings of one are wrong. Those of a recipe that is none do not matter here.
    """
    found = []
    for name in _known(recipes_dir):
        if "[provider]" in (recipes_dir / name / META_FILE).read_text("utf-8", errors="replace"):
            recipe = find_recipe(name, recipes_dir)
            found += [recipe] if recipe.meta.provider else []
    return found


def refuse_providers_domain(recipe: Recipe, base: str, recipes_dir: Path) -> None:
    """Refuse a recipe whose canonical would be where a provider or another recipe's canonical is.

    Args:
        recipe: the recipe.
        base: the host's base domain.
        recipes_dir: the folder of enrolments.

    Raises:
        UsageError: its canonical's stack would be the other's.
    """
    own = warm_domain(recipe.name, base)
    for provider in providers_in(recipes_dir):
        taken = provider.app_at(base).domain
        if provider.name != recipe.name and same_stack(own, taken):
            raise UsageError(
                f"the canonical of {recipe.name} would be at {own}, where the provider {provider.name} is",
                hint="rename the recipe, or move the provider: `domain` in its recipe_meta.toml",
            )
    for name in _known(recipes_dir):
        if name != recipe.name and same_stack(own, warm_domain(name, base)):
            raise UsageError(
                f"the canonicals of {recipe.name} and {name} would be one stack: its name is cut at 45 characters",
                hint="rename one of the recipes",
            )


def all_names(recipes_dir: Path) -> tuple[str, ...]:
    """List every recipe that has an enrolment, whether sweeps include it or not, sorted."""
    return tuple(_known(recipes_dir))


def _known(recipes_dir: Path) -> list[str]:
    return sorted(meta.parent.name for meta in recipes_dir.glob(f"*/{META_FILE}"))
