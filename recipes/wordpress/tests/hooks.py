"""What is put into WordPress before a stage changes it, so that its tests can look for it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.wordpress.tests.conftest import Blog


def pre_upgrade(blog: Blog) -> None:
    """Publish a post with a picture that says of which WordPress and which database it is."""
    blog.publish(blog.mark("upgrade"), f"WordPress {blog.versions()[0]} database {blog.database_version()}.")


def pre_backup(blog: Blog) -> None:
    """Publish a post with a picture that the backup must save."""
    blog.publish(blog.mark("backup"), "Saved.")


def pre_restore(blog: Blog) -> None:
    """See that the post is lost, and publish one in its place that the restore must not leave."""
    assert blog.posts(blog.mark("backup")) == [], "the data were to be lost, but they are there"
    blog.publish(blog.mark("restore"), "Written after the backup.")
