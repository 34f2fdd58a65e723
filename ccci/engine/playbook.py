"""`@playbook`: one function, run the same by ccci and by plain pyinfra.

Under `pyinfra inventory.py playbooks/quick.py` the decorator queues ONE operation, whose body runs
the playbook; operations called in there run at once, so `if`, `try` and `with` see real results.
Under ccci the same body is called directly.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from typing import Any

import attrs
from pyinfra import context as pyinfra_context
from pyinfra.api import FunctionCommand, Host, State, operation

from ccci import settings as settings_module
from ccci.engine.body import run_body
from ccci.engine.console import console_sink
from ccci.engine.request import Context, make_request, skip_fetch
from ccci.engine.run import Run
from ccci.errors import CcciError
from ccci.events import Stream
from ccci.model.run import Mode, Verdict

_EXECUTED_BY_PYINFRA = (None, "builtins")  # what pyinfra's exec of a deploy file gives, by Python version


@attrs.frozen
class Playbook:
    """A playbook: its name, lane, function, and what it does in one line."""

    name: str
    mode: Mode
    function: Callable[[Run], Verdict]
    summary: str

    def __call__(self, run: Run) -> Verdict:
        """Run it."""
        return self.function(run)


def playbook(mode: Mode) -> Callable[[Callable[[Run], Verdict]], Playbook]:
    """Make a function a playbook of a lane; its name and first docstring line are what users see."""

    def decorate(function: Callable[[Run], Verdict]) -> Playbook:
        made = Playbook(function.__name__, mode, function, (function.__doc__ or "").strip().split("\n")[0])
        if function.__module__ in _EXECUTED_BY_PYINFRA and pyinfra_context.ctx_state.isset():
            _queue(made)
        return made

    return decorate


@operation(is_idempotent=False, _set_in_op=False)
def _played(made: Playbook) -> Generator[FunctionCommand, None, None]:
    yield FunctionCommand(_body, (made,), {})


def _queue(made: Playbook) -> None:
    queue: Any = _played  # its type forgets that `name` is an argument of every operation
    queue(made, name=f"play {made.name}")


def _body(state: State, host: Host, made: Playbook) -> bool:
    """Run a queued playbook; False fails the operation cleanly, without a traceback."""
    stream = Stream()
    stream.attach(console_sink(verbose=False))
    try:
        request = make_request(
            made.name,
            recipe=_data(host, "recipe"),
            ref=_data(host, "ref"),
            stages=_data(host, "stages"),
            skip_fetch=skip_fetch(os.environ) or _data(host, "skip_fetch") in ("1", "True", "true"),
        )
        loaded = settings_module.load()
    except CcciError as error:
        print_error(error)
        return False
    return run_body(made, state, host, Context(loaded, request), stream).passed


def _data(host: Host, key: str) -> str:
    """Return `--data key=…` as text: pyinfra turns 1.10 into a float, so quote what looks like a number."""
    value: Any = host.data.get(key)
    return "" if value is None else str(value)


def print_error(error: CcciError) -> None:
    """Say an error on standard error: what, then how to go on."""
    sys.stderr.write(f"ccci: {error.what}\n" + (f"      {error.hint}\n" if error.hint else ""))
