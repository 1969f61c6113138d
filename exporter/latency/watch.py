"""Watches the cards for the probe, reading by reading, as a source of its own called ``probe``.

It asks no device: it looks at what the other sources have laid down. As a source it is down while the probe cannot work
at all (no torch, say), with the reason in words; why a single run was not started is counted elsewhere.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from exporter.accumulators import TrailingMaximum
from exporter.latency.admission import Lately, Limits
from exporter.latency.during import During
from exporter.latency.recent import Recent
from exporter.latency.targets import Target
from exporter.snapshot import Gpu, Host, Snapshot
from exporter.sources.reader import Part, SourceError


class Watch:
    """Safe to use from any thread; ``interval`` is that of the sampler, in seconds."""

    source = "probe"

    def __init__(
        self,
        latest: Callable[[], Snapshot],
        limits: Limits,
        interval: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = latest
        self._limits = limits
        self._interval = interval
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._cards: dict[str, Recent] = {}
        self._host = TrailingMaximum(limits.steady)
        self._run: tuple[Target, During] | None = None
        self.answering: frozenset[str] = frozenset()
        """UUIDs of the cards that gave a reading when they were last read."""
        self.trouble = ""
        """Why no probe can be run at all, in words; empty while nothing is known to be wrong."""
        self.note = ""
        """What a person should know of a probe that is well itself."""

    def read(self) -> Part:
        """Take in what the sources last said.

        Raises:
            SourceError: the probe does not work.
        """
        self._take(self._latest())
        if self.trouble:
            raise SourceError(self.trouble)
        return Part(detail=self.note)

    def _take(self, snapshot: Snapshot) -> None:
        self.answering = frozenset(gpu.uuid for gpu in snapshot.gpus if gpu.up)
        with self._lock:
            there = {gpu.uuid for gpu in snapshot.gpus}
            self._cards = {uuid: recent for uuid, recent in self._cards.items() if uuid in there}
            for gpu in snapshot.gpus:
                self._look(gpu)
            if snapshot.host is not None:
                self._look_at_host(snapshot.host)

    def _look(self, gpu: Gpu) -> None:
        recent = self._cards.get(gpu.uuid)
        if recent is None:
            recent = self._cards[gpu.uuid] = Recent(self._limits, self._interval)
        recent.look(gpu)
        if self._run and self._run[0].uuid == gpu.uuid:
            self._run[1].look(gpu)

    def _look_at_host(self, host: Host) -> None:
        if self._run and not self._run[0].on_card:
            self._run[1].look_at_host(host)
            return
        if self._run:
            self._run[1].look_beside(host)
        if host.cpu_utilization_ratio is not None:
            self._host.add(host.read_at, host.cpu_utilization_ratio)

    def lately(self, gpu: Gpu) -> Lately:
        """What a card's last minutes were like, this reading of it included."""
        with self._lock:
            self._look(gpu)
            return self._cards[gpu.uuid].lately(self._monotonic())

    def host_lately(self) -> float | None:
        """The highest share of all processors' time lately."""
        with self._lock:
            return self._host.at(self._monotonic())

    def begin(self, target: Target, own_cpu: float) -> During:
        """A run begins; ``own_cpu`` is the share of all processors that it may use."""
        with self._lock:
            during = During(own_cpu=own_cpu)
            self._run = target, during
            if (recent := self._cards.get(target.uuid)) is not None:
                recent.own_run(under_way=True, now=self._monotonic())
            return during

    def mark(self, during: During, at: str, gpu: Gpu | None, pid: int | None = None) -> None:
        """Measuring begins (``start``) or has been done (``end``, by this process) on a card that reads like this."""
        with self._lock:
            if gpu is not None and pid is not None:
                during.hold(pid, gpu)
            elif gpu is not None:
                during.mark(at, gpu)

    def end(self) -> During:
        """The run has ended; what happened meanwhile."""
        with self._lock:
            target, during = self._run or (None, During())
            self._run = None
            if target and (recent := self._cards.get(target.uuid)) is not None:
                recent.own_run(under_way=False, now=self._monotonic())
            return replace(during)
