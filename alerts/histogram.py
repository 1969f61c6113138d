"""Counts durations into buckets, as a Prometheus histogram has them."""

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate


class Histogram:
    """How many values were at most each of ``bounds``, which ascend, and how many there were in all."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """What stands on a page: the end of the sample's name, its labels and its value."""
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), accumulate(self._counts), strict=True):
            yield "_bucket", {"le": bound}, count
        yield "_count", {}, sum(self._counts)
        yield "_sum", {}, self._sum
