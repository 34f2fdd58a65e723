"""Quoting, against a real shell: what a command gets is exactly what was meant."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ccci.commands import docker, files, git
from ccci.commands.host import watch_free
from ccci.commands.lock import Fence, fenced
from ccci.commands.shell import all_of, argv, command, pipe, quote
from ccci.facts.git import Tree

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_WORDS = st.lists(_TEXT, min_size=1, max_size=4)
ECHO = ("printf", "%s\\0")
NASTY = ["", "'", '"', "$(id)", "`id`", "a b", "*", "~", "\n", "\\", ";", "&&", "-n", "!x", "ü\u202e", "'\"'\"'"]


def shell(text: str, *, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run shell text as sshd would: with the user's shell, here the strictest one there is."""
    return subprocess.run(["/bin/sh", "-c", text], input=stdin, capture_output=True, check=False, timeout=20)


def said(text: str) -> list[str]:
    """Run shell text that ends well and return the words that it printed, each ended by NUL."""
    done = shell(text)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().split("\0")[:-1]


@settings(max_examples=30)
@given(_WORDS)
@example(NASTY)
def test_quote_passes_words_unchanged(words: list[str]) -> None:
    """Any text without NUL reaches the command as it is: nothing in it is run, split or replaced."""
    assert said(quote([*ECHO, *words])) == words


@settings(max_examples=30)
@given(_WORDS)
@example(NASTY)
def test_a_time_limit_passes_words_unchanged(words: list[str]) -> None:
    """The limit puts a second shell around the command, and the words get through both."""
    assert said(command([*ECHO, *words], timeout=9).get_raw_value()) == words


@settings(max_examples=15)
@given(_WORDS)
@example(NASTY)
def test_pipes_and_sequences_pass_words_unchanged(words: list[str]) -> None:
    """So they do through a pipe's bash and through commands that follow each other."""
    assert said(pipe([*ECHO, *words], ["cat"], ["cat"])) == words
    assert said(all_of([*ECHO, *words], quote([*ECHO, *words]))) == words * 2


@settings(max_examples=15)
@given(_WORDS)
@example(NASTY)
def test_the_fence_passes_words_unchanged(words: list[str]) -> None:
    """The fence adds flock and two shells around a command; a fence that is None adds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "owner").write_text("run-1")
        fence = Fence(PurePosixPath(folder), "run-1")
        assert said(fenced([*ECHO, *words], fence)) == words
        assert said(fenced(quote([*ECHO, *words]), fence)) == words
    assert said(fenced([*ECHO, *words], None)) == words


def test_nul_is_refused() -> None:
    """No argument can hold NUL; cut words would name something else."""
    with pytest.raises(ValueError, match="NUL"):
        argv("echo", "a\0b")


def test_a_time_limit_ends_the_command_with_all_it_started() -> None:
    """The host itself ends a command that takes too long, with timeout's exit code."""
    assert shell(command("sleep 30 | sleep 30", timeout=0.2).get_raw_value()).returncode == 124


def test_a_pipe_fails_with_any_of_its_stages() -> None:
    """A broken first stage does not vanish behind a last one that is happy with nothing."""
    assert shell(pipe(["false"], ["cat"])).returncode == 1
    assert shell(pipe(["true"], ["cat"])).returncode == 0


def test_a_sequence_stops_at_the_first_failure() -> None:
    """What follows a failed command is not done."""
    done = shell(all_of(["false"], ["echo", "not done"]))
    assert (done.returncode, done.stdout) == (1, b"")


def test_standard_input_is_an_argument_of_the_connector() -> None:
    """A secret is in what pyinfra hands to standard input and not in the command."""
    made = command(["cat"], stdin="geheim")
    assert made.connector_arguments == {"_stdin": "geheim"}
    assert "geheim" not in made.get_raw_value()


@pytest.mark.parametrize("mode", ["0644", "0600"])
def test_write_is_whole_and_has_its_mode_at_once(tmp_path: Path, mode: str) -> None:
    """A file is written to the byte with its mode, folders are made, and nothing is left beside it."""
    target = tmp_path / "new folder" / "it's.json"
    assert shell(files.write(PurePosixPath(target), 4, mode=mode), stdin=b"a\0\xff\n").returncode == 0
    assert target.read_bytes() == b"a\0\xff\n"
    assert target.stat().st_mode & 0o777 == int(mode, 8)
    assert [p.name for p in target.parent.iterdir()] == [target.name]


