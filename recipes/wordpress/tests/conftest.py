"""WordPress by its own remote procedure calls, as its apps for telephones use them, and by its database."""

from __future__ import annotations

import hashlib
import struct
import xmlrpc.client
import zlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ccci.testing.context import TestContext
    from ccci.testing.plugin import App

_SQL = "MYSQL_PWD=$(cat /run/secrets/db_root_password) exec mariadb --user=root --batch --skip-column-names wordpress"
_VERSIONS = 'require "/var/www/html/wp-includes/version.php"; echo "$wp_version $wp_db_version";'
SIDE = 320  # pixels: large enough for WordPress to make smaller copies


class Blog:
    """A WordPress site.

    Attributes:
        app: the app.
    """

    def __init__(self, app: App, run: TestContext) -> None:
        """Take the administrator's password from where WordPress has it."""
        self.app = app
        self._run_id = run.run_id
        self._password = app.read_file("/run/secrets/admin_password").strip()

    def mark(self, stage: str) -> str:
        """Return what names the post that the hook of a stage publishes in this run."""
        return f"{stage}-{self._run_id}"

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method as the administrator and return what it gives."""
        body = xmlrpc.client.dumps((1, "admin", self._password, *arguments), method, encoding="utf-8")
        answer = self.app.http.post(
            f"{self.app.url}/xmlrpc.php", data=body.encode(), headers={"Content-Type": "text/xml"}, timeout=30
        )
        answer.raise_for_status()
        return xmlrpc.client.loads(answer.content)[0][0]

    def sql(self, query: str) -> list[list[str]]:
        """Ask the database; a row is a list of columns."""
        out = self.app.exec("sh", "-c", _SQL, service="db", stdin=query).stdout
        return [line.split("\t") for line in out.splitlines()]

    def versions(self) -> tuple[str, int]:
        """Return WordPress's version, and the version of the database that it wants."""
        wordpress, database = self.app.exec("php", "-r", _VERSIONS).stdout.split()
        return wordpress, int(database)

    def database_version(self) -> int:
        """Return the version that the database has."""
        return int(self.sql("SELECT option_value FROM wp_options WHERE option_name = 'db_version'")[0][0])

    def publish(self, mark: str, text: str) -> None:
        """Upload a picture and publish a post that shows it; the mark, like `before-upgrade`, names both."""
        picture = {"name": f"{mark}.png", "type": "image/png", "bits": xmlrpc.client.Binary(picture_of(mark))}
        url = self.call("wp.uploadFile", picture)["url"]
        content = f'<p>{text}</p><img src="{url}" alt="{mark}">'
        post = {"post_type": "post", "post_status": "publish", "post_title": mark, "post_content": content}
        self.call("wp.newPost", {**post, "post_name": mark})

    def posts(self, mark: str) -> list[str]:
        """Return the contents of the published posts of that mark, as the database has them."""
        rows = self.sql(
            "SELECT post_name, post_content FROM wp_posts WHERE post_type = 'post' AND post_status = 'publish'"
        )
        return [text for name, text in rows if name == mark]

    def assert_published(self, mark: str, text: str) -> None:
        """Check that post and picture are there: in the page, as a file to the byte, and in the database."""
        posts = self.posts(mark)
        assert len(posts) == 1, f"the database has {len(posts)} posts {mark!r}"
        assert text in posts[0], f"the post {mark!r} says {posts[0]!r}"
        pictures = [row[0] for row in self.sql("SELECT guid FROM wp_posts WHERE post_type = 'attachment'")]
        page = self.app.get(f"/?name={mark}", timeout=30)
        assert page.status_code == 200, f"the page of {mark!r} answers {page.status_code}"
        assert text in page.text, f"the page of {mark!r} does not show its text"
        url = posts[0].partition('src="')[2].partition('"')[0]
        assert url in page.text, f"the page of {mark!r} does not show its picture"
        assert url in pictures, f"the database does not have the picture {url}"
        assert self.app.http.get(url, timeout=30).content == picture_of(mark), f"{url} is not what was uploaded"


def picture_of(mark: str) -> bytes:
    """Return a PNG of one colour that depends on the mark."""
    row = b"\0" + hashlib.sha256(mark.encode()).digest()[:3] * SIDE

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(row * SIDE)) + chunk(b"IEND", b"")


@pytest.fixture(scope="session")
def blog(app: App, run: TestContext) -> Blog:
    """The site under test."""
    return Blog(app, run)
