"""How long something takes, said so that it can be compared.

A CUDA call returns before the card has done it: the clock is read only when the card is idle. The first call pays for
loading kernels and growing the allocator: it is a figure of its own. A card that slept needs some 100 ms to reach its
clock: so the warm-up goes by count AND by time. A budget counts from before the cold call and is for all of it; what it
leaves no time for is left out, warm-up first, but one iteration is always timed. 64 iterations carry a median and a
90th percentile, not a 99th; with fewer, as after a spent budget, there is no p90. Two runs beside each other are
measured for a time instead, from a moment at which both are warm.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FEWEST_FOR_P90 = 64


@dataclass(frozen=True)
class Plan:
    """How often; with ``run_seconds``, how long instead. 0 ``budget_seconds`` mean no limit."""

    iterations: int = FEWEST_FOR_P90
    warmup_iterations: int = 3
    warmup_seconds: float = 0.3
    budget_seconds: float = 0.0
    run_seconds: float = 0.0


class Budget:
    """Time that begins to run when this is made; 0 seconds mean no limit."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._seconds, self._clock = seconds, clock
        self._began = clock()

    @property
    def spent(self) -> bool:
        """Whether nothing further is to be begun."""
        return 0 < self._seconds <= self._clock() - self._began


@dataclass(frozen=True)
class Stopwatch:
    """Times calls between two moments at which the device is idle."""

    synchronise: Callable[[], object]
    clock: Callable[[], float] = time.perf_counter

    def seconds(self, call: Callable[[], object]) -> float:
        """How long ``call`` takes until all its work is done."""
        self.synchronise()
        began = self.clock()
        call()
        self.synchronise()
        return self.clock() - began


@dataclass(frozen=True)
class Timed:
    """What was found."""

    cold_seconds: float
    warmup_iterations: int
    seconds: Sequence[float]

    def figures(self, name: str) -> dict[str, float | int | None]:
        """As keys of a result, all beginning with ``name``."""
        return {
            f"{name}_cold_seconds": self.cold_seconds,
            f"{name}_p50_seconds": statistics.median(self.seconds),
            f"{name}_p90_seconds": p90(self.seconds),
            f"{name}_iterations": len(self.seconds),
            f"{name}_warmup_iterations": self.warmup_iterations,
        }


def warm_up(call: Callable[[], object], stopwatch: Stopwatch, plan: Plan, budget: Budget) -> int:
    """Call until both the count and the time are reached, or the budget is spent; how often that was."""
    count, seconds = 0, 0.0
    while (count < plan.warmup_iterations or seconds < plan.warmup_seconds) and not budget.spent:
        seconds += stopwatch.seconds(call)
        count += 1
    return count


def measure(call: Callable[[], object], stopwatch: Stopwatch, plan: Plan, ready: Callable[[], object] = int) -> Timed:
    """A cold call, a warm-up, then the iterations that count, at least one; ``ready`` is called before these."""
    budget = Budget(plan.budget_seconds, stopwatch.clock)
    cold = stopwatch.seconds(call)
    warmed = warm_up(call, stopwatch, plan, budget)
    ready()
    until = Budget(plan.run_seconds, stopwatch.clock) if plan.run_seconds else budget
    found: list[float] = [stopwatch.seconds(call)]
    while (plan.run_seconds or len(found) < plan.iterations) and not until.spent:
        found.append(stopwatch.seconds(call))
    return Timed(cold, warmed, tuple(found))


def p90(seconds: Sequence[float]) -> float | None:
    """The 90th percentile by nearest rank, None where there are too few."""
    if len(seconds) < FEWEST_FOR_P90:
        return None
    return sorted(seconds)[math.ceil(0.9 * len(seconds)) - 1]
