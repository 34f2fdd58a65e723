"""The lab of the session, and in each worker a recipe of its own on it, so that tests run side by side."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccci.paths import controller_home
from tests.conftest import BORROWED_VARIABLE, HOME_VARIABLE
from tests.support.crash import bring_up, own_lab
from tests.support.host import LabHost
from tests.support.recipe import LabRecipe
from tests.support.seeding import seed
from tests.support.truth import KnownGood

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """The lab of the session; the first worker that wants it starts it."""
    folder = tmp_path_factory.mktemp("lab")
    borrowed = os.environ.get(BORROWED_VARIABLE)
    if borrowed:
        host = LabHost(borrowed, controller_home(), folder)
    else:
        home = Path(os.environ[HOME_VARIABLE])
        host = LabHost(f"test-{home.name.rpartition('-')[2].lower().replace('_', '-')}", home, folder)
        _up(host)
    yield host
    host.close()


def _up(host: LabHost) -> None:
    with (host.home / "up").open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        if mark.seek(0, os.SEEK_END):  # somebody has started it while we waited
            return
        bring_up(host)
        mark.write("yes")


@pytest.fixture(scope="session")
def warm_lab(tmp_path_factory: pytest.TempPathFactory, lab: LabHost) -> Iterator[LabHost]:
    """A lab for the tests of providers, whose outages all others would feel: one for them all, on one worker."""
    folder = tmp_path_factory.mktemp("warm")
    with own_lab(lab, "w", folder, recipes="custom-html,traefik,keycloak,private-html") as host:
        yield host


@pytest.fixture(scope="session")
def recipe(lab: LabHost) -> LabRecipe:
    """A recipe that only this worker uses."""
    made = LabRecipe(lab, f"x{uuid.uuid4().hex[:3]}")
    made.enrol()
    return made


@pytest.fixture(scope="session")
def seeded(recipe: LabRecipe) -> KnownGood:
    """Known-good of the recipe: seeded by a green cold run, then given a marker by an operator's hand."""
    return seed(recipe)


@pytest.fixture
def kept(seeded: KnownGood) -> Iterator[KnownGood]:
    """Known-good, which must be as it was when the test ends."""
    yield seeded
    seeded.assert_kept()
