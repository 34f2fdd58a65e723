"""The base of ccci's facts: unreadable raises, and is never taken for "nothing there"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pyinfra.api import FactBase, Host, StringCommand
from typing_extensions import override

from ccci.commands.shell import command
from ccci.errors import CommandTimeout, StateUnreadable

_EXIT = "ccci:exit:"
T = TypeVar("T")
UNREAD: Any = object()


class HostFact(FactBase[T]):
    """A fact whose command's exit status is part of the answer.

    Subclasses define `command`, which returns `self.shell(...)`, and `parse`.
    """

    abstract = True

    def shell(self, words: Sequence[str] | str, *, timeout: float = 120.0) -> StringCommand:
        """Return the command that prints what `words` print, then its exit status.

        Args:
            words: an argument list, or shell text from ccci.commands.
            timeout: seconds after which the host ends it.
        """
        inner = command(words, timeout=timeout).get_raw_value()
        return StringCommand(f'{inner}; code=$?; echo; echo "{_EXIT}$code"')

    def parse(self, lines: list[str]) -> T:
        """Turn the printed lines into the value; ValueError, KeyError, TypeError mean unreadable."""
        raise NotImplementedError(type(self).__name__)

    @staticmethod
    @override
    def default() -> T:
        """Return the mark that `read` refuses: ccci's facts have no default."""
        return UNREAD  # type: ignore[no-any-return]

    @override
    def process(self, output: list[str]) -> T:
        """Parse the output.

        Raises:
            StateUnreadable: the command failed or printed something else than it should.
        """
        name = type(self).__name__
        if not output or not output[-1].startswith(_EXIT):
            raise StateUnreadable(f"fact {name}: the answer was cut short", detail="\n".join(output[-5:]))
        lines = output[:-1]
        if lines and not lines[-1]:
            lines.pop()
        code = output[-1].removeprefix(_EXIT)
        if code == "124":
            raise CommandTimeout(f"fact {name}: the command that reads it did not end in its time")
        if code != "0":
            raise StateUnreadable(
                f"fact {name}: the command that reads it ended with exit code {code}",
                hint="`ccci doctor` says what a host needs",
                detail="\n".join(lines[-5:]),
            )
        try:
            return self.parse(lines)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise StateUnreadable(f"fact {name}: not in the expected form: {error!r}") from error


def read(host: Host, fact: type[HostFact[T]], **arguments: Any) -> T:
    """Read a fact now.

    Raises:
        StateUnreadable: it cannot be read.
    """
    value = host.get_fact(fact, **arguments)
    if value is UNREAD:
        raise StateUnreadable(f"fact {fact.__name__}: no answer from {host.name}")
    return value
