"""A restore brings posts and pictures back, and takes away what came after the backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.wordpress.tests.conftest import Blog


def test_post_and_picture_are_back(blog: Blog) -> None:
    """The post and the picture from before the backup are in the page and in the database again."""
    blog.assert_published(blog.mark("backup"), "Saved.")


def test_what_came_after_the_backup_is_gone(blog: Blog) -> None:
    """The database is the one that was saved, not a mixture."""
    assert blog.posts(blog.mark("restore")) == []
