"""How clean-ups keep the first cause."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from ccci.engine import session as module
from ccci.engine.session import Session
from ccci.engine.steps import cleaned_up, step
from ccci.errors import CcciError, ConnectionLost, InfrastructureError, RecipeFailed, Stopped
from ccci.events import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def session() -> Iterator[Session]:
    """A session without a host, for what needs none."""
    nothing: Any = None
    made = Session(nothing, nothing, nothing, "20261123t193206-aaaaaa", Stream())
    token = module._current.set(made)
    yield made
    module._current.reset(token)


def failing(error: BaseException, done: list[str] | None = None) -> Callable[[], None]:
    """Return a clean-up that fails."""

    def clean() -> None:
        if done is not None:
            done.append(str(error))
        raise error

    return clean


def test_the_first_error_survives_every_clean_up(session: Session) -> None:
    """Whatever clean-ups do, the error that came first is the one that is raised; theirs are notes beside it."""
    done: list[str] = []
    cleanups = [
        failing(InfrastructureError("second"), done),
        failing(KeyError("third"), done),
        lambda: done.append("4"),
    ]
    with pytest.raises(RecipeFailed, match="first"), cleaned_up(*cleanups):
        raise RecipeFailed("first")
    assert done == ["second", "'third'", "4"]
    assert session.notes == ["clean-up failed: second", "clean-up failed: KeyError: 'third'"]


def test_every_clean_up_is_tried_and_a_failing_one_is_red(session: Session) -> None:
    """Without another error the first of the clean-ups is raised, after all of them were tried."""
    done: list[str] = []
    cleanups = [failing(InfrastructureError("one"), done), failing(InfrastructureError("two"), done)]
    with pytest.raises(InfrastructureError, match="one"), cleaned_up(*cleanups):
        pass
    assert done == ["one", "two"]
    assert session.notes == ["clean-up failed: two"]


def test_a_stop_waits_for_clean_ups(session: Session) -> None:
    """A signal that comes while clean-ups run is raised after the last of them."""
    done: list[str] = []

    def clean() -> None:
        session.stop(signal.SIGTERM)
        done.append("cleaned")

    with pytest.raises(Stopped), cleaned_up(clean, lambda: done.append("both")):
        pass
    assert done == ["cleaned", "both"]


def test_a_step_is_repeated_for_a_lost_connection_only(session: Session) -> None:
    """A lost connection repeats a step, four times at most in all; any other error ends it at once."""
    tries: list[CcciError] = []

    @step("trying")
    def attempt(errors: list[CcciError]) -> int:
        if len(tries) < len(errors):
            tries.append(errors[len(tries)])
            raise tries[-1]
        return len(tries)

    assert attempt([ConnectionLost("a"), ConnectionLost("b"), ConnectionLost("c")]) == 3
    tries.clear()
    with pytest.raises(ConnectionLost, match="d"):
        attempt([ConnectionLost(word) for word in "abcde"])
    tries.clear()
    with pytest.raises(InfrastructureError, match="other"):
        attempt([InfrastructureError("other"), ConnectionLost("a")])
    assert [result.status for result in session.steps] == ["ok", "failed", "failed"]
    assert [result.attempts for result in session.steps] == [4, 4, 1]
