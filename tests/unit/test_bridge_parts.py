"""The parts of the bridge that need no process: signatures, deliveries, limits, health, secrets."""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccci.bridge.health import FIRST, FORGE, LONGEST, Health
from ccci.bridge.limits import Limiter
from ccci.bridge.secrets import read_secret
from ccci.bridge.webhook import Refused, check_signature, read_delivery, wanted
from ccci.errors import UsageError

SECRET = b"a secret of the tests, long enough"
EVENT = {"X-Gitea-Event": "issue_comment"}
NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
GOOD: dict[str, Any] = {
    "action": "created",
    "is_pull": True,
    "issue": {"number": 1},
    "comment": {"id": 7, "body": "!testme", "user": {"login": "anna"}, "created_at": "2026-11-24T13:00:00+01:00"},
    "repository": {"full_name": "coop/custom-html"},
}


def sign(body: bytes, secret: bytes = SECRET) -> str:
    """Return the right signature."""
    return hmac.new(secret, body, "sha256").hexdigest()


@pytest.mark.parametrize("name", ["X-Gitea-Signature", "X-Forgejo-Signature"])
@given(body=st.binary(max_size=200), at=st.integers(0, 10_000))
def test_only_the_whole_body_with_the_secret_is_let_in(name: str, body: bytes, at: int) -> None:
    """The right signature of the very bytes is let in; one bit of the body, another secret or none is refused."""
    check_signature(SECRET, body, {name: sign(body)})
    where = at % (8 * len(body)) if body else 0
    changed = bytes(b ^ (1 << where % 8) if i == where // 8 else b for i, b in enumerate(body)) if body else b"x"
    for bad in ({name: sign(changed)}, {name: sign(body, b"another")}, {name: ""}, {name: "\xe4"}, {}):
        with pytest.raises(Refused):
            check_signature(SECRET, body, bad)


def test_two_signatures_must_both_be_right() -> None:
    """A right signature beside a wrong one does not help."""
    with pytest.raises(Refused, match="wrong"):
        check_signature(SECRET, b"x", {"X-Gitea-Signature": sign(b"x"), "X-Forgejo-Signature": sign(b"y")})


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is hmac.compare_digest's, for each signature that was given."""
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with pytest.raises(Refused):
        check_signature(SECRET, b"x", {"X-Gitea-Signature": "0" * 64})
    assert compared == [b"0" * 64]


def test_a_comment_is_read() -> None:
    """A new comment is read, its time with its zone; other events and actions concern nobody."""
    found = read_delivery(json.dumps(GOOD).encode(), EVENT)
    assert found
    assert (found.repo, found.comment, found.number, found.author) == ("coop/custom-html", 7, 1, "anna")
    assert found.created == NOW
    assert wanted(found, ("coop/custom-html",), NOW) is False
    assert read_delivery(json.dumps({**GOOD, "action": "edited"}).encode(), EVENT) is None
    assert read_delivery(b"not looked at", {"X-Gitea-Event": "push"}) is None
    assert read_delivery(json.dumps(GOOD).encode(), {"X-Forgejo-Event": "issue_comment"}) == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = ("action", "is_pull", "issue", "comment", "repository")


@given(st.binary(max_size=100) | st.dictionaries(st.sampled_from(KEYS), JSON).map(lambda d: json.dumps({**GOOD, **d})))
def test_any_body_is_read_or_refused(body: bytes | str) -> None:
    """Whatever a body holds, it is a comment, nothing of ours, or refused; never another exception."""
    with suppress(Refused):
        read_delivery(body.encode() if isinstance(body, str) else body, EVENT)


@pytest.mark.parametrize("part", ["id", "body", "user", "created_at"])
@pytest.mark.parametrize("value", [None, True, -1, 1.5, [], {}, "9" * 40, 2**70])
def test_a_comment_with_a_wrong_part_is_refused(part: str, value: object) -> None:
    """Each part of a comment has its type, or the delivery is refused; text is text whatever it says."""
    body = json.dumps({**GOOD, "comment": {**GOOD["comment"], part: value}}).encode()
    if part == "body" and isinstance(value, str):
        assert read_delivery(body, EVENT)
        return
    with pytest.raises(Refused):
        read_delivery(body, EVENT)


@pytest.mark.parametrize("age", [timedelta(days=2), timedelta(days=-2)])
def test_a_comment_of_another_time_is_refused(age: timedelta) -> None:
    """A comment of days ago, or of the future, is a replay."""
    found = read_delivery(json.dumps(GOOD).encode(), EVENT)
    assert found
    with pytest.raises(Refused, match="too old"):
        wanted(found, ("coop/custom-html",), NOW + age)


def test_an_address_gets_its_bucket_back() -> None:
    """Within a minute an address may do so much; then it waits; others are not touched."""
    now = [0.0]
    limiter = Limiter(3, lambda: now[0])
    assert [limiter.spend("a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.spend("b")
    now[0] = 20.0
    assert [limiter.spend("a") for _ in range(2)] == [True, False]


def test_a_service_that_is_away_is_asked_less_and_less() -> None:
    """Each failure doubles the pause up to the longest; one answer ends it."""
    health = Health(FORGE)
    assert health.bad(FORGE, "is tired")
    pauses = [round(health.wait(FORGE))]
    for _ in range(8):
        assert not health.bad(FORGE, "is tired")
        pauses.append(round(health.wait(FORGE)))
    assert pauses[:4] == [FIRST, 2, 4, 8]
    assert pauses[-1] == LONGEST
    assert health.report()[FORGE]["why"] == "is tired"
    assert health.good(FORGE)
    assert not health.good(FORGE)
    assert health.wait(FORGE) == 0
    assert health.report()[FORGE] == {"state": "up"}


@pytest.mark.parametrize(
    ("content", "mode", "word"),
    [
        ("a" * 32, 0o640, "others may read it"),
        ("a" * 32, 0o604, "others may read it"),
        ("short", 0o600, "16 characters or more"),
        ("", 0o600, "16 characters or more"),
        ("a" * 20 + "\n" + "b" * 20, 0o600, "one line"),
        ("a" * 20 + " " + "b" * 20, 0o600, "without spaces"),
        ("\xe4" * 32, 0o600, "one line"),
        ("a" * 5000, 0o600, "one line"),
    ],
)
def test_a_bad_secret_is_refused_unsaid(tmp_path: Path, content: str, mode: int, word: str) -> None:
    """A secret that others may read, or that is none, is refused; no message has a piece of it."""
    file = tmp_path / "secret"
    file.write_text(content, "utf-8")
    file.chmod(mode)
    with pytest.raises(UsageError, match=word) as caught:
        read_secret(file, what="forge_token")
    assert content[:5] not in str(caught.value).replace("short", "") or not content


def test_a_good_secret_is_read(tmp_path: Path) -> None:
    """One line in a file of mode 0600 is the secret, without its line break; a missing file is a clear error."""
    file = tmp_path / "secret"
    file.write_text("a" * 32 + "\n", "utf-8")
    file.chmod(0o600)
    assert read_secret(file, what="forge_token") == "a" * 32
    with pytest.raises(UsageError, match=r"forge_token: .* cannot be read"):
        read_secret(tmp_path / "none", what="forge_token")
