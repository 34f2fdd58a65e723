"""Operations on a recipe's repository on the host."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import PurePosixPath

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ccci.commands import git
from ccci.commands.shell import all_of, argv, command, quote
from ccci.facts.base import read
from ccci.facts.git import HasClone
from ccci.facts.warm import Exists

Commands = Generator[StringCommand, None, None]


@operation()
def cloned(repo: PurePosixPath, *, url: str) -> Commands:
    """Clone a recipe where abra looks for it, if it is not there.

    + repo: where to
    + url: where from
    """
    if read(host, HasClone, repo=repo):
        host.noop(f"{repo} is there")
        return
    again = f"{{ {quote(argv('test', '-e', repo / '.git'))} || {quote(git.clone(url, repo))}; }}"
    locked = git.serialised(repo, argv("sh", "-c", again))
    yield command(all_of(argv("mkdir", "-p", repo.parent), locked), timeout=300)


@operation(is_idempotent=False)
def fetched(repo: PurePosixPath) -> Commands:
    """Bring a recipe's branches and tags up to date.

    + repo: the clone
    """
    yield command(git.serialised(repo, git.fetch(repo)), timeout=300)


@operation(is_idempotent=False)
def pull_fetched(repo: PurePosixPath, *, url: str, number: int) -> Commands:
    """Bring the head of a pull request; it is kept under a ref of ccci's own.

    + repo: the clone
    + url: the recipe's repository at the forge
    + number: the pull request's
    """
    yield command(git.serialised(repo, git.fetch_pull(repo, url, number)), timeout=300)


@operation()
def worktree(repo: PurePosixPath, *, path: PurePosixPath, commit: str) -> Commands:
    """Check a commit out in a folder of the run's own.

    + repo: the clone
    + path: the folder; its name should hold the commit
    + commit: full commit id
    """
    if read(host, Exists, path=path / ".git"):
        host.noop(f"{path} is there")
        return
    add = all_of(argv("rm", "-rf", path), git.git(repo, "worktree", "prune"), git.worktree_add(repo, path, commit))
    yield command(all_of(argv("mkdir", "-p", path.parent), git.serialised(repo, argv("sh", "-c", add))), timeout=120)


@operation()
def no_worktrees(repo: PurePosixPath, *, scratch: PurePosixPath) -> Commands:
    """Remove a run's folder with its worktrees, and what git remembers of them.

    + repo: the clone
    + scratch: the run's folder for this recipe
    """
    if not read(host, Exists, path=scratch):
        host.noop(f"{scratch} is gone")
        return
    text = all_of(
        argv("rm", "-rf", "--one-file-system", scratch),
        argv("rmdir", "--ignore-fail-on-non-empty", scratch.parent),
        git.git(repo, "worktree", "prune"),
    )
    yield command(git.serialised(repo, argv("sh", "-c", text)), timeout=120)
