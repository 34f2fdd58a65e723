"""What a run writes into the host's audit log: a line for each operation that changes something.

A line travels with the command that makes the change, behind the app's fence. A change without a fence, such as the
fetching of a recipe, is no app's; its line travels with the next command that has one, or at the run's end.
"""

from __future__ import annotations

import attrs

from ccci.commands.lock import Fence
from ccci.model.audit import Entry


@attrs.define
class Audit:
    """The audit lines of one run.

    Attributes:
        waiting: lines that are not on the host yet.
        step: the step that is under way, or empty.
        made: how many lines there were so far.
    """

    waiting: list[str] = attrs.field(factory=list)
    step: str = ""
    made: int = 0

    def line(self, entry: Entry) -> str:
        """Return the line for an operation that begins now; its number and step are filled in."""
        self.made += 1
        return attrs.evolve(entry, n=self.made, step=self.step).line()

    def noted(self, fence: Fence, line: str) -> Fence:
        """Return the fence whose commands bring this line and those that wait to the host."""
        return attrs.evolve(fence, note="\n".join([*self.waiting, line]))

    def ended(self, line: str, *, changed: bool, fenced: bool) -> None:
        """Remember how an operation ended.

        Args:
            line: its line.
            changed: whether it changed anything, or may have.
            fenced: whether its commands were behind a fence, so that they brought the lines.
        """
        if changed and fenced:
            self.waiting.clear()
        elif changed:
            self.waiting.append(line)
