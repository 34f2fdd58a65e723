"""Lines of the audit log on a host: who changed what, when, in which run. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

import attrs

from ccci.errors import CcciError
from ccci.model import codec


@attrs.frozen
class Entry:
    """One change of a host.

    Attributes:
        at: UTC, ISO 8601, seconds, by the clock of the machine that ccci ran on.
        run: the run's id; an operator's verb has one, too.
        n: the entry's number within its run, from 1.
        who: user, machine and process.
        playbook: the playbook, or the verb of an operator.
        app: the domain of the app that was changed; empty for what belongs to none, such as a recipe's clone.
        step: the step, in the words of the run's log.
        operation: what was done, by the name of ccci's operation.
    """

    at: str
    run: str
    n: int
    who: str
    playbook: str
    app: str
    step: str
    operation: str

    def line(self) -> str:
        """Return the entry as one line of JSON."""
        return json.dumps(codec.to_data(self), ensure_ascii=True)


def read_entries(text: str) -> tuple[list[Entry], int]:
    """Read an audit log.

    Args:
        text: its lines; one entry may be there several times.

    Returns:
        The entries, each once, in the order of the log; and how many lines could not be read.
    """
    entries: dict[tuple[str, int], Entry] = {}
    bad = 0
    for line in filter(None, text.splitlines()):
        try:
            entry = codec.load(Entry, line, where="audit.log")
        except CcciError:
            bad += 1
        else:
            entries.setdefault((entry.run, entry.n), entry)
    return list(entries.values()), bad


def chosen(entries: Iterable[Entry], *, run: str = "", app: str = "", last: int = 0) -> list[Entry]:
    """Return the entries of a run whose id begins like `run`, of an app, and of those the last; 0 means all."""
    found = [e for e in entries if e.run.startswith(run) and (not app or app in (e.app, e.app.partition(".")[0]))]
    return found[-last:] if last else found
