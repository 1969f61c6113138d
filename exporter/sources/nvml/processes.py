"""What the driver lists of a card's processes: NVML's three lists, merged, and each process's share of its time.

A process stands in several lists when it computes and draws, and a client of MPS stands in the list of MPS and, on
most drivers, among those that compute; each list then names the same memory, so the largest figure counts once. From
Volta on the clients hold memory of their own and the MPS server holds little; before that, all of it is the server's.

What cannot be a process is dropped: pid 0, and numbers beyond the kernel's largest pid, which drivers with another
layout of the structure produce (535.43 to 535.86). More memory than the card has is no reading.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from exporter.processes.holders import CardMemory, Holders, Listed
from exporter.processes.labels import clean_label, program_name
from exporter.sources.nvml.device import Device, Held
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NotAvailableError
from exporter.sources.nvml.process_utilization import ProcessUtilization
from exporter.sources.nvml.support import Field, Support, Value, Way

MAX_PID = 2**22
_KINDS = ("Compute", "Graphics", "MPSCompute")
_VERSIONS = ("_v3", "_v2")


def merged(lists: Iterable[Iterable[Held]], card_bytes: float | None) -> dict[int, float | None]:
    """Bytes by pid over all lists; None where no list says, or what it says cannot be."""
    found: dict[int, float | None] = {}
    for pid, memory in (held for rows in lists for held in rows):
        if not 0 < pid <= MAX_PID:
            continue
        possible = memory is not None and (card_bytes is None or memory <= card_bytes)
        known = found.setdefault(pid, None)
        if memory is not None and possible:
            found[pid] = float(max(memory, known or 0))
    return found


class ProcessReader:
    """Reads the processes of one card; used by one thread at a time."""

    def __init__(self, driver: Driver, holders: Holders) -> None:
        self._driver = driver
        self._holders = holders
        self._compute, self._graphics, self._mps = self._lists = tuple(map(_List, _KINDS))
        self._utilization = ProcessUtilization()

    def read(self, device: Device, support: Support, memory: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Keyword arguments for ``Gpu``; ``memory`` are those that hold the card's memory, ``now`` monotonic seconds.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        for rows in self._lists:
            rows.read(device, support)
        card = _card_memory(memory)
        clients = {} if self._mps.rows is None else {"mps_clients": float(len(merged([self._mps.rows], None)))}
        if self._compute.rows is None and self._graphics.rows is None:
            return clients
        listed = Listed(
            memory=merged((rows.rows for rows in self._lists if rows.rows is not None), card.total),
            utilization=self._utilization.read(device, support, now),
            whole=all(rows.rows is not None or rows.unsupported for rows in self._lists),
            drawing=None if self._compute.rows is None else self._only_drawing(),
        )
        return self._holders.readings(listed, card, self._name_by_driver) | clients

    def _only_drawing(self) -> frozenset[int]:
        at_work = {pid for rows in (self._compute, self._mps) for pid, _ in rows.rows or ()}
        return frozenset(pid for pid, _ in self._graphics.rows or ()) - at_work

    def _name_by_driver(self, pid: int) -> str:
        try:
            return clean_label(program_name(self._driver.process_name(pid)))
        except NotAvailableError:
            return ""


class _List:
    """One of the driver's lists: ``rows`` of the last reading, None when there was none."""

    def __init__(self, kind: str) -> None:
        self.rows: list[Held] | None = None
        self.unsupported = False
        self._kind = kind
        self._field = Field(f"{kind} processes", tuple(map(self._way, _VERSIONS)))

    def read(self, device: Device, support: Support) -> None:
        self.rows = None
        answer = support.read(self._field, device)
        self.unsupported = answer is not None and self.rows is None

    def _way(self, version: str) -> Way:
        def read(device: Device) -> tuple[Value, ...]:
            self.rows = device.running(self._kind, version)
            return ()

        return read


def _card_memory(memory: Mapping[str, Any]) -> CardMemory:
    total = memory.get("memory_total_bytes")
    usable = None if total is None else total - (memory.get("memory_reserved_bytes") or 0.0)
    return CardMemory(total, memory.get("memory_used_bytes"), usable)
