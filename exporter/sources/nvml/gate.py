"""Keeps the driver from being shut down under a call, and calls from being made to a driver that is down.

A call that hangs cannot be taken back, and ``nvmlShutdown`` beside it may hang or crash. So cards read only inside the
gate; who wants to shut down closes it first and looks whether everybody has come out.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager


class GateClosedError(Exception):
    """The driver is not there to be asked; ``reason`` is one line for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gate:
    """Closed at first; safe to share between threads."""

    def __init__(self, reason: str) -> None:
        self._changed = threading.Condition()
        self._reason: str | None = reason
        self._inside = 0

    @contextmanager
    def passage(self) -> Generator[None]:
        """Stay inside for one reading.

        Raises:
            GateClosedError: at once, when the gate is closed.
        """
        with self._changed:
            if self._reason is not None:
                raise GateClosedError(self._reason)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def open(self) -> None:
        """Let readings in."""
        with self._changed:
            self._reason = None

    def close(self, reason: str) -> None:
        """Let no further reading in."""
        with self._changed:
            self._reason = reason

    def drained(self, timeout: float) -> bool:
        """Wait until nobody is inside; False when somebody still is after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._inside == 0, timeout)


class Backoff:
    """When to try again: at once, then after a pause that doubles up to a limit, until it is reset."""

    def __init__(self, first: float, limit: float) -> None:
        self._first = first
        self._limit = limit
        self._pause = 0.0
        self._due = float("-inf")

    def due(self, now: float) -> bool:
        """True when it is time for the next attempt."""
        return now >= self._due

    def failed(self, now: float) -> None:
        """An attempt at ``now`` (monotonic seconds) failed."""
        self._pause = min(self._limit, self._pause * 2 or self._first)
        self._due = now + self._pause

    def reset(self) -> None:
        """All is well again."""
        self._pause, self._due = 0.0, float("-inf")
