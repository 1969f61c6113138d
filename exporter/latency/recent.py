"""One card's last minutes, as admission wants to know them: bounded, and cheap enough for every reading.

- Kept are extremes of trailing windows and the time at which each process was first listed, nothing else.
- The probe's own runs do not count: while one is under way, and for the two seconds that the driver's figures lag
  behind, only what other processes do is taken in. The peak of the last minute, which the reading carries, is not told
  apart; it counts again when it has no own run in it.
- A card that was lost, or had no reading for a while, begins anew: what happened meanwhile is not known.
- How old a process is, is known only from when on it was listed. One that was there before we were is as young as our
  looking. Who only draws does not count: a desktop has a new one with each window, and a server of models is none.
"""

from exporter.accumulators import TrailingMaximum
from exporter.latency.admission import Lately, Limits
from exporter.processes.ours import OURS
from exporter.snapshot import Gpu, GpuProcess
from gpuwarden.catalog import PEAK_WINDOW_SECONDS

_LONGEST_GAP, _INTERVALS = 10.0, 5
_LAG = 2.0


class Recent:
    """Used by one thread at a time; times are a reading's monotonic seconds. ``interval`` is between two readings."""

    def __init__(self, limits: Limits, interval: float) -> None:
        self._limits = limits
        self._longest_gap = max(_LONGEST_GAP, _INTERVALS * interval)
        # Two readings at least, however seldom the card is read.
        self._steady = max(limits.steady, 2 * interval)
        # The driver's samples of a run come with the reading after it, and stand for a window from then on.
        self._peak_forgets = PEAK_WINDOW_SECONDS + _LAG + interval
        self._own = False
        self._own_ended = float("-inf")
        self._begin(None)

    def _begin(self, now: float | None) -> None:
        self._since = now
        self._last = now
        self._busiest = TrailingMaximum(self._limits.quiet)
        self._processes: dict[int, float] = {}
        self._own_child = False
        self._begin_memory()

    def _begin_memory(self) -> None:
        self._memory_since: float | None = None
        self._most, self._least = TrailingMaximum(self._steady), TrailingMaximum(self._steady)

    def own_run(self, *, under_way: bool, now: float) -> None:
        """A run of ours on this card begins or has ended."""
        self._own = under_way
        if not under_way:
            self._own_ended = now
            self._begin_memory()

    def look(self, gpu: Gpu) -> None:
        """Take a reading in; the same one again does nothing."""
        now = gpu.read_at
        if not gpu.up:
            self._begin(None)
            return
        if self._last is not None and now <= self._last:
            return
        if self._last is None or now - self._last > self._longest_gap:
            self._begin(now)
        self._last = now
        others = processes_of_others(gpu)
        self._own_child = len(others) < len(gpu.processes)
        self._processes = {pid: self._processes.get(pid, now) for pid in who_computes(gpu)}
        if self._own or now - self._own_ended < _LAG:
            self._take_busy(now, most_used(others))
        else:
            self._take_busy(now, gpu.utilization_ratio)
            self._take_memory(now, gpu.memory_used_bytes)
            if now - self._own_ended > self._peak_forgets:
                self._take_busy(now, gpu.utilization_peak_ratio)

    def _take_busy(self, now: float, ratio: float | None) -> None:
        if ratio is not None:
            self._busiest.add(now, ratio)

    def _take_memory(self, now: float, used: float | None) -> None:
        if used is not None:
            self._memory_since = now if self._memory_since is None else self._memory_since
            self._most.add(now, used)
            self._least.add(now, -used)

    def lately(self, now: float) -> Lately:
        """What is known at ``now``."""
        if self._since is None or self._last is None or now - self._last > self._longest_gap:
            return Lately()
        most, least = self._most.at(now), self._least.at(now)
        return Lately(
            watched=now - self._since,
            memory_watched=0.0 if self._memory_since is None else now - self._memory_since,
            youngest=now - max(self._processes.values()) if self._processes else None,
            busiest=self._busiest.at(now),
            moved=None if most is None or least is None else most + least,
            own_child=self._own_child and not self._own,
        )


def processes_of_others(gpu: Gpu) -> list[GpuProcess]:
    """All that are listed but the probe's own."""
    return [process for process in gpu.processes if process.workload != OURS]


def who_computes(gpu: Gpu) -> frozenset[int]:
    """Other processes that compute on the card; where the driver does not tell them apart, all others."""
    if gpu.computing is not None:
        return frozenset(gpu.computing)
    return frozenset(process.pid for process in processes_of_others(gpu))


def most_used(processes: list[GpuProcess]) -> float | None:
    """The highest share of the card's time that one of them has, None where the card does not tell."""
    return max((item.utilization_ratio for item in processes if item.utilization_ratio is not None), default=None)
