"""The forge client on a real Gitea with a token of the least scopes, and on the strict forge of the bridge's tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from ccci.clients import forge as forge_module
from ccci.clients.forge import Forge
from ccci.errors import ServiceDown, ServiceRefused
from tests.support.forges import BOT, MEMBER, ORGANISATION, STRANGER, RealForge, StrictForge, Subject
from tests.support.gitea import SCOPES, Gitea, free_port

pytestmark = pytest.mark.timeout(3600)  # the first time on a machine, Gitea is built
SECRET = "a-secret-of-the-tests"  # noqa: S105


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealForge]:
    """A Gitea with people and a pull request."""
    gitea = Gitea(tmp_path_factory.mktemp("gitea"), free_port())
    try:
        gitea.make()
        made = RealForge(gitea, tmp_path_factory.mktemp("forge"))
        made.make()
        yield made
    finally:
        gitea.stop()


@pytest.fixture(params=["gitea", "strict"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The forges that the contract is tested on: the real one, and the strict one of the bridge's tests."""
    if request.param == "gitea":
        yield request.getfixturevalue("real")
        return
    strict = StrictForge()
    yield strict
    strict.forge.server.close()
    assert strict.forge.server.faults == []


def client(subject: Subject, token: str = "") -> Forge:
    """Return a client with the token of the least scopes, or another."""
    http = requests.Session()
    http.trust_env = False
    return Forge(subject.url, token or subject.token, http)


def test_a_comment_is_told(subject: Subject) -> None:
    """A comment has its author, its text to the letter, its pull request, and says whether it was edited."""
    text = "!testme\n  ünïcode `x` <b>\x1b[31m"
    number = subject.write(text, MEMBER)
    got = client(subject).comment(subject.repo, number)
    assert (got.id, got.author, got.body, got.pull_request, got.edited) == (number, MEMBER, text, subject.number, False)
    deadline = time.monotonic() + 10
    while not client(subject).comment(subject.repo, number).edited:  # a forge counts in whole seconds
        assert time.monotonic() < deadline
        subject.edit(number, f"at {time.monotonic()}")
        time.sleep(0.2)
    subject.edit(number, "!testme --quick")
    assert client(subject).comment(subject.repo, number).body == "!testme --quick"
    subject.delete(number)
    with pytest.raises(ServiceRefused) as caught:
        client(subject).comment(subject.repo, number)
    assert caught.value.status == 404


