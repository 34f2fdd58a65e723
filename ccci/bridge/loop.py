"""A thread of the bridge that works until it is stopped."""

from __future__ import annotations

import threading


class Loop(threading.Thread):
    """The base of the bridge's threads. They end with the process: what they leave undone is in the queue."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.ending = threading.Event()

    def stop(self) -> None:
        """Ask it to stop after what it is at."""
        self.ending.set()
