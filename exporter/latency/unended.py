"""Children that not even SIGKILL has ended, and which card each of them still holds.

A process that hangs in a driver call is gone when the driver lets it go, which may be never. Until then a second one on
the same card would hang beside it. The number of such a child is not given to another process before its exit status is
taken in, which happens here alone.
"""

import threading

from exporter.latency.child_process import Child


class Unended:
    """By the card's UUID; empty for what runs on no chosen card. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: list[tuple[str, Child]] = []

    def add(self, uuid: str, child: Child) -> None:
        """Remember it until it is gone."""
        with self._lock:
            self._children.append((uuid, child))

    def pid(self, uuid: str) -> int | None:
        """The process id of one that is still there, or None."""
        with self._lock:
            self._children = [(card, child) for card, child in self._children if child.exit_status is None]
            return next((child.pid for card, child in self._children if card == uuid), None)
