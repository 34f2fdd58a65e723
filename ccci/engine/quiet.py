"""Keep pyinfra's own voice down: ccci tells the story itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyinfra import logger
from typing_extensions import override


def quiet(*, verbose: Callable[[str], None] | None = None) -> None:
    """Send pyinfra's log lines nowhere, or to `verbose`."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = False
    logger.addHandler(logging.NullHandler() if verbose is None else _Handler(verbose))
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class _Handler(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.tell = tell

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record's text on."""
        self.tell(record.getMessage())


def silence_output() -> Any:
    """Stop pyinfra from echoing command output on standard error."""
    from pyinfra.api import output  # noqa: PLC0415

    output.set_echo(lambda *_, **__: None)
