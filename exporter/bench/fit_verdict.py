"""Whether a need fits into what is free, and how far one can go: pure, in bytes.

``fits`` leaves at least a tenth of the free memory and 512 MiB: what is left over is needed, for a desktop, a second
program, or for an estimate that is a little low. Less is ``tight``: it may run and may run out of memory. Needs grow
with the batch and the positions, so the largest that fits is found by halving.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from exporter.model_memory.answering import MIB

Verdict = Literal["fits", "tight", "does not fit"]

LEAST_LEFT_BYTES = 512 * MIB
LEAST_LEFT_SHARE = 0.1
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
    roomy = left >= LEAST_LEFT_BYTES and left >= LEAST_LEFT_SHARE * free_bytes
    return Judged("fits" if roomy else "tight", left)


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
