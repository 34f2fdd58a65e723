"""Facts about the results that runs have left on the host."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import PurePosixPath

from pyinfra.api import StringCommand
from typing_extensions import override

from ccci import paths
from ccci.commands.results import collect
from ccci.facts.base import HostFact


class StoredResults(HostFact[dict[str, str]]):
    """The texts of result.json of the newest runs, by run id, newest first."""

    @override
    def command(self, newest: int, containing: str = "") -> StringCommand:
        """Args: newest: how many at most; containing: only those that hold this text."""
        return self.shell(collect(paths.RUNS, "result.json", newest=newest, containing=containing))

    @override
    def parse(self, lines: list[str]) -> dict[str, str]:
        return _texts("".join(lines))


def _texts(packed: str) -> dict[str, str]:
    """Return the files of a gzipped tar in base64, by their folder's name; bytes that are no UTF-8 are replaced."""
    found: dict[str, str] = {}
    if not packed:
        return found
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed, validate=True)), mode="r:gz") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    found[PurePosixPath(member.name).parent.name] = file.read().decode("utf-8", "replace")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(str(error)) from error
    return found
