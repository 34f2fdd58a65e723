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
from ccci.engine.run import HostRun
from ccci.errors import CcciError, UsageError
from ccci.events import Stream
from ccci.model.run import Mode, Verdict

_TRUE = ("1", "True", "true")
_EXECUTED_BY_PYINFRA = (None, "builtins")  # what pyinfra's exec of a deploy file gives, by Python version


@attrs.frozen
class Playbook:
    """A playbook.

    Attributes:
        name: the function's.
        mode: what kind of playbook it is.
        function: what it does.
        summary: the same in one line.
        recipe: its recipe, if that is always the same.
        heeds_dry_run: whether it is played in a dry run, too, and sees to it that nothing changes.
        by_group: whether the hosts of a group share its work, each with a process of its own.
    """

    name: str
    mode: Mode
    function: Callable[[Any], Verdict]
    summary: str
    recipe: str = ""
    heeds_dry_run: bool = False
    by_group: bool = False

    def __call__(self, run: HostRun) -> Verdict:
        """Run it."""
        return self.function(run)


def playbook(
    mode: Mode, *, recipe: str = "", heeds_dry_run: bool = False, by_group: bool = False
) -> Callable[[Callable[[Any], Verdict]], Playbook]:
    """Make a function a playbook; its name and first docstring line are what users see.

    Args:
        mode: what kind of playbook it is; one of `Mode.HOST` is given a `HostRun`, all others a `Run`.
        recipe: the one recipe that it is for; else whoever plays it names one.
        heeds_dry_run: whether it asks `run.request.dry_run` itself, and then says what it would do.
        by_group: whether the hosts of a group share its work.
    """

    def decorate(function: Callable[[Any], Verdict]) -> Playbook:
        summary = (function.__doc__ or "").strip().split("\n")[0]
        made = Playbook(function.__name__, mode, function, summary, recipe, heeds_dry_run, by_group)
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
            recipe=recipe_for(made, _data(host, "recipe")),
            ref=_data(host, "ref"),
            pull_request=_data(host, "pr"),
            stages=_data(host, "stages"),
            skip_fetch=skip_fetch(os.environ) or _data(host, "skip_fetch") in _TRUE,
            allow=_data(host, "allow"),
            retry=_data(host, "retry") in _TRUE,
            every=_data(host, "all") in _TRUE,
        )
        loaded = settings_module.load()
    except CcciError as error:
        print_error(error)
        return False
    return run_body(made, state, host, Context(loaded, request), stream).passed


def recipe_for(made: Playbook, named: str | None) -> str:
    """Return the recipe that a playbook is to work on.

    Raises:
        UsageError: it needs one and none is named, or another one is.
    """
    if made.mode is Mode.HOST and named:
        raise UsageError(f"{made.name} works on the host as a whole", hint="leave --recipe out")
    if made.recipe and named and named != made.recipe:
        raise UsageError(f"{made.name} is for {made.recipe}, not for {named}", hint="leave --recipe out")
    if not named and not made.recipe and made.mode is not Mode.HOST:
        raise UsageError(f"which recipe should {made.name} test?", hint="add --recipe R")
    return made.recipe or named or ""


def _data(host: Host, key: str) -> str:
    """Return `--data key=…` as text: pyinfra turns 1.10 into a float, so quote what looks like a number."""
    value: Any = host.data.get(key)
    return "" if value is None else str(value)


def print_error(error: CcciError) -> None:
    """Say an error on standard error: what, then how to go on."""
    sys.stderr.write(f"ccci: {error.what}\n" + (f"      {error.hint}\n" if error.hint else ""))
