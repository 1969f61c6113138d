"""When each target is due: a fixed grid, so that a late run delays no later one; pure.

The targets are spread over the interval, and each moment is moved by a little that is drawn anew: what happens on the
minute in somebody's crontab must not meet every run. A grid point that went by unused is not caught up on; it is
counted. The first runs come within the first interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Point:
    grid: float
    due: float


class Schedule(Generic[T]):
    """Times in monotonic seconds; ``jitter`` draws seconds, less than an interval."""

    def __init__(self, begin: float, interval: float, jitter: Callable[[], float]) -> None:
        self._begin = begin
        self._interval = interval
        self._jitter = jitter
        self._points: dict[T, _Point] = {}

    def follow(self, targets: Sequence[T], now: float) -> None:
        """These are the targets from now on."""
        known, self._points = self._points, {}
        for number, target in enumerate(targets):
            self._points[target] = known.get(target) or self._place(self._interval * number / len(targets), now)

    def _place(self, offset: float, now: float) -> _Point:
        grid = self._begin + offset
        if grid < now:
            grid += self._interval * (1 + (now - grid) // self._interval)
        return self._point(grid)

    def _point(self, grid: float) -> _Point:
        return _Point(grid, grid + self._jitter())

    def take(self, now: float) -> tuple[T, int] | None:
        """The target that is due for longest, with how many of its grid points went by unused; None when none is."""
        target = min(self._points, key=lambda each: self._points[each].due, default=None)
        if target is None or self._points[target].due > now:
            return None
        grid = self._points[target].grid
        missed = max(0, int((now - grid) // self._interval))
        self._points[target] = self._point(grid + (missed + 1) * self._interval)
        return target, missed

    def seconds_left(self, now: float) -> float:
        """Until the next is due, infinite where there is none."""
        return max(0.0, min((point.due for point in self._points.values()), default=float("inf")) - now)
