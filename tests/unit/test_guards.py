"""Guards of steps that need no host: what a run is told by a session, and what it asks of it, in which order."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from typing_extensions import override

from ccci.commands import docker, files
from ccci.engine import session as module
from ccci.engine.session import Session
from ccci.engine.testrunner import Outcome
from ccci.errors import InfrastructureError, SnapshotBroken, StateUnreadable, TestsFailed
from ccci.events import Stream
from ccci.facts.base import UNREAD, HostFact, read
from ccci.facts.docker import StackLeftovers, Volume, Volumes
from ccci.facts.warm import ChangedSince, ColdApps, Digests, File, Lock
from ccci.model import codec
from ccci.model.app import canonical_app
from ccci.model.canonical import Canonical, CanonicalRecord, Journal, Manifest, Status, VolumeRecord, combined
from ccci.model.run import Release, StageStatus, TestCase
from ccci.model.version import Version
from ccci.steps import guards, promote, recover, registry
from ccci.steps.stages import _judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ccci.engine.run import Run

APP = canonical_app("blog", "ci.lab.test")
DIGESTS = {"content": "a" * 64}
MANIFEST = Manifest(
    Manifest.SCHEMA, "blog", "1.0.0+1", "c" * 40, "2026-01-01T00:00:00Z",
    {"content": VolumeRecord(f"{APP.stack}_content", DIGESTS["content"], 10)},
)  # fmt: skip
RECORD = CanonicalRecord(
    CanonicalRecord.SCHEMA, "blog", APP.domain, "1.0.0+1", "c" * 40, Status.IDLE, MANIFEST.digest, [], MANIFEST.taken
)
CANONICAL = Canonical(APP, RECORD, MANIFEST)


class Told(Session):
    """A session without a host: it answers facts from a table and remembers what it was asked to do."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, nothing, "20260101t000000-aaaaaa", Stream())
        self.facts: dict[type, Any] = {}
        self.did: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.printed: list[str] = []
        self.settings = SimpleNamespace(fork="auto", dead_after=30.0)  # type: ignore[assignment]

    @override
    def read(self, fact: type[HostFact[Any]], **arguments: Any) -> Any:
        """Answer from the table; a function there is given the arguments."""
        answer = self.facts[fact]
        return answer(**arguments) if callable(answer) else answer

    @override
    def perform(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> bool:
        """Remember it."""
        self.did.append((operation.__name__, args, arguments))
        return True

    @override
    def perform_for_output(self, operation: Callable[..., Any], *args: Any, **arguments: Any) -> list[str]:
        """Remember it, and print what it was told to print."""
        self.perform(operation, *args, **arguments)
        return self.printed

    @override
    def lock(self, app: Any, *, wait: float = 0.0) -> None:
        """Remember it."""
        self.did.append(("lock", (app.domain,), {}))

    @override
    def unlock(self, app: Any) -> None:
        """Remember it."""
        self.did.append(("unlock", (app.domain,), {}))

    @property
    @override
    def host_settings(self) -> Any:
        """What is known of the host."""
        return SimpleNamespace(base_domain="ci.lab.test")

    @property
    def names(self) -> list[str]:
        """The names of what was done, in order."""
        return [name for name, _, _ in self.did]

    def written(self) -> list[str]:
        """Return the texts that were written, in order."""
        return [arguments["text"] for name, _, arguments in self.did if name == "file_written"]


@pytest.fixture
def told() -> Iterator[Told]:
    """A session that is the current one."""
    made = Told()
    token = module._current.set(made)
    yield made
    module._current.reset(token)


def test_a_canonical_is_dirty_and_has_a_journal_before_anything_is_changed(told: Told) -> None:
    """The journal is the first that a quick run writes, `dirty` the second; only then are volumes forked."""
    run: Any = SimpleNamespace(session=told, known_good=None)
    guards.begin(APP, CANONICAL, run)
    assert told.names == ["file_written", "file_written", "probe_overlay", "fork_volumes"]
    journal, record = told.written()
    assert codec.load(Journal, journal, where="").run_id == told.run_id
    dirty = codec.load(CanonicalRecord, record, where="")
    assert (dirty.status, dirty.run) == (Status.DIRTY, told.run_id)
    assert attrs.evolve(dirty, status=Status.IDLE, run="", updated=RECORD.updated) == RECORD


def test_a_canonical_that_still_runs_is_not_marked_idle(told: Told) -> None:
    """As long as anything of it runs the mark stays dirty, and the journal stays."""
    told.facts[StackLeftovers] = SimpleNamespace(running=["task of app"])
    with pytest.raises(InfrastructureError, match="is not idle"):
        recover.mark_idle(APP, CANONICAL)
    assert told.did == []
    told.facts[StackLeftovers] = SimpleNamespace(running=[])
    recover.mark_idle(APP, CANONICAL)
    assert told.names == ["file_written", "removed"], "the journal goes last"


def proving(told: Told, digest: str, changed: tuple[str, ...] = ()) -> None:
    """Tell a session what is in the volumes."""
    volume = f"{APP.stack}_content"
    told.facts |= {
        Volumes: {volume: Volume(volume, "local", "/var/lib/docker/volumes/x", {}, {})},
        Digests: (digest,),
        ChangedSince: changed,
    }


def test_data_with_another_digest_are_not_proven(told: Told) -> None:
    """A digest that is not the snapshot's is an error, and no mark of a proof is set."""
    proving(told, "b" * 64)
    with pytest.raises(SnapshotBroken, match="known-good has"):
        recover.prove(APP, CANONICAL, cheaply=False)
    assert "moved" not in told.names
    proving(told, DIGESTS["content"])
    assert "digest" in recover.prove(APP, CANONICAL, cheaply=False)
    assert told.names[-1] == "moved"


def test_change_times_are_a_proof_only_if_nothing_changed(told: Told) -> None:
    """A path that changed since the mark means that the digest is taken."""
    proving(told, "b" * 64, changed=("/x/page.html",))
    with pytest.raises(SnapshotBroken):
        recover.prove(APP, CANONICAL, cheaply=True)
    proving(told, "b" * 64)
    assert "nothing in the volumes changed" in recover.prove(APP, CANONICAL, cheaply=True)


@pytest.mark.parametrize("lines", [["a", "b", "10"], ["a", "a"], []])
def test_a_snapshot_that_does_not_read_back_is_refused(told: Told, lines: list[str]) -> None:
    """An archive with another digest than its volume had, or without one, is no snapshot."""
    told.printed = lines
    with pytest.raises(SnapshotBroken):
        promote.take_snapshot(told, APP, {"content": "v"}, PurePosixPath("/x"))
    told.printed = ["a", "a", "10", ""]
    assert promote.take_snapshot(told, APP, {"content": "v"}, PurePosixPath("/x"))["content"].digest == "a"


def test_a_snapshot_of_another_release_is_not_known_good(told: Told) -> None:
    """A canonical whose snapshot has the data or the version of another is refused."""
    for manifest in (attrs.evolve(MANIFEST, version="1.1.0+1"), attrs.evolve(MANIFEST, commit="d" * 40)):
        texts = {
            registry.record_path(APP): codec.dump(RECORD),
            registry.snapshot_path(APP) / "manifest.json": codec.dump(manifest),
        }
        told.facts[File] = lambda path, texts=texts: texts.get(path)
        with pytest.raises(SnapshotBroken):
            registry.find_canonical(told, "blog")
    assert combined({"a": "1", "b": "2"}) == combined({"b": "2", "a": "1"}) != combined({"a": "2", "b": "1"})


def test_cold_apps_of_live_runs_are_left_alone(told: Told) -> None:
    """Only a cold app whose lock is free and whose run left a journal is torn down."""
    journal = Journal(Journal.SCHEMA, "r", "cold", "blog", "d", "somebody", "2026-01-01T00:00:00Z", forked=False)
    told.facts |= {ColdApps: ("blog-aaaaaa.ci.lab.test",), File: codec.dump(journal)}
    told.facts[Lock] = SimpleNamespace(holder="a run", free_for=0.0)
    assert recover.recover_cold_apps(told, "blog") == []
    told.facts[Lock] = SimpleNamespace(holder=None, free_for=0.0)
    assert recover.recover_cold_apps(told, "wiki") == [], "another recipe's run may only have lost its connection"
    assert told.did == []
    told.facts[Lock] = SimpleNamespace(holder=None, free_for=1e6)
    told.facts[File] = None
    assert recover.recover_cold_apps(told, "blog") == []
    assert told.did == []


PASSED = TestCase("a", StageStatus.PASS, 0.1, "")


@pytest.mark.parametrize(
    ("tests", "code", "collected", "says"),
    [
        ([], 0, 0, "no test ran"),
        ([], 5, 0, "no test ran"),
        ([PASSED, attrs.evolve(PASSED, status=StageStatus.SKIP)], 0, 2, "a skip proves nothing"),
        ([PASSED, attrs.evolve(PASSED, status=StageStatus.FAIL, message="x")], 0, 2, "failed: x"),
        ([PASSED], 0, 2, "ended before all tests"),
        ([PASSED], 3, 1, "exit code 3"),
    ],
)
def test_a_stage_without_proof_is_red(tests: list[TestCase], code: int, collected: int, says: str) -> None:
    """No test, a skipped one, one that never reported, an exit code: each fails the stage; only all green passes."""
    with pytest.raises(TestsFailed, match=says):
        _judge("install", Outcome(tests, code, "", collected))
    _judge("install", Outcome([PASSED], 0, "", 1))


def candidate(**changes: Any) -> Run:
    """Return a run that may promote, with changes."""
    values = {
        "provider": None,
        "ref": "",
        "pull_request": None,
        "released": True,
        "complete": True,
        "known": "1.0.0+1",
        **changes,
    }
    known = values["known"]
    run: Any = SimpleNamespace(
        recipe=SimpleNamespace(meta=SimpleNamespace(provider=values["provider"])),
        request=SimpleNamespace(ref=values["ref"], pull_request=values["pull_request"]),
        head=Release("d" * 40, "1.1.0+1", released=values["released"]),
        complete=values["complete"],
        canonical=SimpleNamespace(known_good=known) if known else None,
    )
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "change",
    [
        {"provider": object()},
        {"ref": "main"},
        {"pull_request": 7},
        {"released": False},
        {"complete": False},
        {"known": "2.0.0+1"},
    ],
)
def test_only_a_whole_run_of_a_newer_release_promotes(change: dict[str, Any]) -> None:
    """A ref, an unreleased head, a run of some stages, a provider or an older version never moves known-good."""
    assert promote._why_not(candidate()) == promote._why_not(candidate(known="")) == ""
    assert promote._why_not(candidate(**change))
    assert Version.parse("1.1.0+1") < Version.parse("2.0.0+1")


