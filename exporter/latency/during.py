"""What happened on a card while a run was under way: whether its figures are clean, and at which clock they were made.

Contended means that another process worked on the card, that another one came that computes, or that the memory of
the others moved; or, while measuring, that no processor of the host was free: the run steps back for all others, and a
card waits for who starts its kernels. Where the card does not tell its processes, or they cannot be seen from here,
nothing is known: neither contended nor clean. On the processor it means that more was at work than the run's own
threads.
"""

from dataclasses import dataclass, field

from exporter.latency.admission import MOST_MOVED_BYTES
from exporter.latency.recent import most_used, processes_of_others, who_computes
from exporter.snapshot import Gpu, Host

LEAST_WORK = 0.02
"""A desktop that draws its clock is no contention."""
_LEAST_WORK_OF_THE_HOST = 0.25
_NO_PROCESSOR_FREE = 0.95


@dataclass(slots=True)
class During:
    """Used by one thread at a time; ``own_cpu`` is the share of all processors that the run itself may use."""

    own_cpu: float = 0.0
    clocks: dict[str, float] = field(default_factory=dict[str, float])
    """SM clock in hertz at ``start`` and ``end`` of what was measured."""
    throttled: bool | None = None
    contended: bool | None = None
    process_bytes: float | None = None
    """What the run's process holds of the card, the driver says."""
    _measuring: bool = False
    _pids: frozenset[int] | None = None
    _least: float | None = None
    _most: float | None = None

    def look(self, gpu: Gpu) -> None:
        """Take a reading in."""
        if not gpu.up:
            return
        if gpu.throttled:
            self.throttled = bool(self.throttled) or any(gpu.throttled.values())
        if gpu.processes_visible:
            others = processes_of_others(gpu)
            held = sum(process.memory_bytes or 0.0 for process in others)
            self._least = held if self._least is None else min(self._least, held)
            self._most = held if self._most is None else max(self._most, held)
            pids = who_computes(gpu)
            came = self._pids is not None and not pids <= self._pids
            self._pids = pids if self._pids is None else self._pids
            at_work = (most_used(others) or 0.0) > LEAST_WORK
            moved = self._most - self._least > MOST_MOVED_BYTES
            self.contended = bool(self.contended) or at_work or came or moved

    def look_at_host(self, host: Host) -> None:
        """Take a reading in, for a run on the processor."""
        if host.cpu_utilization_ratio is not None:
            busy = host.cpu_utilization_ratio - self.own_cpu > _LEAST_WORK_OF_THE_HOST
            self.contended = bool(self.contended) or busy

    def look_beside(self, host: Host) -> None:
        """Take a reading in, for a run on a card."""
        if self._measuring and self.own_cpu < 1 and (host.cpu_utilization_ratio or 0.0) > _NO_PROCESSOR_FREE:
            self.contended = True

    def mark(self, at: str, gpu: Gpu) -> None:
        """The measuring begins (``start``) or has been done (``end``)."""
        self.look(gpu)
        self._measuring = at == "start"
        if "sm" in gpu.clock_hertz:
            self.clocks[at] = gpu.clock_hertz["sm"]

    def hold(self, pid: int, gpu: Gpu) -> None:
        """Everything that the run needs is in memory now."""
        self.mark("end", gpu)
        self.process_bytes = next((item.memory_bytes for item in gpu.processes if item.pid == pid), None)
