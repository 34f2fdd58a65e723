"""JSON of the host's and the controller's records: strict, and back to the same value."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccci.errors import StateUnreadable
from ccci.model import canonical, codec, run
from ccci.testing import context

WHERE = "/var/lib/ci-warm/blog/canonical.json"
RECORD = canonical.CanonicalRecord(
    schema=canonical.CanonicalRecord.SCHEMA,
    recipe="blog",
    domain="warm-blog.ci.lab.test",
    version="1.0.0+1",
    commit="a" * 40,
    status=canonical.Status.IDLE,
    snapshot="b" * 64,
    secrets=["s_v1"],
    updated="2026-01-01T00:00:00Z",
)
FILES = [
    canonical.Manifest, canonical.CanonicalRecord, canonical.Journal, run.RunResult, context.TestContext,
    run.StageResult, run.StepResult, run.DeployCount, run.KnownGoodChange, run.Release, run.TestCase,
    canonical.VolumeRecord, context.Call, context.Reply,
]  # fmt: skip
_finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, _finite)


@pytest.mark.parametrize("kind", FILES, ids=lambda kind: str(kind.__name__))
@settings(max_examples=30)
@given(st.data())
def test_every_record_comes_back_the_same(kind: type[Any], data: st.DataObject) -> None:
    """What is written of any record that ccci keeps is read as the same value."""
    value = data.draw(st.builds(attrs.resolve_types(kind)))
    if hasattr(kind, "SCHEMA"):
        value = attrs.evolve(value, schema=kind.SCHEMA)
    try:
        text = codec.dump(value)
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: never in a file, which is UTF-8
        return
    assert codec.load(kind, text, where=WHERE) == value


def changed(**changes: Any) -> str:
    """Return the record's JSON with changes; None as a value removes the key."""
    data = {**codec.to_data(RECORD), **changes}
    return json.dumps({key: value for key, value in data.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("null", "schema"),
        ("[]", "schema"),
        ('"text"', "schema"),
        ("1", "schema"),
        (changed()[:-20], "cannot be read"),
        (changed() + "x", "cannot be read"),
        (changed(schema=None), "schema"),
        (changed(schema="ccci.canonical/2"), "ccci.canonical/2"),
        (changed(schema=1), "schema"),
        (changed(surprise=1), "surprise"),
        (changed(recipe=None), "recipe"),
        (changed(recipe=1), "recipe"),
        (changed(recipe=True), "recipe"),
        (changed(recipe=["blog"]), "recipe"),
        (changed(status="asleep"), "status"),
        (changed(status=1), "status"),
        (changed(secrets="s_v1"), "secrets"),
        (changed(secrets={"s_v1": 1}), "secrets"),
        (changed(secrets=[1]), "secrets"),
        ("[" * 200_000 + "]" * 200_000, "cannot be read"),
        ('{"schema": ' * 200_000, "cannot be read"),
    ],
    ids=range(23),
)
def test_what_is_damaged_is_refused(text: str, says: str) -> None:
    """Damage is never taken for a record or for nothing: the error names the file, the fault and a way on."""
    with pytest.raises(StateUnreadable) as caught:
        codec.load(canonical.CanonicalRecord, text, where=WHERE)
    assert WHERE in caught.value.what
    assert says in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("size", [True, 1.5, "1", None, [1], 1e30])
def test_numbers_are_numbers(size: Any) -> None:
    """Neither true nor 1.5 nor "1" is a size in bytes."""
    text = json.dumps({"volume": "v", "digest": "d", "size": size})
    with pytest.raises(StateUnreadable):
        codec.load(canonical.VolumeRecord, text, where=WHERE)


@pytest.mark.parametrize("forked", [1, 0, "true", "", None])
def test_truth_is_true_or_false(forked: Any) -> None:
    """A journal's `forked` decides what a recovery does: only true and false are believed."""
    journal = canonical.Journal("ccci.journal/1", "r", "cold", "blog", "d", "w", "t", forked=True)
    with pytest.raises(StateUnreadable, match="forked"):
        codec.load(canonical.Journal, json.dumps({**codec.to_data(journal), "forked": forked}), where=WHERE)


def test_nested_faults_are_named_with_their_way() -> None:
    """A fault deep in a manifest says where it is."""
    volumes = {"data": {"volume": "v", "digest": "d", "size": "big"}}
    text = json.dumps({
        "schema": "ccci.snapshot/1", "recipe": "r", "version": "v", "commit": "c", "taken": "t", "volumes": volumes,
    })  # fmt: skip
    with pytest.raises(StateUnreadable, match="data"):
        codec.load(canonical.Manifest, text, where=WHERE)


def test_seconds_may_be_written_without_a_point() -> None:
    """JSON knows one kind of number: 1 is 1.0 seconds, and true is still none."""
    assert codec.load(run.TestCase, '{"name": "n", "status": "pass", "seconds": 1}', where=WHERE).seconds == 1.0
    with pytest.raises(StateUnreadable):
        codec.load(run.TestCase, '{"name": "n", "status": "pass", "seconds": true}', where=WHERE)


def test_text_ends_with_a_new_line_and_keeps_other_scripts_readable() -> None:
    """Files are for people too."""
    text = codec.dump(attrs.evolve(RECORD, recipe="blög"))
    assert text.endswith("}\n")
    assert "blög" in text


def test_the_digest_of_a_manifest_is_that_of_its_volumes() -> None:
    """It changes with any volume's digest or key and not with their order."""
    one = {"a": "1", "b": "2"}
    assert canonical.combined(one) == canonical.combined(dict(reversed(one.items())))
    others = [{"a": "1"}, {"a": "2", "b": "1"}, {"a": "1", "c": "2"}, {}]
    assert len({canonical.combined(d) for d in [one, *others]}) == 5
