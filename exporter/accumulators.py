"""Pure: what of one card needs memory between two readings. It outlives the card's handles and the driver's restarts.

- Peaks: the highest reading of a trailing window, from every reading and from the driver's own samples between them.
- Energy: integrated from power where the card has no counter, by the trapezium of two readings. Across a gap longer
  than ``_LONGEST_STEP`` nothing is known and nothing is added. It goes on from what an earlier run came to.
- Throttled time: where the card does not count it, the time between two readings counts for each reason of the first.
- Counters that the driver keeps in 32 bits go on counting when they start again from 0. A counter that falls from
  anywhere else was set back, with the driver or the card, and is published as it is: readers know how to take that.
- The link's width at work: the widest of the last ``_LINK_SECONDS``. A card that waits for its narrow link, or works
  now and then, has many readings without work, and must not lose its width with each. It counts where two readings in
  a row saw work: utilization is of the time before a reading and the width of its moment, so after one short job the
  link may be at rest again. One wide reading acquits: a bad contact never has all lanes.
- Idle memory: how long the card has done no work while much memory was held.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from gpuwarden.catalog import PEAK_WINDOW_SECONDS

_PEAKS = {
    "memory_used_bytes": "memory_used_peak_bytes",
    "memory_used_ratio": "memory_used_peak_ratio",
    "utilization_ratio": "utilization_peak_ratio",
    "power_watts": "power_peak_watts",
    "temperature_celsius": "temperature_peak_celsius",
}
_WRAPPING = {
    "pcie_received_bytes_total": 1,
    "pcie_transmitted_bytes_total": 1,
    "pcie_replays_total": 1,
    "nvlink_received_bytes_total": 1024,
    "nvlink_transmitted_bytes_total": 1024,
}
"""Counters and the unit that the driver counts them in, in the catalog's unit."""
_WORD = 2**32
_LONGEST_STEP = 10.0
_LINK_SECONDS = 600.0
_WIDTH = "pcie_link_width_ratio"
MUCH_MEMORY_BYTES = 512 * 2**20
"""Less is what a desktop or the driver's own context holds."""


class TrailingMaximum:
    """The highest of the values of the last ``window`` seconds; keeps only those that can still become it."""

    def __init__(self, window: float = PEAK_WINDOW_SECONDS) -> None:
        self._window = window
        self._candidates: deque[tuple[float, float]] = deque()

    def add(self, at: float, value: float) -> None:
        """Take a value in; times (monotonic seconds) do not fall."""
        while self._candidates and self._candidates[-1][1] <= value:
            self._candidates.pop()
        self._candidates.append((at, value))

    def at(self, now: float) -> float | None:
        """The maximum of the window that ends at ``now``, None without a value in it."""
        while self._candidates and self._candidates[0][0] < now - self._window:
            self._candidates.popleft()
        return self._candidates[0][1] if self._candidates else None


class Unwrapped:
    """A counter whose source starts again from 0 after 32 bits."""

    def __init__(self, unit: int) -> None:
        self._word = _WORD * unit
        self._last: float | None = None
        self._added = 0.0

    def value(self, raw: float) -> float:
        """The counter as it would stand without the limit."""
        if self._last is not None and raw < self._last:
            wrapped = self._last > 0.75 * self._word and raw < 0.25 * self._word and self._last < self._word
            self._added = self._added + self._word if wrapped else 0.0
        self._last = raw
        return raw + self._added


