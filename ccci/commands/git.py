"""git on the host, as argument lists. No hook of anybody runs; nothing is asked."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ccci.commands.shell import Argv, argv, quote

TREE_LIMIT = 20 * 1024 * 1024  # bytes of a recipe's plain files together; recipes have some 100 kB
PULL_LIMIT = 64 * 1024 * 1024  # bytes that a pull request may add to a recipe's repository
LISTING_LIMIT = 4 * 1024 * 1024  # bytes of a tree's listing: trees can be nested so that it would never end
_LFS_OFF = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false")
_NO_CODE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "submodule.recurse=false")
_SAFE = (*_NO_CODE, *_LFS_OFF, "-c", "gc.auto=0")
# Every object that comes is checked; they come as one file, whose size the kernel limits; no other host is asked.
_STRANGERS = ("-c", "transfer.fsckObjects=true", "-c", "fetch.unpackLimit=1", "-c", "http.followRedirects=false")


def git(repo: PurePosixPath | str, *words: object) -> Argv:
    """Run git in `repo`."""
    return argv("env", "GIT_TERMINAL_PROMPT=0", "git", "-C", repo, *_SAFE, *words)


def clone(url: str, to: PurePosixPath) -> Argv:
    """Clone with all tags and branches."""
    return argv("env", "GIT_TERMINAL_PROMPT=0", "git", *_SAFE, "clone", "-q", "--", url, to)


def fetch(repo: PurePosixPath) -> Argv:
    """Bring branches, tags and the default branch's name up to date; a moved tag moves here too."""
    refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
    return git(repo, "fetch", "-q", "--prune", "origin", *refs)


def pull_ref(number: int) -> str:
    """Return where the head of a pull request is kept in the clone."""
    return f"refs/ccci/pull/{number:d}"


def fetch_pull(repo: PurePosixPath, url: str, number: int) -> Argv:
    """Bring a pull request's head from the forge: from `url` and no other way, whatever the clone's own remotes are."""
    scheme = urlsplit(url).scheme or "file"
    limited = argv("env", f"GIT_ALLOW_PROTOCOL={scheme}", "prlimit", f"--fsize={PULL_LIMIT}")
    words = ("fetch", "-q", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
    refs = f"+refs/pull/{number:d}/head:{pull_ref(number)}"
    return (*limited, *git(repo, *_STRANGERS, *words, "--", url, refs))


def serialised(repo: PurePosixPath, words: Argv) -> Argv:
    """Run `words` while no other run changes this repository's refs or worktrees."""
    return argv("flock", "-w", "120", f"{repo}.lock", *words)


def tags(repo: PurePosixPath) -> Argv:
    """List tags: name, object type (tag = annotated), commit it points at."""
    form = "%(refname:strip=2)%09%(objecttype)%09%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    return git(repo, "for-each-ref", f"--format={form}", "refs/tags")


def resolve(repo: PurePosixPath, ref: str) -> str:
    """Print the commit that `ref` names: as a remote branch, a tag, a local name or a commit id."""
    names = (
        [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref]
    )
    tries = [f"{name}^{{commit}}" for name in names]
    return " || ".join(quote(git(repo, "rev-parse", "-q", "--verify", "--end-of-options", name)) for name in tries)


_TREE = """
set -o pipefail
list=$(mktemp); trap 'rm -f "$list"' EXIT
"$@" ls-tree -r -z --full-tree "$COMMIT" | head -c "$LISTING" >"$list" && base64 -w0 "$list" && echo &&
"$@" ls-tree -r --full-tree "$COMMIT" | awk '$2 == "blob" && $1 ~ /^100/ {print $3}' | "$@" cat-file --batch |
head -c "$LIMIT" | gzip -1 | base64 -w0
"""


def tree(repo: PurePosixPath, commit: str) -> str:
    """Print a commit's tree: its listing, then every plain file's object, both in base64.

    Read object by object: `git archive` would obey what the recipe's own .gitattributes leave out or rewrite.
    """
    variables = (f"COMMIT={commit}", f"LIMIT={TREE_LIMIT}", f"LISTING={LISTING_LIMIT}")
    return quote(argv("env", *variables, "bash", "-c", _TREE, "ccci-tree", *git(repo)))


def worktree_add(repo: PurePosixPath, path: PurePosixPath, commit: str) -> Argv:
    """Check out a commit in a folder of its own."""
    return git(repo, "worktree", "add", "-q", "--detach", path, commit)


def worktree_remove(repo: PurePosixPath, path: PurePosixPath) -> Argv:
    """Remove such a folder."""
    return git(repo, "worktree", "remove", "--force", path)
