"""Known-good for a test to stand on, made the way that users make it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.support.recipe import KNOWN_GOOD, MARKER
from tests.support.truth import KnownGood, census, folder_of, photograph

if TYPE_CHECKING:
    from tests.support.recipe import LabRecipe


def seed(recipe: LabRecipe) -> KnownGood:
    """Seed a recipe's known-good by a green cold run and give it a marker by an operator's hand."""
    first = recipe.ccci("run", env={"MODE": "quick", "RECIPE": recipe.name})
    assert first.code == 0, first.all
    marker = f"kept {uuid.uuid4()} é\n"
    for words in (["deploy", recipe.name], ["undeploy", recipe.name], ["seed", recipe.name, "--yes"]):
        done = recipe.ccci("canonical", *words)
        assert done.code == 0, done.all
        if words[0] == "deploy":
            text = f"cat >{folder_of(recipe, recipe.volume)}/{MARKER}"
            recipe.host.ssh(text, marker.encode())
    assert recipe.record()["version"] == KNOWN_GOOD
    return KnownGood(recipe, first, recipe.record(), photograph(recipe), census(recipe), marker.strip())
