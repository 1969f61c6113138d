"""When each target is due: a fixed grid, so that a late run delays no later one; pure.

The targets are spread over the interval, and each moment is moved by a little that is drawn anew: what happens on the
minute in somebody's crontab must not meet every run. A grid point that went by unused is not caught up on; it is
counted. A turn can be put off; whoever has waited longest then comes first, so that where there is not time for all,
each has its part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Point:
    """``since`` is when it was due at first, ``due`` when it may be taken."""

    grid: float
    since: float
    due: float


class Turn(NamedTuple, Generic[T]):
    """``missed`` grid points of the target went by unused; ``again``: it had been put off."""

    target: T
    missed: int
    again: bool


class Schedule(Generic[T]):
    """Times in monotonic seconds; ``jitter`` draws seconds, less than an interval."""

    def __init__(self, begin: float, interval: float, jitter: Callable[[], float]) -> None:
        self._begin = begin
        self._interval = interval
        self._jitter = jitter
        self._points: dict[T, _Point] = {}
        self._taken: dict[T, _Point] = {}

    def follow(self, targets: Sequence[T], now: float) -> None:
        """These are the targets from now on."""
        known, self._points = self._points, {}
        self._taken.clear()
        for number, target in enumerate(targets):
            self._points[target] = known.get(target) or self._place(self._interval * number / len(targets), now)

    def _place(self, offset: float, now: float) -> _Point:
        grid = self._begin + offset
        if grid < now:
            grid += self._interval * (1 + (now - grid) // self._interval)
        return self._point(grid)

    def _point(self, grid: float) -> _Point:
        due = grid + self._jitter()
        return _Point(grid, due, due)

    def take(self, now: float) -> Turn[T] | None:
        """The target that has waited longest of those that are due; None when none is."""
        due = (target for target, point in self._points.items() if point.due <= now)
        target = min(due, key=lambda each: self._points[each].since, default=None)
        if target is None:
            return None
        point = self._points[target]
        missed = max(0, int((now - point.grid) // self._interval))
        grid = point.grid + missed * self._interval
        self._taken[target] = _Point(grid, point.since, point.due)
        self._points[target] = self._point(grid + self._interval)
        return Turn(target, missed, point.due > point.since)

    def put_off(self, target: T, until: float) -> None:
        """The turn that was just taken is not used, and comes again."""
        point = self._taken.pop(target)
        self._points[target] = _Point(point.grid, point.since, until)

    def seconds_left(self, now: float) -> float:
        """Until the next is due, infinite where there is none."""
        return max(0.0, min((point.due for point in self._points.values()), default=float("inf")) - now)
