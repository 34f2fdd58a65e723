"""An app: one deployment of a recipe at a domain."""

from __future__ import annotations

from pathlib import PurePosixPath

import attrs

from ccci import paths
from ccci.model import names


@attrs.frozen
class App:
    """One deployment of a recipe.

    Attributes:
        recipe: the recipe's name.
        domain: where it is served; the stack's name follows from it.
        home: the folder on the host that holds its lock and journal.
    """

    recipe: str
    domain: str
    home: PurePosixPath

    @property
    def stack(self) -> str:
        """The name of its Swarm stack."""
        return names.stack_name(self.domain)

    @property
    def env_file(self) -> PurePosixPath:
        """Its env file, where abra looks for it too."""
        return paths.ABRA / "servers" / paths.SERVER / f"{self.domain}.env"

    @property
    def journal(self) -> PurePosixPath:
        """The record of the run that is changing it: absent when none is."""
        return self.home / "journal.json"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://{self.domain}"


def canonical_app(recipe: str, base: str) -> App:
    """Return the data-warm app of `recipe` under the domain `base`."""
    return App(recipe, names.warm_domain(recipe, base), paths.WARM / recipe)


def cold_app(recipe: str, hex6: str, base: str) -> App:
    """Return the throw-away app of one cold run."""
    domain = names.cold_domain(recipe, hex6, base)
    return App(recipe, domain, paths.COLD / domain)
