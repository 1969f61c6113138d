"""A bounded record of one series: the lowest and the highest reading of each step of time.

It begins with short steps, so that minutes after a start there is something to show. When it is full, two steps become
one, until a step has its final length; from then on the oldest go.
"""

import math
from array import array
from collections.abc import Callable, Iterable

from alerts.evidence.points import Points

STEPS = 140
STEP_SECONDS = 30.0
"""Final length of a step: the ring then holds an hour and ten minutes."""
_DOUBLINGS = 3


class Ring:
    """Takes readings in the order of time."""

    __slots__ = ("_first", "_numbers", "_step")

    def __init__(self) -> None:
        self._step = STEP_SECONDS / 2**_DOUBLINGS
        self._first = 0
        """The number of the oldest step, counted from the beginning of 1970."""
        self._numbers = array("f")
        """Lowest and highest of each step, in turns; NaN where nothing was read."""

    def add(self, at: float, value: float) -> None:
        """Take one finite reading at ``at`` (Unix seconds); what is older than the last step counts for that."""
        if not self._numbers:
            self._first = int(at // self._step)
        while (behind := int(at // self._step) - self._first - STEPS + 1) > 0 and self._step < STEP_SECONDS:
            self._halve()
        if behind > 0:
            del self._numbers[: 2 * behind]
            self._first += behind
        missing = int(at // self._step) - self._first - len(self._numbers) // 2 + 1
        if missing > 0:
            self._numbers.extend([math.nan] * (2 * missing))
        low, high = self._numbers[-2:]
        self._numbers[-2] = value if math.isnan(low) else min(low, value)
        self._numbers[-1] = value if math.isnan(high) else max(high, value)

    @property
    def ends_at(self) -> float:
        """The end of the last step, in Unix seconds."""
        return (self._first + len(self._numbers) // 2) * self._step

    def points(self, worst: Callable[[Iterable[float]], float]) -> Points:
        """The ``worst`` reading of each step, at the step's end."""
        numbers, steps = self._numbers, range(len(self._numbers) // 2)
        found = [(step, worst(numbers[2 * step : 2 * step + 2])) for step in steps if not math.isnan(numbers[2 * step])]
        times = tuple((self._first + step + 1) * self._step for step, _ in found)
        return Points(times, tuple(value for _, value in found), self._step)

    def _halve(self) -> None:
        """Make one step of two, those of an even number and the one after it."""
        numbers, first = self._numbers, self._first
        if first % 2:
            numbers = array("f", [math.nan, math.nan]) + numbers
        merged = array("f")
        for index in range(0, len(numbers), 4):
            known = [value for value in numbers[index : index + 4] if not math.isnan(value)]
            merged.extend((min(known), max(known)) if known else (math.nan, math.nan))
        self._numbers, self._first, self._step = merged, first // 2, self._step * 2
