"""The clients of the forge and of Drone where things go wrong; that they work is proven in tests/lab/test_forge.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
import requests

from ccci.clients import service
from ccci.clients.drone import BACKOFF, Build, Drone
from ccci.clients.forge import Forge
from ccci.errors import CcciError, ServiceDown, ServiceRefused, StateUnreadable, UsageError
from tests.support.scripted import Answer, Scripted

URL = "https://service.example.org"
TOKEN = "the-token-of-a-user"  # noqa: S105 - of no user
REPO = "coop-cloud/custom-html"
SINCE = datetime(2026, 11, 24, 12, 0, 0, 999_999, timezone.utc)
COMMENT = {
    "id": 7,
    "user": {"login": "mara"},
    "body": "!testme",
    "created_at": "2026-11-24T13:00:00+01:00",
    "updated_at": "2026-11-24T12:00:00Z",
    "pull_request_url": "https://service.example.org/coop-cloud/custom-html/pulls/3",
}
PULL = {
    "number": 3,
    "title": "a title",
    "state": "open",
    "head": {"sha": "a" * 40, "ref": "a-branch"},
    "base": {"ref": "main"},
}
BUILD = {"number": 5, "status": "pending", "params": {"RECIPE": "custom-html", "CCCI_COMMENT": "7"}}
PARAMS = {"RECIPE": "custom-html", "CCCI_COMMENT": "7"}

FORGE_CALLS: list[Callable[[Forge], object]] = [
    lambda forge: forge.comment(REPO, 7),
    lambda forge: forge.comments_since(REPO, SINCE),
    lambda forge: forge.create_comment(REPO, 3, "text"),
    lambda forge: forge.edit_comment(REPO, 7, "text"),
    lambda forge: forge.set_status(REPO, "a" * 40, context="c", state="pending", description="d"),
    lambda forge: forge.pull_request(REPO, 3),
    lambda forge: forge.is_member("coop-cloud", "mara"),
]
DRONE_CALLS: list[Callable[[Drone], object]] = [
    lambda drone: drone.create_build(REPO, PARAMS),
    lambda drone: drone.find_build(REPO, PARAMS),
    lambda drone: drone.build(REPO, 5),
    lambda drone: drone.cancel(REPO, 5),
]
FAULTS: list[Answer | Exception] = [
    requests.ConnectionError(f"https://x:{TOKEN}@service.example.org"),
    requests.exceptions.ProxyError(TOKEN),
    requests.exceptions.SSLError(TOKEN),
    requests.ReadTimeout(TOKEN),
    requests.exceptions.InvalidURL(TOKEN),
    Answer(408, TOKEN),
    Answer(429, {"message": "too many"}),
    Answer(500, TOKEN),
    Answer(502, TOKEN),
    Answer(503, {"error": TOKEN}),
]


def forge(*answers: Answer | Exception) -> tuple[Forge, Scripted]:
    """Return a client of a forge and the script that it talks to."""
    script = Scripted(*answers)
    return Forge(URL, TOKEN, script.session()), script


def drone(*answers: Answer | Exception, wait: Callable[[float], object] = lambda _: None) -> tuple[Drone, Scripted]:
    """Return a client of a Drone and the script that it talks to; no waits but by `wait`."""
    script = Scripted(*answers)
    return Drone(URL, TOKEN, script.session(), wait=wait), script


def told(error: CcciError) -> str:
    """Return all that an error could show."""
    return f"{error!r} {error.what} {error.hint} {error.detail} {error.__cause__!r}"


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("call", [*FORGE_CALLS, *DRONE_CALLS])
def test_a_service_that_is_away_is_down(call: Callable[[Any], object], fault: Answer | Exception) -> None:
    """Whatever keeps a service from answering is ServiceDown, after one request, without a word of the token."""
    client, script = (forge if call in FORGE_CALLS else drone)(fault)
    with pytest.raises(ServiceDown) as caught:
        call(client)
    assert len(script.asked) == 1
    assert TOKEN not in told(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 409, 410, 422, 451])
@pytest.mark.parametrize("call", [*FORGE_CALLS, *DRONE_CALLS])
def test_a_no_is_a_no(call: Callable[[Any], object], status: int) -> None:
    """Every other status is ServiceRefused with its number and the service's own words; no redirection is followed."""
    answer = Answer(status, {"message": f"no \x1b[31mway {'x' * 400}"}, {"Location": "https://elsewhere.example.org/"})
    client, script = (forge if call in FORGE_CALLS else drone)(answer)
    with pytest.raises(ServiceRefused) as caught:
        call(client)
    assert caught.value.status == status
    assert len(script.asked) == 1
    assert "\x1b" not in told(caught.value)
    assert "no " in caught.value.what
    assert len(caught.value.what) < 500


