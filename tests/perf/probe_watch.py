"""Watches an exporter's probe from outside while it works: its children, the card's list of processes, its page.

What it finds is plain numbers, in seconds of the system's monotonic clock. A reading that fails costs that reading.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field

import psutil

from tests.e2e.running import CLIENT
from tests.perf.probe_page import probe_series

_LOOK_SECONDS = 0.05
_CARD_EVERY, _PAGE_EVERY = 0.25, 1.0


@dataclass(slots=True)
class Child:
    """One run of the probe, as it is seen from outside."""

    pid: int
    began: float
    ended: float | None = None
    listed: list[float] = field(default_factory=list)
    """When NVML first and last had it on the card."""
    sm_seconds: float = 0.0
    """Its share of the card's time as NVML's samples have it, over time."""


class ProbeWatch:
    """Looks from a thread of its own until ``stop``; ``nvml`` is pynvml or None, ``handle`` the card's."""

    def __init__(self, exporter: psutil.Process, url: str, nvml=None, handle=None) -> None:
        self._exporter, self._url, self._nvml, self._handle = exporter, url, nvml, handle
        self.children: dict[int, Child] = {}
        self.used: list[tuple[float, float]] = []
        """Device time of all runs so far, as the exporter tells it, each time that it grows."""
        self.contexts_of_exporter = 0
        self.complaints: dict[str, int] = {}
        self._seen_sample = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more looks."""
        self._stopping.set()
        self._thread.join(10)

    @property
    def runs_now(self) -> bool:
        """Whether a run is under way."""
        return any(child.ended is None for child in list(self.children.values()))

    def _run(self) -> None:
        due_card = due_page = 0.0
        while not self._stopping.wait(_LOOK_SECONDS):
            now = time.monotonic()
            self._safely("children", self._look_at_children, now)
            if now >= due_card and self._nvml is not None:
                due_card = now + _CARD_EVERY
                self._safely("processes", self._look_at_card, now)
                self._safely("utilization", self._look_at_utilization)
            if now >= due_page:
                due_page = now + _PAGE_EVERY
                self._safely("page", self._look_at_page, now)

    def _safely(self, what, look, *arguments) -> None:
        try:
            look(*arguments)
        except Exception as error:  # noqa: BLE001 -- whatever a driver or a page says, the others are looked at
            key = f"{what}: {error!r}"[:200]
            self.complaints[key] = self.complaints.get(key, 0) + 1

    def _look_at_children(self, now: float) -> None:
        there = set()
        for process in self._exporter.children():
            with contextlib.suppress(psutil.Error):
                if process.pid in self.children or "workload" in " ".join(process.cmdline()):
                    there.add(process.pid)
                    self.children.setdefault(process.pid, Child(process.pid, now))
        for pid, child in self.children.items():
            if child.ended is None and pid not in there:
                child.ended = now

    def _look_at_card(self, now: float) -> None:
        pids = {each.pid for each in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)}
        self.contexts_of_exporter += self._exporter.pid in pids
        for pid in pids & self.children.keys():
            listed = self.children[pid].listed
            listed[:] = [listed[0] if listed else now, now]

    def _look_at_utilization(self) -> None:
        try:
            samples = self._nvml.nvmlDeviceGetProcessUtilization(self._handle, self._seen_sample)
        except self._nvml.NVMLError_NotFound:  # nobody has worked since
            return
        for sample in samples:
            if self._seen_sample and sample.pid in self.children:
                seconds = max(0.0, min(1.0, (sample.timeStamp - self._seen_sample) / 1e6))
                self.children[sample.pid].sm_seconds += seconds * sample.smUtil / 100
        self._seen_sample = max([self._seen_sample, *(sample.timeStamp for sample in samples)])

    def _look_at_page(self, now: float) -> None:
        if self._exporter.status() == psutil.STATUS_STOPPED:
            return
        found = probe_series(CLIENT.get(f"{self._url}/metrics").text)
        used = 3600.0 * max((value for name, _, value in found if name == "model_probe_time_used_ratio"), default=0.0)
        if not self.used or used != self.used[-1][1]:
            self.used.append((now, used))
