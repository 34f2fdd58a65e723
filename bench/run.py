"""The benchmark's program: measure, print, write docs/benchmarks.md. gevent's patch comes first."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import attrs  # noqa: E402
import click  # noqa: E402

from bench import bridge, gate, latency, quick, volumes  # noqa: E402
from bench.figures import Section, markdown, replaced, terminal  # noqa: E402
from bench.target import Target, lab, machine  # noqa: E402
from ccci.cli.main import say_error  # noqa: E402
from ccci.errors import CcciError  # noqa: E402

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
PARTS = ("operation", "quick", "archives", "forks", "gate", "lab", "bridge")


@attrs.frozen
class Runs:
    """How often each thing is measured."""

    operation: int = 200
    quick: int = 5
    archives: int = 5
    forks: int = 5
    gate: int = 20
    lab: int = 5
    bridge: int = 3
    archived: tuple[int, ...] = (100, 1000)  # MB
    forked: tuple[int, ...] = (1, 100, 1000)  # MB


FEW = Runs(operation=30, quick=1, archives=2, forks=2, gate=5, lab=1, bridge=1, archived=(100,), forked=(1, 100))


def measure(target: Target, runs: Runs, parts: frozenset[str]) -> list[Section]:
    """Measure the parts that were asked for, and print each as it is done."""
    made = sorted({*runs.archived, *runs.forked}) if parts & {"archives", "forks"} else []
    calls: dict[str, Callable[[], Section]] = {
        "operation": lambda: latency.measure(target, runs.operation),
        "quick": lambda: quick.measure(target, runs.quick),
        "archives": lambda: volumes.archives(target, runs.archived, runs.archives),
        "forks": lambda: volumes.forks(target, runs.forked, runs.forks),
        "gate": lambda: gate.measure(target, runs.gate),
        "lab": lambda: gate.lab_up(runs.lab),
        "bridge": lambda: bridge.measure(runs.bridge),
    }
    sections = []
    try:
        volumes.fill(target, made)
        for name in PARTS:
            if name in parts:
                sections.append(calls[name]())
                click.echo(terminal(sections[-1]) + "\n")
    finally:
        volumes.empty(target)
    return sections


@click.command()
@click.option("--few", is_flag=True, help="Measure a few times only, and write nothing.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this, and write nothing.")
def main(few: bool, parts: tuple[str, ...]) -> None:
    """Measure on a lab of the benchmark's own and write the figures into docs/benchmarks.md."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else nothing is cleaned up
    try:
        with lab() as target:
            about = machine(target)
            sections = measure(target, FEW if few else Runs(), frozenset(parts or PARTS))
    except CcciError as error:
        say_error(error)
        sys.exit(error.exit_code)
    if not few and not parts:
        DOCUMENT.write_text(replaced(DOCUMENT.read_text("utf-8"), markdown(sections, about)), encoding="utf-8")
        click.echo("written: docs/benchmarks.md")
    for series in (s for section in sections for s in section.series if not s.met):
        click.echo(f"MISSED: {series.name}: {series.median:.2f} {series.unit}, aim {series.aim:g}")


if __name__ == "__main__":
    main()
