"""Figures: series of measurements, tables of them on a terminal and in Markdown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import attrs

BEGIN = "<!-- figures: begin (written by `make bench`) -->"
END = "<!-- figures: end -->"
_HEAD = ("what", "runs", "min", "median", "max", "aim")


@attrs.define
class Series:
    """Measurements of one thing.

    Attributes:
        name: what was measured, in the reader's words.
        unit: s, ms, MB/s, or x for a ratio.
        aim: what the median should be at most; None where it is there to compare with.
        values: the measurements, in order.
    """

    name: str
    unit: str = "s"
    aim: float | None = None
    values: list[float] = attrs.field(factory=list)

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the aim is met, or there is none."""
        return self.aim is None or self.median <= self.aim

    def row(self) -> tuple[str, ...]:
        """Return the cells of the series' row."""
        values = (min(self.values), self.median, max(self.values))
        aim = "" if self.aim is None else f"{self.aim:g} {self.unit}: {'met' if self.met else 'MISSED'}"
        return (self.name, str(len(self.values)), *(_shown(value, self.unit) for value in values), aim)


@attrs.define
class Section:
    """One subject: how it was measured, its series, and what else there is to say."""

    title: str
    how: str
    series: list[Series] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)


def _shown(value: float, unit: str) -> str:
    """Show three digits, the least that tell two figures apart."""
    whole = len(f"{abs(value):.0f}")
    return f"{value:.{max(3 - whole, 0)}f} {unit}"


def ratio(name: str, over: Series, under: Series, *, aim: float | None = None) -> Series:
    """Return the ratios of two series that were measured in turn, pair by pair."""
    pairs = zip(over.values, under.values, strict=True)
    return Series(name, "x", aim, [first / second for first, second in pairs])


def difference(name: str, more: Series, less: Series, *, aim: float | None = None) -> Series:
    """Return the differences of two series that were measured in turn, pair by pair."""
    pairs = zip(more.values, less.values, strict=True)
    return Series(name, more.unit, aim, [first - second for first, second in pairs])


def terminal(section: Section) -> str:
    """Return a section as a table for a terminal."""
    rows = [_HEAD, *(series.row() for series in section.series)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [section.title]
    for row in rows:
        first, *rest = (
            cell.ljust(width) if i in {0, 5} else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([f"  {first}", *rest]).rstrip())
    return "\n".join([*lines, *(f"  {note}" for note in section.notes)])


def markdown(sections: Sequence[Section], machine: Sequence[str]) -> str:
    """Return everything as the part of docs/benchmarks.md between the markers, markers and all."""
    return "\n".join([BEGIN, "", *_wrapped(machine), *(line for s in sections for line in _section(s)), END])


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"- {line}" for line in lines)
    yield ""


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "", section.how, "")
    yield "| " + " | ".join(_HEAD) + " |"
    yield "|---|--:|--:|--:|--:|---|"
    yield from ("| " + " | ".join(series.row()) + " |" for series in section.series)
    yield ""
    if section.notes:
        yield from _wrapped(section.notes)


def replaced(text: str, part: str) -> str:
    """Return a document with the part between the markers replaced.

    Raises:
        ValueError: the markers are not there, once and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the markers {BEGIN!r} and {END!r} must stand there once, in this order")
    return before + part + after