def test_new_comments_are_found(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """All comments since a second are found, those of that second among them, on however many pages they are."""
    monkeypatch.setattr(forge_module, "_PAGE", 2)
    first = subject.write("one", STRANGER)
    since = client(subject).comment(subject.repo, first).created
    written = [first, *(subject.write(f"comment {number}", MEMBER) for number in range(4))]
    found = [comment.id for comment in client(subject).comments_since(subject.repo, since)]
    assert [number for number in found if number in written] == written
    assert found == sorted(found)
    assert client(subject).comments_since(subject.repo, since + timedelta(hours=1)) == []


def test_a_comment_is_written_and_edited(subject: Subject) -> None:
    """What the bot writes is there to the letter, before and after an edit; one that was deleted is a 404."""
    forge = client(subject)
    number = forge.create_comment(subject.repo, subject.number, "queued\n\n| a | b |\n")
    assert subject.texts()[number] == "queued\n\n| a | b |\n"
    forge.edit_comment(subject.repo, number, "passed ✓")
    assert subject.texts()[number] == "passed ✓"
    assert forge.comment(subject.repo, number).author == BOT
    subject.delete(number)
    with pytest.raises(ServiceRefused) as caught:
        forge.edit_comment(subject.repo, number, "once more")
    assert caught.value.status == 404


@pytest.mark.parametrize("state", ["pending", "success", "failure", "error", "warning"])
def test_a_status_is_set(subject: Subject, state: str) -> None:
    """Each state arrives in its context, with description and link, beside those of other contexts."""
    forge, link = client(subject), "https://ci.example.org/runs/1"
    forge.set_status(subject.repo, subject.sha, context="ccci/cold", state="pending", description="queued")
    forge.set_status(
        subject.repo, subject.sha, context="ccci/quick", state=state, description="as it is", target_url=link
    )
    got = subject.status("ccci/quick")
    assert (got["status"], got["description"], got["target_url"]) == (state, "as it is", link)
    assert subject.status("ccci/cold")["status"] == "pending"


def test_a_pull_request_is_told(subject: Subject) -> None:
    """Head, branch, base, title and state of a pull request are those of the forge; one that is not there is a 404."""
    got = client(subject).pull_request(subject.repo, subject.number)
    assert (got.number, got.head_sha, got.head_ref) == (subject.number, subject.sha, subject.branch)
    assert (got.base, got.title, got.open) == ("main", subject.title, True)
    with pytest.raises(ServiceRefused) as caught:
        client(subject).pull_request(subject.repo, 4711)
    assert caught.value.status == 404


def test_members_are_told_from_others(subject: Subject) -> None:
    """A member is one though nobody is told in public; a stranger, and somebody who is not there, are none."""
    forge = client(subject)
    assert forge.is_member(ORGANISATION, MEMBER)
    assert not forge.is_member(ORGANISATION, STRANGER)
    assert not forge.is_member(ORGANISATION, "nobody")
    assert not forge.is_member("no-such-organisation", MEMBER)


def test_a_comment_on_an_issue_is_told_from_one_on_a_pull_request(real: RealForge) -> None:
    """A comment on an issue has no pull request."""
    issue = real.gitea.ask("POST", f"/repos/{real.repo}/issues", {"title": "an issue"})["number"]
    number = real.gitea.comment(real.repo, issue, "!testme", user=MEMBER)
    assert client(real).comment(real.repo, number).pull_request is None


@pytest.mark.parametrize("missing", SCOPES)
def test_every_scope_is_needed(real: RealForge, missing: str) -> None:
    """Without any one of the scopes that docs/bridge.md lists, just what that one is for is refused."""
    forge = client(real, real.gitea.token(BOT, *(scope for scope in SCOPES if scope != missing)))
    calls: dict[str, Callable[[], object]] = {
        "write:issue": lambda: forge.create_comment(real.repo, real.number, "text"),
        "write:repository": lambda: forge.set_status(
            real.repo, real.sha, context="ccci/cold", state="pending", description="queued"
        ),
        "read:organization": lambda: forge.is_member(ORGANISATION, MEMBER),
    }
    with pytest.raises(ServiceRefused) as caught:
        calls.pop(missing)()
    assert caught.value.status == 403
    for call in calls.values():
        call()


def test_tokens_of_others_are_refused(real: RealForge) -> None:
    """A token that is none, and one of a user outside the organisation, get a no that says what is wrong."""
    with pytest.raises(ServiceRefused) as caught:
        client(real, "0" * 40).comment(real.repo, 1)
    assert (caught.value.status, "is the token right" in (caught.value.hint or "")) == (401, True)
    with pytest.raises(ServiceRefused) as caught:
        client(real, real.gitea.token(STRANGER, *SCOPES)).is_member(ORGANISATION, MEMBER)
    assert f"member of {ORGANISATION}" in (caught.value.hint or "")
    with pytest.raises(ServiceRefused) as caught:
        client(real, real.gitea.token(STRANGER, *SCOPES)).set_status(
            real.repo, real.sha, context="ccci/cold", state="success", description="trust me"
        )
    assert caught.value.status == 403


def test_a_webhook_is_signed(real: RealForge) -> None:
    """A new comment is told with the HMAC-SHA256 of the very bytes, the kind of event and a delivery's own id."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.timeout = 60
        hook = real.gitea.webhook(real.repo, f"http://127.0.0.1:{server.server_address[1]}/hook", SECRET)
        number = real.write("!testme", MEMBER)
        server.handle_request()
        real.gitea.ask("DELETE", f"/repos/{real.repo}/hooks/{hook}")
    headers, body = got[0]
    assert headers["X-Gitea-Signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Gitea-Event"] == "issue_comment"
    assert headers["X-Gitea-Delivery"]
    told = json.loads(body)
    assert (told["action"], told["comment"]["id"], told["comment"]["body"]) == ("created", number, "!testme")
    assert (told["is_pull"], told["repository"]["full_name"], told["sender"]["login"]) == (True, real.repo, MEMBER)


def test_a_forge_that_is_away_comes_back(real: RealForge) -> None:
    """A forge that is stopped is down, not a no; started again, it answers the same client."""
    forge, number = client(real), real.write("before", MEMBER)
    real.gitea.stop()
    try:
        with pytest.raises(ServiceDown):
            forge.comment(real.repo, number)
    finally:
        real.gitea.start()
    assert forge.comment(real.repo, number).body == "before"


def test_a_closed_pull_request_is_told(real: RealForge) -> None:
    """A pull request that somebody has closed is not open."""
    real.close_pull()
    assert not client(real).pull_request(real.repo, real.number).open
