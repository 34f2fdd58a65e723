"""What WordPress promises beyond serving: posts and pictures are kept and shown as they are."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recipes.wordpress.tests.conftest import Blog


def test_a_post_with_a_picture_is_shown(blog: Blog) -> None:
    """A picture that is uploaded and a post that shows it are what visitors get."""
    mark = f"ccci-{uuid.uuid4().hex[:12]}"
    blog.publish(mark, f"said in {mark}")
    blog.assert_published(mark, f"said in {mark}")


def test_database_is_what_this_wordpress_wants(blog: Blog) -> None:
    """The database has the version that the code in the container is for."""
    assert blog.database_version() == blog.versions()[1]
