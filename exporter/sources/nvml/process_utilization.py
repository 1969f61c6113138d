"""The share of a card's time that each of its processes uses, from the driver's buffer of samples.

The driver keeps samples of processes that did something and hands out those newer than a given moment; a process
without one has done nothing since then. Asked more often than it samples it has nothing new, though the process works
on: a sample therefore stands for two seconds. Traps, all seen on real drivers:

- "Nothing new" is an error code (NOT_FOUND), and a success without samples reaches us as error 0. The number of
  samples may grow between the two calls that a list takes (INSUFFICIENT_SIZE); the next reading has them.
- Rows of pid 0, rows beyond 100 % and rows with a time that cannot be are garbage.
- Asked for everything since 0, some drivers answer with what their buffer held before it was written to.
- From Blackwell on, only the second form of the call is there (drivers from 550). In MIG mode there is none.
"""

import time
from collections.abc import Callable, Iterable

from exporter.sources.nvml.device import Device, UtilizationSample
from exporter.sources.nvml.support import Field, Support, Value

_MICROSECOND = 1_000_000
_STANDS = 2.0
_CLOCKS_MAY_DIFFER = 60 * _MICROSECOND
_ALL = 100


_ANSWERED = (Value("process_utilization", None),)


def possible(samples: Iterable[UtilizationSample], since: int, now: int) -> list[UtilizationSample]:
    """The samples that can be ones, oldest first; ``since`` and ``now`` in microseconds since 1970."""
    latest = now + _CLOCKS_MAY_DIFFER
    fit = (item for item in samples if item.pid > 0 and 0 <= item.percent <= _ALL and since < item.at <= latest)
    return sorted(fit, key=lambda sample: sample.at)


class ProcessUtilization:
    """The samples of one card; used by one thread at a time. ``wall`` is the clock of the driver's samples."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._since = self._asked_at = 0
        self._new: list[UtilizationSample] = []
        self._latest: dict[int, tuple[float, float]] = {}
        self._field = Field("process utilization", (self._by_process_call, self._by_processes_call))

    def read(self, device: Device, support: Support, now: float) -> dict[int, float] | None:
        """Shares of time by pid at ``now`` (monotonic seconds), None where the card does not tell.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        wall = int(self._wall() * _MICROSECOND)
        if not self._since or wall < self._asked_at:  # at first, and when the clock was set back
            self._since = wall - int(_STANDS * _MICROSECOND)
        if not support.read(self._field, device):
            self._latest.clear()
            return None
        self._asked_at = wall
        for sample in possible(self._new, self._since, wall):
            self._latest[sample.pid] = now, sample.percent / 100
            # One sample that is dated ahead must not hide all that come until then.
            self._since = min(sample.at, wall)
        self._latest = {pid: item for pid, item in self._latest.items() if now - item[0] < _STANDS}
        return {pid: ratio for pid, (_, ratio) in self._latest.items()}

    def _by_process_call(self, device: Device) -> tuple[Value, ...]:
        self._new = device.process_utilization(self._since)
        return _ANSWERED

    def _by_processes_call(self, device: Device) -> tuple[Value, ...]:
        self._new = device.processes_utilization(self._since)
        return _ANSWERED
