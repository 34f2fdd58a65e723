"""`python -m ccci.lab`: the same verbs as `ccci lab`."""

from __future__ import annotations

from ccci.cli.lab import lab

if __name__ == "__main__":
    lab(prog_name="ccci lab")
