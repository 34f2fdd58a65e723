"""An upgrade keeps posts and pictures, and brings the database up to what the new WordPress wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.wordpress.tests.conftest import Blog


def test_post_and_picture_survive(blog: Blog) -> None:
    """The post and the picture from before the upgrade are in the page and in the database."""
    blog.assert_published(blog.mark("upgrade"), "WordPress ")


def test_schema_moved(blog: Blog) -> None:
    """The database has the version that the new WordPress wants: a higher one, if WordPress itself is another."""
    said = re.search(r"WordPress (\S+) database (\d+)\.", blog.posts(blog.mark("upgrade"))[0])
    assert said is not None
    wordpress, wanted = blog.versions()
    assert blog.database_version() == wanted
    if wordpress != said[1]:
        assert wanted > int(said[2]), f"WordPress went from {said[1]} to {wordpress}, the database stayed at {wanted}"
