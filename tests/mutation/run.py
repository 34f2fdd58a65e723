"""Break each guard in a copy of the tree, run the tests that should notice, and write down whether they did.

``make mutate`` runs this. A guard that can be broken without a red test is a test that is missing.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import tomli

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("guards.toml")
REPORT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- guards: begin -->", "<!-- guards: end -->"
COPIES = 2  # side by side
LIMIT = 300.0  # seconds for the tests of one guard
_RED, _GREEN = 1, 0  # pytest's exit codes; any other says that the tests did not run


@attrs.frozen
class Guard:
    """A guard and how to break it.

    Attributes:
        name: what it guards.
        file: where it is.
        old: its text, which is there once.
        new: what takes its place.
        tests: what pytest runs.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@attrs.frozen
class Broken:
    """A guard that was broken: what came of it."""

    guard: Guard
    code: int
    seconds: float
    output: str

    @property
    def noticed(self) -> bool:
        """Whether a test was red."""
        return self.code == _RED

    @property
    def by(self) -> str:
        """The first test that was."""
        lines = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return lines[0].split(" ")[1].partition("[")[0].removeprefix("tests/") if lines else ""


def guards() -> list[Guard]:
    """Read the table."""
    rows = tomli.loads(TABLE.read_text("utf-8"))["guard"]
    return [Guard(r["name"], r["file"], r["old"], r["new"], tuple(r["tests"])) for r in rows]


def copy_tree(to: Path) -> None:
    """Copy what git knows of the tree, as it lies there."""
    listing = subprocess.run(
        ["/usr/bin/env", "git", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in filter(None, listing.split("\0")):
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, target)


def run_tests(tree: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run tests in a copy of the tree, on the code of the copy; return pytest's exit code and output."""
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
    try:
        done = subprocess.run(words, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return -1, f"the tests did not end within {LIMIT:g} s"
    return done.returncode, done.stdout + done.stderr


def break_guard(tree: Path, guard: Guard) -> Broken:
    """Break one guard in a copy, run its tests, and mend it again."""
    path = tree / guard.file
    text = path.read_text("utf-8")
    if text.count(guard.old) != 1:
        raise SystemExit(f"{guard.name}: its text is in {guard.file} {text.count(guard.old)} times, not once")
    start = time.monotonic()
    path.write_text(text.replace(guard.old, guard.new), "utf-8")
    try:
        code, output = run_tests(tree, guard.tests)
    finally:
        path.write_text(text, "utf-8")
    return Broken(guard, code, time.monotonic() - start, output)


def table(broken: list[Broken]) -> str:
    """Return the results as a table in Markdown."""
    rows = [f"| {b.guard.name} | `{b.guard.file}` | {f'`{b.by}`' if b.noticed else '**nobody**'} |" for b in broken]
    return "\n".join(["| guard | in | first red test |", "|---|---|---|", *rows])


def write(broken: list[Broken]) -> None:
    """Put the table in its place in docs/reliability.md; both are made where they are not there yet."""
    text = REPORT.read_text("utf-8") if REPORT.exists() else "# Reliability\n"
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## Guards that were broken on purpose\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    said = (
        f"`make mutate` broke {len(broken)} guards in a copy of the tree, one at a time (the table is in "
        f"`tests/mutation/guards.toml`), and ran the fast tests that should notice. "
        f"{sum(b.noticed for b in broken)} were noticed."
    )
    REPORT.write_text(f"{before}{BEGIN}\n{said}\n\n{table(broken)}\n{END}{after}", "utf-8")


def main() -> int:
    """Break all guards, or those whose name holds a word; 0 if each was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="?", default="", help="only guards whose name holds this")
    parser.add_argument("--no-write", action="store_true", help="leave docs/reliability.md as it is")
    asked = parser.parse_args()
    chosen = [guard for guard in guards() if asked.word in guard.name]
    with tempfile.TemporaryDirectory(prefix="ccci-mutate-") as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(COPIES):
            copy_tree(Path(folder) / str(number))
            trees.put(Path(folder) / str(number))
        everything = tuple(sorted({test for guard in chosen for test in guard.tests}))
        code, output = run_tests(Path(folder) / "0", everything)
        if code != _GREEN:
            sys.stdout.write(f"{output}\nthe tests are not green while everything is whole\n")
            return 2

        def one(guard: Guard) -> Broken:
            tree = trees.get()
            try:
                broken = break_guard(tree, guard)
            finally:
                trees.put(tree)
            said = f"noticed by {broken.by}" if broken.noticed else f"NOT NOTICED (pytest: {broken.code})"
            sys.stdout.write(f"{broken.seconds:6.1f} s  {guard.name}: {said}\n")
            sys.stdout.flush()
            return broken

        with ThreadPoolExecutor(COPIES) as pool:
            broken = list(pool.map(one, chosen))
    if not asked.word and not asked.no_write:
        write(broken)
    missed = [b for b in broken if not b.noticed]
    for each in missed:
        sys.stdout.write(f"\n{each.guard.name}: nobody noticed\n{each.output[-1500:]}\n")
    sys.stdout.write(f"{len(broken) - len(missed)} of {len(broken)} broken guards were noticed\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