@pytest.mark.parametrize("call", [FORGE_CALLS[0], FORGE_CALLS[1], FORGE_CALLS[2], FORGE_CALLS[5], *DRONE_CALLS[:3]])
@pytest.mark.parametrize("body", ["<html>", "[" * 100_000, [{}], {"id": True}, "7", {"number": "5", "status": "x"}])
def test_an_answer_of_another_kind_is_unreadable(call: Callable[[Any], object], body: Any) -> None:
    """What is not the API's answer is never taken for one."""
    status = 201 if call is FORGE_CALLS[2] else 200
    client, _ = (forge if call in FORGE_CALLS else drone)(Answer(status, body))
    with pytest.raises(StateUnreadable):
        call(client)


def test_a_long_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service cannot fill this machine's memory."""
    monkeypatch.setattr(service, "ANSWER_MAX", 100_000)
    client, _ = forge(Answer(200, "x" * 300_000))
    with pytest.raises(StateUnreadable, match="more than 100000 bytes"):
        client.comment(REPO, 7)


def test_an_answer_that_drips_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that sends a byte now and then cannot hold a client for ever."""
    monkeypatch.setattr(service, "WHOLE", -1.0)
    client, _ = forge(Answer(200, COMMENT))
    with pytest.raises(ServiceDown, match="does not end its answer"):
        client.comment(REPO, 7)


@pytest.mark.parametrize(("make", "scheme"), [(forge, "token"), (drone, "Bearer")])
def test_the_token_is_in_one_header_only(make: Any, scheme: str) -> None:
    """The token is in the header that is made for it, and not in the URL, where logs would keep it."""
    client, script = make(Answer(404, {}))
    with pytest.raises(ServiceRefused):
        (client.comment if make is forge else client.build)(REPO, 7)
    request = script.asked[0]
    assert request.headers["Authorization"] == f"{scheme} {TOKEN}"
    assert TOKEN not in f"{request.url} {request.body}"
    assert [value for value in request.headers.values() if TOKEN in str(value)] == [f"{scheme} {TOKEN}"]


def test_a_comment_is_read() -> None:
    """A comment's times are compared as instants, and its pull request is the number at the end of its URL."""
    client, script = forge(Answer(200, COMMENT), Answer(200, {**COMMENT, "pull_request_url": ""}))
    got = client.comment(REPO, 7)
    assert (got.id, got.author, got.body, got.pull_request, got.edited) == (7, "mara", "!testme", 3, False)
    assert client.comment(REPO, 7).pull_request is None
    assert script.lines == ["GET /api/v1/repos/coop-cloud/custom-html/issues/comments/7"] * 2


@pytest.mark.parametrize("url", ["https://x/pulls/3/files", "https://x/pulls/-1", "https://x/pulls/x", "pulls", "[::1"])
def test_a_strange_pull_request_url_is_unreadable(url: str) -> None:
    """A comment whose pull request cannot be told is not taken for one on an issue."""
    client, _ = forge(Answer(200, {**COMMENT, "pull_request_url": url}))
    with pytest.raises(StateUnreadable):
        client.comment(REPO, 7)


def test_all_pages_are_read() -> None:
    """Comments on further pages are found, those that are seen twice count once, oldest first."""
    pages = [[{**COMMENT, "id": 9}, {**COMMENT, "id": 7}], [{**COMMENT, "id": 9}, {**COMMENT, "id": 8}], []]
    client, script = forge(*(Answer(200, page) for page in pages))
    assert [comment.id for comment in client.comments_since(REPO, SINCE)] == [7, 8, 9]
    assert "since=2026-11-24T12%3A00%3A00Z" in script.lines[0]


@pytest.mark.parametrize("repo", ["", "a", "a/b/c", "../b", "a/..", "a/.", "-a/b", "a b/c", "a/b?x=1", "a/b#", "ä/b"])
def test_a_repository_that_is_none_is_refused(repo: str) -> None:
    """No request is made for a name that could be another path."""
    client, script = forge()
    with pytest.raises(UsageError):
        client.pull_request(repo, 3)
    assert not script.asked


