"""A recipe of the test process's own: a repository on the host, an enrolment here, heads to break it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.host import LabHost
    from tests.support.running import Done, Running

KNOWN_GOOD = "1.11.0+1.26.3"
OLDER = "1.10.0+1.22.1"
MARKER = "marker-of-the-tests.txt"
ENROLMENT = Path(__file__).parent.parent.parent / "recipes" / "custom-html"

Tree = dict[str, str]
Edit = Callable[[Tree], None]
# The stages backup and restore cost each cold run 13 s, and have tests of their own.
_META = 'stages = ["install", "upgrade", "custom"]\n[health]\npath = "/"\nstatus = [200]\ntimeout = 30\nsettle = 1.0\n'
_HEADER_TEST = '''"""A promise that heads of the lab tests break."""


def test_says_nosniff(app):
    """Browsers are told not to guess types."""
    said = app.get("/").headers.get("X-Content-Type-Options")
    assert said == "nosniff", f"X-Content-Type-Options is {said}"
'''
GIT = "git -c user.name=lab -c user.email=lab@lab.test -c commit.gpgsign=false -c core.hooksPath=/dev/null"
_STAGE = """
set -e; tree=$(mktemp -d); git clone -q -n {origin} "$tree"; cd "$tree"
git checkout -q --detach 'refs/tags/{base}'; git rm -q -r . ; tar -x -f - -C "$tree"; git add -A
{git} commit -q --allow-empty -m 'A head of the lab tests'
git push -q {target} HEAD:refs/heads/{branch}; git rev-parse HEAD; cd /; rm -rf "$tree"
"""


@attrs.frozen
class LabRecipe:
    """A recipe that no other test process uses.

    Attributes:
        host: where it lives.
        tag: four characters that all names of its apps, cold and warm, begin with, and no other recipe's.
    """

    host: LabHost
    tag: str

    @property
    def name(self) -> str:
        """The recipe's name."""
        return f"{self.tag}-html"

    @property
    def domain(self) -> str:
        """The canonical's domain."""
        return f"warm-{self.name}.{self.host.settings['base_domain']}"

    @property
    def stack(self) -> str:
        """The canonical's stack."""
        return self.domain.replace(".", "_")

    @property
    def volume(self) -> str:
        """The canonical's one volume."""
        return f"{self.stack}_content"

    @property
    def home(self) -> str:
        """The canonical's folder on the host."""
        return f"/var/lib/ci-warm/{self.name}"

    @property
    def clone(self) -> str:
        """The clone of the recipe that runs use."""
        return f"/root/.abra/recipes/{self.name}"

    @property
    def enrolments(self) -> Path:
        """The folder with its enrolment."""
        return self.host.folder / "recipes"

    def enrol(self) -> None:
        """Write its enrolment here and its repository on the host."""
        folder = self.enrolments / self.name
        shutil.copytree(ENROLMENT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "recipe_meta.toml").write_text(_META, "utf-8")
        (folder / "tests" / "test_header.py").write_text(_HEADER_TEST, "utf-8")
        self.host.sh(f"git clone -q --mirror /srv/git/custom-html.git /srv/git/{self.name}.git")

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Running:
        """Start `ccci` with these words and this recipe enrolled."""
        result = self.host.folder / f"{uuid.uuid4().hex}.json"
        with_result = ("--result", str(result)) if words[0] in ("play", "run") else ()
        ours = {"CCCI_RECIPES": str(self.enrolments), **(env or {})}
        return self.host.start("ccci", *words, *with_result, env=ours, result=result)

    def ccci(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        """Run `ccci` with these words to its end."""
        return self.start(*words, env=env).finish()

    def quick(self, commit: str, *words: str, env: Mapping[str, str] | None = None) -> Done:
        """Run the quick lane against a commit."""
        return self.ccci("play", "quick", "--recipe", self.name, "--ref", commit, *words, env=env)

    def stage(self, edit: Edit, *, base: str = KNOWN_GOOD, into: str = "origin") -> str:
        """Make a commit on top of a release and return its id.

        Args:
            edit: changes the files.
            base: the release's tag.
            into: "origin", where a fetch finds it as a branch, or "clone", where only CCCI_SKIP_FETCH does.
        """
        origin = f"/srv/git/{self.name}.git"
        tree = unpack(self.host.ssh(f"git --git-dir={origin} archive 'refs/tags/{base}'"))
        edit(tree)
        branch, target = f"head-{uuid.uuid4().hex[:8]}", origin if into == "origin" else self.clone
        text = _STAGE.format(origin=origin, base=base, git=GIT, target=target, branch=branch)
        return self.host.ssh(text, pack(tree)).decode().strip()

    @contextmanager
    def released(self, commit: str, version: str) -> Iterator[None]:
        """Release a commit for the length of the block: an annotated tag at the origin."""
        origin = f"/srv/git/{self.name}.git"
        self.host.sh(f"cd {origin} && {GIT} tag -a -m released '{version}' {commit}")
        try:
            yield
        finally:
            self.host.sh(f"git -C {origin} tag -d '{version}'; cd {self.clone} && git tag -d '{version}'")

    def record(self) -> dict[str, Any]:
        """Return canonical.json."""
        data: dict[str, Any] = json.loads(self.host.sh(f"cat {self.home}/canonical.json"))
        return data

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the snapshot."""
        data: dict[str, Any] = json.loads(self.host.sh(f"cat {self.home}/snapshot/manifest.json"))
        return data


def unpack(data: bytes) -> Tree:
    """Return the files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: handle.read().decode() for name, handle in files.items() if handle}


def pack(tree: Tree) -> bytes:
    """Return a tar of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()
