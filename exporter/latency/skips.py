"""What is counted and said of turns that are not used: pure.

A turn that is put off is tried again every few seconds. Each reason that stood in its way counts once for each point of
the schedule's grid that the turn waits across, so that a card that is busy all day has as many skips as it had runs to
lose. The log has a line when a reason is another than the last time.
"""

from collections.abc import Collection
from typing import Generic, TypeVar

from exporter.latency import reasons
from exporter.latency.schedule import Turn

T = TypeVar("T")


class Skips(Generic[T]):
    """By target; used by one thread."""

    def __init__(self) -> None:
        self._last: dict[T, str] = {}
        self._counted: dict[T, set[str]] = {}

    def keep(self, targets: Collection[T]) -> None:
        """These are the targets from now on."""
        self._last = {target: reason for target, reason in self._last.items() if target in targets}
        self._counted = {target: counted for target, counted in self._counted.items() if target in targets}

    def begin(self, turn: Turn[T]) -> tuple[str, int]:
        """A turn is tried: for which reason, and how often, its target lost points of the grid that nobody tried."""
        if not turn.again:
            self._counted.pop(turn.target, None)
            return reasons.MISSED, turn.missed
        if not turn.missed:
            return reasons.MISSED, 0
        self._counted.pop(turn.target, None)
        # The first of them was counted when the turn was put off.
        return self._last.get(turn.target, reasons.MISSED), turn.missed - 1

    def counts(self, target: T, reason: str) -> bool:
        """Whether this reason against the turn that was begun is to be counted."""
        counted = self._counted.setdefault(target, set())
        if reason in counted:
            return False
        counted.add(reason)
        return True

    def is_news(self, target: T, reason: str) -> bool:
        """Whether this reason is another than the last time."""
        before, self._last[target] = self._last.get(target), reason
        return before != reason

    def ran(self, target: T) -> None:
        """Nothing stood in its way."""
        self._last.pop(target, None)