def test_what_is_cut_short_does_not_take_the_place_of_what_was_whole(tmp_path: Path) -> None:
    """A sender that dies looks like an end of input: fewer bytes than announced change nothing."""
    path = tmp_path / "canonical.json"
    path.write_text("whole\n")
    for sent in (b"", b"new", b"new text and more"):
        words = ["/bin/sh", "-c", files.write(PurePosixPath(path), 8)]
        assert subprocess.run(words, input=sent, check=False, timeout=20).returncode != 0
        assert path.read_text() == "whole\n"
    subprocess.run(["/bin/sh", "-c", files.write(PurePosixPath(path), 8)], input=b"new text", check=True, timeout=20)
    assert path.read_text() == "new text"


def test_half_a_secret_is_not_created(tmp_path: Path) -> None:
    """A secret of which only a part came over is not given to Swarm, where it could never be changed."""
    fake = tmp_path / "docker"
    fake.write_text(f"#!/bin/sh\ncat >{tmp_path}/made\n")
    fake.chmod(0o755)
    words = docker.secret_create("s_v1", 8, labels={})
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(words, input=b"half", env=env, check=False, timeout=20).returncode != 0
    assert not (tmp_path / "made").exists()
    subprocess.run(words, input=b"complete", env=env, check=True, timeout=20)
    assert (tmp_path / "made").read_text() == "complete"


class Lines(HostFact[list[str]]):
    """A fact for the tests: the lines themselves."""

    @override
    def parse(self, lines: list[str]) -> list[str]:
        """Return the lines; `bad` is none that it knows."""
        if "bad" in lines:
            raise ValueError("bad")
        return lines


@pytest.mark.parametrize(
    "output", [[], ["x"], ["0"], ["x", "", "0"], ["x", "ccci:exit:1"], ["bad", "ccci:exit:0"], ["ccci:exit:"]]
)
def test_what_cannot_be_read_is_never_nothing(output: list[str]) -> None:
    """An answer that is cut short, a failing command and an unknown form raise; a fact has no default."""
    with pytest.raises(StateUnreadable):
        Lines().process(output)
    assert Lines().process(["x", "", "ccci:exit:0"]) == ["x"]
    assert Lines.default() is UNREAD
    host: Any = SimpleNamespace(get_fact=lambda *_: UNREAD, name="x")
    with pytest.raises(StateUnreadable):
        read(host, Lines)
