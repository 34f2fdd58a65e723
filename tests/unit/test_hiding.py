"""What a run knows to be secret is in nothing that it says, writes or returns."""

from __future__ import annotations

import base64
from urllib.parse import quote

import attrs
import pytest

from ccci.engine.console import log_sink
from ccci.events import Note, Output, RunEnded, StageEnded, StepEnded, Stream, Waiting
from ccci.model import codec
from ccci.model.redact import MARK, named_secret, without
from ccci.model.run import StageResult, StageStatus, StepResult, TestCase
from tests.unit.test_results import RESULT

HIDDEN = "hunter2/&swordfish"
FORMS = (HIDDEN, quote(HIDDEN, safe=""), base64.b64encode(HIDDEN.encode()).decode())


@pytest.mark.parametrize("form", FORMS)
def test_no_sink_sees_what_is_hidden(form: str) -> None:
    """Whatever event quotes a secret, in its plain form, base64 or an URL, neither the log nor a sink has it."""
    stream, log, seen = Stream(), list[str](), list[str]()
    stream.attach(log_sink(log))
    stream.attach(lambda _, event: seen.append(repr(event)))
    stream.hide([HIDDEN])
    text = f"password is {form}!"
    stage = StageResult("custom", StageStatus.FAIL, 1.0, [TestCase("t", StageStatus.FAIL, 0.1, text)], text)
    result = attrs.evolve(RESULT, reason=text, hint=text, detail=text, notes=[text], stages=[stage])
    step = StepResult(text, "deploy", "failed", 0.1, 1)
    for event in (Note(text), Output(text), Waiting(text), StageEnded(stage), StepEnded(step, text), RunEnded(result)):
        stream.send(event)
    assert len(seen) == 6
    for said in [*log, *seen, codec.dump(stream.cleaned(result))]:
        assert form.rstrip("=") not in said
    assert all(MARK in said for said in seen)
    assert stream.cleaned(result).verdict is RESULT.verdict


def test_what_is_no_secret_stays() -> None:
    """Without secrets a value is itself; a short one is no secret, for it would be found in every word."""
    assert without(RESULT, []) is RESULT
    assert without(RESULT, ["a", "1.11"]) == RESULT


def test_names_tell_secrets_of_an_env_file() -> None:
    """Passwords, tokens and keys count; names of versions and files, which recipes have many of, do not."""
    env = {"SMTP_PASSWORD": "p", "API_KEY": "k", "GITEA_TOKEN": "t", "SECRET_DB_PASSWORD_VERSION": "v1", "DOMAIN": "d"}
    assert named_secret({**env, "DB_PASSWORD_FILE": "/run/secrets/x", "COMPOSE_FILE": "c"}) == ["p", "k", "t"]
