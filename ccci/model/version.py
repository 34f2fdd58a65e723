"""Versions of recipes: semver of the recipe, ``+``, version of the app, such as ``1.11.0+1.26.3``.

They are ordered by the parsed recipe part first; ``sort -V`` and plain semver both get published tags wrong
(the first misorders prereleases, the second ignores what follows the ``+``).
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import attrs
import semver
from typing_extensions import override

from ccci.errors import UsageError
from ccci.model.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH_MAX = 128
_APP = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~-]*")  # wider than semver: apps call their versions what they like
_PIECES = re.compile(r"\d+|[A-Za-z]+")
_AppKey = tuple[tuple[int, int, str], ...]


@functools.total_ordering
@attrs.frozen(order=False)
class Version:
    """A version of a recipe together with the version of the app in it.

    Attributes:
        recipe: the recipe's own semver, prerelease included, as text.
        app: the version of the app after the ``+``, as text.
    """

    recipe: str
    app: str

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read a version.

        Args:
            text: such as ``1.11.0+1.26.3``; the part after the ``+`` may not be missing.

        Returns:
            The version; ``str()`` of it gives the same text back.

        Raises:
            UsageError: the text is no version.
        """
        recipe, _, app = text.partition("+")
        sane = len(text) <= _LENGTH_MAX and text.isascii()
        if not sane or not _APP.fullmatch(app) or not semver.Version.is_valid(recipe):
            raise UsageError(
                f"{shown(text)} is no version of a recipe",
                hint="versions look like 1.11.0+1.26.3: recipe+app",
            )
        return cls(recipe, app)

    @property
    def is_prerelease(self) -> bool:
        """Whether the recipe part is a prerelease such as ``2.0.0-rc1``."""
        return "-" in self.recipe

    @property
    def major(self) -> int:
        """The recipe's major number; a higher one means work for the operator."""
        return int(semver.Version.parse(self.recipe).major)

    @property
    def app_major(self) -> str:
        """The first number of the app's version, or all of it if there is none: another one may mean anything."""
        number = re.match(r"v?(\d+)", self.app)
        return number[1] if number else self.app

    @override
    def __str__(self) -> str:
        return f"{self.recipe}+{self.app}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        order: int = semver.Version.parse(self.recipe).compare(other.recipe)
        if order:
            return order < 0
        return (_app_key(self.app), self.app) < (_app_key(other.app), other.app)


def _app_key(app: str) -> _AppKey:
    """Order numbers as numbers, words as words, and ``1.0-rc1`` < ``1.0`` < ``1.0.1``.

    A word ranks below the end of the version (rank 1) and a number above it, so a suffix such as ``-rc1`` or
    ``-beta`` sorts before the version without it. A leading ``v`` says nothing.
    """
    pieces = _PIECES.findall(app.removeprefix("v"))
    key = tuple((2, int(p), "") if p.isdigit() else (0, 0, p.lower()) for p in pieces)
    return (*key, (1, 0, ""))


def is_version(text: str) -> bool:
    """Tell whether a tag is a version of a recipe.

    Args:
        text: the tag.

    Returns:
        True if `Version.parse` would take it.
    """
    try:
        Version.parse(text)
    except UsageError:
        return False
    return True


def newest(tags: Iterable[str], *, prereleases: bool = False) -> Version | None:
    """Find the newest version among tags.

    Args:
        tags: any tags; what is no version is ignored.
        prereleases: whether a version such as ``2.0.0-rc1+5`` counts.

    Returns:
        The newest, or None if there is none.
    """
    versions = (Version.parse(tag) for tag in tags if is_version(tag))
    return max((v for v in versions if prereleases or not v.is_prerelease), default=None)


def newest_before(tags: Iterable[str], version: Version) -> Version | None:
    """Find what an operator has who is about to upgrade to a version.

    Args:
        tags: any tags; what is no version is ignored, and so are prereleases.
        version: the version that comes next.

    Returns:
        The newest release below it, or None if there is none.
    """
    return newest(tag for tag in tags if is_version(tag) and Version.parse(tag) < version)
