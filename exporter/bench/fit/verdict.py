"""Whether a need fits into what is free, and how far one can go: pure, in bytes.

``fits`` leaves the margin (exporter/model_memory/margin.py) of the free memory. Less is ``tight``: it may run and may
run out of memory. Needs grow with the batch and the positions, so the largest that fits is found by halving.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from exporter.model_memory.margin import margin

Verdict = Literal["fits", "tight", "does not fit"]

MOST = 2**24
"""Beyond this nobody asks: "that many or more"."""


@dataclass(frozen=True, slots=True)
class Judged:
    """``left_bytes`` is negative by what is missing."""

    verdict: Verdict
    left_bytes: int


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest count that fits, and the largest that is at least tight; 0: not even one."""

    fits: int
    tight: int


def judge(need_bytes: int, free_bytes: int) -> Judged:
    """The verdict on one need."""
    left = free_bytes - need_bytes
    if left < 0:
        return Judged("does not fit", left)
    return Judged("fits" if left >= margin(free_bytes) else "tight", left)


def largest(need: Callable[[int], int], free_bytes: int, most: int = MOST) -> Largest:
    """The largest counts up to ``most``; ``need`` gives the bytes of a count and never falls."""
    return Largest(
        _last(lambda count: judge(need(count), free_bytes).verdict == "fits", most),
        _last(lambda count: judge(need(count), free_bytes).left_bytes >= 0, most),
    )


def _last(holds: Callable[[int], bool], most: int) -> int:
    """The last count from 1 to ``most`` for which ``holds``, 0 when it does not even for 1."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