def test_a_write_that_was_cut_short_leaves_nothing(tmp_path: Path) -> None:
    """Less input than announced, as on a full disk: the old file stays, and no half one is left."""
    target = tmp_path / "file"
    target.write_text("old\n")
    assert shell(files.write(PurePosixPath(target), 4), stdin=b"ab").returncode != 0
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_remove_takes_what_is_not_there(tmp_path: Path) -> None:
    """Removing is repeatable, and a name that looks like an option is a name."""
    odd = tmp_path / "-rf x"
    odd.mkdir()
    for _ in range(2):
        assert shell(quote(files.remove(PurePosixPath(odd)))).returncode == 0
    assert not odd.exists()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Make a git repository with one commit, an annotated and a light tag, and a remote branch."""
    folder = tmp_path / "re po"
    run = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-C", str(folder)]
    folder.mkdir()
    (folder / "compose.yml").write_text("services: {}\n")
    for words in (
        ["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "-am", "x", "1.0.0+1"], ["tag", "light"],
        ["update-ref", "refs/remotes/origin/topic", "HEAD"],
    ):  # fmt: skip
        subprocess.run([*run, *words], check=True, capture_output=True)
    return folder


def test_git_resolves_names_and_no_options(repo: Path) -> None:
    """Branches of the remote, tags and commits are found; what looks like an option is no commit."""
    place = PurePosixPath(repo)
    head = shell(git.resolve(place, "HEAD")).stdout
    assert len(head.strip()) == 40
    for name in ("topic", "1.0.0+1", "light", head.decode().strip(), "refs/tags/light"):
        assert shell(git.resolve(place, name)).stdout == head, name
    for name in ("nothing", "--all", "-h"):
        assert shell(git.resolve(place, name)).returncode != 0, name


def test_git_tells_annotated_tags_from_light_ones(repo: Path) -> None:
    """Both kinds of tag are listed with the commit that they point at."""
    lines = shell(quote(git.tags(PurePosixPath(repo)))).stdout.decode().splitlines()
    head = shell(git.resolve(PurePosixPath(repo), "HEAD")).stdout.decode().strip()
    assert [line.split("\t") for line in lines] == [["1.0.0+1", "tag", head], ["light", "commit", head]]


def read_tree(repo: Path, ref: str = "HEAD") -> dict[str, bytes]:
    """Read a commit's tree as ccci does."""
    done = shell(git.tree(PurePosixPath(repo), ref))
    assert done.returncode == 0, done.stderr
    return Tree().parse(done.stdout.decode().splitlines())


def commit(repo: Path, files: dict[str, str]) -> None:
    """Commit files with any names; a value that begins with -> makes a link."""
    for name, text in files.items():
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["add", "-A"], ["commit", "-qm", "more"]):
        subprocess.run(["/usr/bin/git", "-C", str(repo), *identity, *words], check=True, capture_output=True)


def test_git_prints_a_tree_whole(repo: Path) -> None:
    """Every plain file comes with its content, whatever its name; links are left out; no commit is an error."""
    plain = {"a b/it's": "1\n", "ünï": "", "-x": "2", "no new line": "3", "new\nline": "4", "tab\there": "5"}
    commit(repo, {**plain, "link": "->/etc/shadow", ".gitattributes": "ünï export-ignore\n"})
    files = {name: data.decode() for name, data in read_tree(repo).items()}
    assert files == {**plain, "compose.yml": "services: {}\n", ".gitattributes": "ünï export-ignore\n"}
    assert shell(git.tree(PurePosixPath(repo), "nothing")).returncode != 0


def test_a_files_name_cannot_forge_another_files_content(repo: Path) -> None:
    """A name that looks like a line of git's listing does not shift what the other files are read as."""
    words = ["/usr/bin/git", "-C", str(repo), "rev-parse", "HEAD:compose.yml"]
    blob = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    evil = f"a\n100644 blob {blob} x"
    commit(repo, {evil: "evil", "b": "harmless"})
    try:
        files = read_tree(repo)
    except ValueError:
        return  # refused is right, too
    assert files == {evil: b"evil", "b": b"harmless", "compose.yml": b"services: {}\n"}


def test_the_disk_is_watched_until_the_input_ends(tmp_path: Path) -> None:
    """The least free bytes are printed, and the watch ends with its input, with all that it started."""
    words = ["/bin/sh", "-c", quote(watch_free(str(tmp_path)))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        first = int(process.stdout.readline())
        assert abs(first - shutil.disk_usage(tmp_path).free) < 10**10
        process.stdin.close()
        process.stdout.read()
        assert process.wait(timeout=10) is not None


def test_dockers_filters_are_one_word() -> None:
    """A filter is JSON in a query: nothing of it ends the URL or the word."""
    url = docker.get(docker.of_stack("/services", "a_b&x=y"))[-1]
    assert (
        url
        == "http://docker/v1.40/services?filters=%7B%22label%22%3A%20%5B%22com.docker.stack.namespace%3Da_b%26x%3Dy%22%5D%7D"
    )