def test_a_member_that_is_hidden_is_no_member() -> None:
    """A forge that sends us to the public members does not say no: that is an error, with what to do."""
    client, _ = forge(Answer(204), Answer(404, {}), Answer(303, "", {"Location": "/api/v1/orgs/o/public_members/u"}))
    assert client.is_member("coop-cloud", "a/b") is True
    assert client.is_member("coop-cloud", "mara") is False
    with pytest.raises(ServiceRefused) as caught:
        client.is_member("coop-cloud", "mara")
    assert "member of coop-cloud" in (caught.value.hint or "")


def test_a_state_that_is_none_is_a_fault_of_ours() -> None:
    """Only the states that forges know are sent."""
    client, script = forge()
    with pytest.raises(ValueError, match="no state"):
        client.set_status(REPO, "a" * 40, context="c", state="passed", description="d")
    assert not script.asked


def test_a_pull_request_is_read() -> None:
    """A pull request's head, base and state come from their fields."""
    client, _ = forge(Answer(200, PULL), Answer(200, {**PULL, "state": "closed"}))
    got = client.pull_request(REPO, 3)
    assert (got.number, got.head_sha, got.head_ref, got.base, got.open) == (3, "a" * 40, "a-branch", "main", True)
    assert client.pull_request(REPO, 3).open is False


def test_parameters_are_a_query() -> None:
    """A build is started with its parameters as the query, and what Drone calls its own cannot be among them."""
    client, script = drone(Answer(200, BUILD))
    assert client.create_build(REPO, {"RECIPE": "custom-html", "REF": "a&b=c"}, branch="main").number == 5
    assert script.lines == [
        "POST /api/repos/coop-cloud/custom-html/builds?RECIPE=custom-html&REF=a%26b%3Dc&branch=main"
    ]
    for params in ({"branch": "x"}, {"access_token": "x"}, {"A": "x\ny"}, {"A": ""}, {"A": "x" * 1001}, {"A B": "x"}):
        with pytest.raises(UsageError):
            client.create_build(REPO, params)
    with pytest.raises(UsageError):
        client.create_build(REPO, PARAMS, branch="--upload-pack=x")


def test_a_lost_answer_does_not_start_a_second_build() -> None:
    """When the answer to the start is lost, the next try finds the build that it made."""
    waits: list[float] = []
    lost = requests.ConnectionError("lost on the way back")
    client, script = drone(Answer(200, []), lost, Answer(200, [BUILD]), wait=waits.append)
    assert client.start_build(REPO, PARAMS) == Build(5, "pending", "", PARAMS)
    assert [line.partition(" ")[0] for line in script.lines] == ["GET", "POST", "GET"]
    assert waits == [BACKOFF[0]]


def test_nothing_is_started_while_the_builds_cannot_be_seen() -> None:
    """A Drone that does not show its builds is asked again with longer and longer pauses, for nothing else."""
    waits: list[float] = []
    client, script = drone(*[Answer(503)] * (len(BACKOFF) + 1), wait=waits.append)
    with pytest.raises(ServiceDown):
        client.start_build(REPO, PARAMS)
    assert {line.partition(" ")[0] for line in script.lines} == {"GET"}
    assert waits == list(BACKOFF)


def test_another_build_is_not_ours() -> None:
    """A build counts as started only if every parameter is the same; null is an empty list."""
    others = [{**BUILD, "params": {"RECIPE": "custom-html"}}, {"number": 1, "status": "success"}]
    client, _ = drone(Answer(200, others), Answer(200, "null"), Answer(200, [*others, BUILD]))
    assert client.find_build(REPO, PARAMS) is None
    assert client.find_build(REPO, PARAMS) is None
    assert client.find_build(REPO, PARAMS) == Build(5, "pending", "", PARAMS)


def test_a_build_is_watched_to_its_end() -> None:
    """Each change is told once; a Drone that is away in between is waited for."""
    statuses = ["pending", "pending", "running", "success"]
    answers: list[Answer | Exception] = [Answer(200, {**BUILD, "status": status}) for status in statuses]
    answers.insert(2, Answer(502))
    client, _ = drone(*answers)
    seen: list[str] = []
    ended = client.watch(REPO, 5, lambda build: seen.append(build.status), patience=60)
    assert seen == ["pending", "running", "success"]
    assert ended.passed
    client, _ = drone(Answer(502))
    with pytest.raises(ServiceDown):
        client.watch(REPO, 5, lambda build: seen.append(build.status), patience=-1)


@pytest.mark.parametrize("status", ["success", "failure", "error", "killed", "skipped", "declined"])
def test_only_success_has_passed(status: str) -> None:
    """A build that was killed, skipped or declined is over and did not pass."""
    assert Build(1, status).ended
    assert Build(1, status).passed is (status == "success")
