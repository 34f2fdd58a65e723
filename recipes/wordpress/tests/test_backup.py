"""A backup disturbs nothing that is there, and leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.wordpress.tests.conftest import Blog


def test_post_and_picture_are_still_there(blog: Blog) -> None:
    """The post and the picture from before the backup are in the page and in the database."""
    blog.assert_published(blog.mark("backup"), "Saved.")


def test_dump_is_gone(blog: Blog) -> None:
    """The dump is not left in the database's volume."""
    assert blog.app.exec("test", "-e", "/var/lib/mysql/wordpress.sql", service="db", check=False).code == 1
