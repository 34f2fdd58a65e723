"""Tests on a fake host: its `lab` takes the place of the real one, everything else of the lab's fixtures stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.conftest import kept, recipe, seeded
from tests.support.fakehost.host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.host import LabHost

__all__ = ["kept", "recipe", "seeded"]


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHost]:
    """A fake host of this worker's own, with what `ccci lab up` puts on a lab."""
    host = FakeHost(tmp_path_factory.mktemp("fake"))
    host.boot()
    host.furnish("custom-html")
    yield host
    host.close()


@pytest.fixture(scope="session")
def lab(fake: FakeHost) -> LabHost:
    """The fake host as the tests of the lab see theirs."""
    return fake.lab