class Accumulators:
    """One card's memory; used by one thread at a time."""

    def __init__(self, energy_joules: float | None = None) -> None:
        self._peaks = {name: TrailingMaximum() for name in _PEAKS}
        self._counters = {name: Unwrapped(unit) for name, unit in _WRAPPING.items()}
        self._energy = energy_joules or 0.0
        self._kept: float | None = self._energy
        self._published = self._energy
        self._integrates = False
        self._throttled: dict[str, float] = {}
        self._worked_at: float | None = None
        self._link = TrailingMaximum(_LINK_SECONDS)
        self._before: tuple[float, Mapping[str, Any]] | None = None

    @property
    def energy_joules(self) -> float | None:
        """What the energy has been integrated to, None for a card that counts it itself."""
        return self._energy if self._integrates else None

    def keep(self, joules: float | None) -> None:
        """Publish the integrated energy as far as it has been kept for the next run; None when it is not kept."""
        self._kept = joules

    def update(self, found: Mapping[str, Any], between: Mapping[str, float], now: float) -> dict[str, Any]:
        """What is to be added to, or put in place of, a reading's attributes.

        ``between`` is the highest that the driver's own samples came to since the last reading, by attribute.
        """
        step = self._step(now)
        made = {
            **self._highest(found, between, now),
            **{name: counter.value(found[name]) for name, counter in self._counters.items() if name in found},
            **self._energy_of(found, step),
            **self._throttle_of(found, step),
            **self._idle_of(found, between, now),
            **self._link_of(found, step, now),
        }
        self._before = now, found
        return made

    def _step(self, now: float) -> float:
        """Seconds since the last reading, 0 where they say nothing."""
        took = now - self._before[0] if self._before else 0.0
        return took if 0 < took <= _LONGEST_STEP else 0.0

    def _highest(self, found: Mapping[str, Any], between: Mapping[str, float], now: float) -> dict[str, float]:
        made: dict[str, float] = {}
        for name, peak in self._peaks.items():
            for value in (between.get(name), found.get(name)):
                if value is not None:
                    peak.add(now, value)
            highest = peak.at(now)
            if highest is not None and name in found:
                made[_PEAKS[name]] = highest
        return made

    def _energy_of(self, found: Mapping[str, Any], step: float) -> dict[str, float]:
        if "energy_joules_total" in found:
            self._integrates = False
            return {"energy_integrated": 0.0}
        power, before = found.get("power_watts"), self._before[1].get("power_watts") if self._before else None
        if power is None:
            return {}
        self._integrates = True
        if before is not None:
            self._energy += step * (before + power) / 2
        # Never below what was published: a file that can be kept again stands a moment behind.
        self._published = max(self._published, self._energy if self._kept is None else self._kept)
        return {"energy_joules_total": self._published, "energy_integrated": 1.0}

    def _throttle_of(self, found: Mapping[str, Any], step: float) -> dict[str, dict[str, float]]:
        reasons: Mapping[str, float] = found.get("throttled", {})
        counted: Mapping[str, float] = found.get("throttle_seconds_total", {})
        before: Mapping[str, float] = self._before[1].get("throttled", {}) if self._before else {}
        for reason in reasons:
            self._throttled[reason] = self._throttled.get(reason, 0.0) + step * before.get(reason, 0.0)
        own = {reason: self._throttled[reason] for reason in reasons if reason not in counted}
        return {"throttle_seconds_total": {**own, **counted}} if own or counted else {}

    def _idle_of(self, found: Mapping[str, Any], between: Mapping[str, float], now: float) -> dict[str, float]:
        used, utilization = found.get("memory_used_bytes"), found.get("utilization_ratio")
        if used is None or utilization is None:
            return {}
        works = utilization > 0 or between.get("utilization_ratio", 0.0) > 0
        if works or used < MUCH_MEMORY_BYTES or self._worked_at is None:
            self._worked_at = now
        return {"idle_memory_held_seconds": now - self._worked_at}

    def _link_of(self, found: Mapping[str, Any], step: float, now: float) -> dict[str, float]:
        width, before = _width_at_work(found), _width_at_work(self._before[1]) if self._before and step else None
        if width is not None and before is not None:
            self._link.add(now, max(before, width))
        widest = self._link.at(now)
        return {} if widest is None or _WIDTH not in found else {"pcie_link_width_working_ratio": widest}


def _width_at_work(found: Mapping[str, Any]) -> float | None:
    return found.get(_WIDTH) if found.get("utilization_ratio", 0) > 0 else None
