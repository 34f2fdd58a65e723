"""How a function becomes a step, and how clean-ups keep the first cause."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from ccci.engine.session import current
from ccci.errors import CcciError

P = ParamSpec("P")
R = TypeVar("R")


def step(title: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a step of a run: announced, timed, repeated when the connection is lost.

    Args:
        title: what the reader sees while it runs; {0.domain} is the first argument's domain, as in `str.format`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return current().run_step(
                title.format(*args, **kwargs), function.__name__, lambda: function(*args, **kwargs)
            )

        return call

    return decorate


@contextmanager
def cleaned_up(*steps: Callable[[], object]) -> Iterator[None]:
    """Run every clean-up step at the end, whatever happened; the first error is the one that is raised.

    Errors of clean-ups that come after another error are kept beside it, in the session.
    """
    session = current()
    first: BaseException | None = None
    try:
        yield
    except BaseException as error:  # noqa: BLE001  (raised again below)
        first = error
    with session.shielded():
        for clean in steps:
            try:
                clean()
            except BaseException as error:  # noqa: BLE001  (the next clean-up must be tried)
                if first is None:
                    first = error
                else:
                    session.say(f"clean-up failed: {_told(error)}", keep=True)
    first = first or session.stop_pending()
    if first is not None:
        raise first


def _told(error: BaseException) -> str:
    return error.what if isinstance(error, CcciError) else f"{type(error).__name__}: {error}"
