"""Who holds a card's memory: NVML's three process lists, merged.

A process stands in several lists when it computes and draws; each list then names the same memory, so the largest
figure counts once. What cannot be a process is dropped: pid 0, and numbers beyond the kernel's largest pid, which
drivers with another layout of the structure produce (535.43 to 535.86). More memory than the card has is no reading.

``processes_visible`` answers whether an empty or nameless list means anything. Process ids found in our process table:
1. Ids, and none of them found: 0, we are in another pid namespace than the driver. No ids at all: 1 in the host's own
namespace; in a container 0 once so much memory is held that somebody must hold it, and unknown below that.
"""

from collections.abc import Iterable

from exporter.processes.labels import clean_label, program_name
from exporter.processes.table import ProcessTable
from exporter.snapshot import GpuProcess
from exporter.sources.nvml.device import Device, Held
from exporter.sources.nvml.driver import Driver
from exporter.sources.nvml.errors import NotAvailableError
from exporter.sources.nvml.support import Field, Support, Value, Way

_MAX_PID = 2**22
_SOMEBODY_HOLDS = 512 * 2**20
_LISTS = ("Compute", "Graphics", "MPSCompute")
_VERSIONS = ("_v3", "_v2")


def merged(lists: Iterable[Iterable[Held]], card_bytes: float | None) -> dict[int, float | None]:
    """Bytes by pid over all lists; None where no list says, or what it says cannot be."""
    found: dict[int, float | None] = {}
    for pid, memory in (held for rows in lists for held in rows):
        if not 0 < pid <= _MAX_PID:
            continue
        possible = memory is not None and (card_bytes is None or memory <= card_bytes)
        known = found.setdefault(pid, None)
        if memory is not None and possible:
            found[pid] = float(max(memory, known or 0))
    return found


def visible(*, found: int, listed: int, host_namespace: bool, used_bytes: float | None) -> float | None:
    """``processes_visible`` as the text at the top of this file has it."""
    if listed:
        return 1.0 if found else 0.0
    if host_namespace:
        return 1.0
    return 0.0 if (used_bytes or 0) > _SOMEBODY_HOLDS else None


class ProcessReader:
    """Reads one card's processes and names them."""

    def __init__(self, driver: Driver, table: ProcessTable) -> None:
        self._driver = driver
        self._table = table

    def read(
        self, device: Device, support: Support, card_bytes: float | None, used_bytes: float | None
    ) -> tuple[list[GpuProcess], float | None]:
        """All processes on the card and ``processes_visible``; nothing and None when the card keeps no list.

        Raises:
            NvmlError: the card or the driver has gone.
        """
        lists = [self._list(kind, device, support) for kind in _LISTS]
        if lists[0] is None and lists[1] is None:
            return [], None
        holders = merged((rows for rows in lists if rows is not None), card_bytes)
        processes: list[GpuProcess] = []
        found = 0
        for pid, memory in holders.items():
            description = self._table.describe(pid)
            found += description is not None
            name, user = description or (self._name_by_driver(pid), "")
            processes.append(GpuProcess(pid=pid, name=name, user=user, memory_bytes=memory))
        host_namespace = not holders and self._table.sees_every_process()
        return processes, visible(
            found=found, listed=len(holders), host_namespace=host_namespace, used_bytes=used_bytes
        )

    def _list(self, kind: str, device: Device, support: Support) -> list[Held] | None:
        rows: list[Held] = []
        field = Field(f"{kind} processes", tuple(_way(kind, version, rows) for version in _VERSIONS))
        return rows if support.read(field, device) else None

    def _name_by_driver(self, pid: int) -> str:
        try:
            return clean_label(program_name(self._driver.process_name(pid)))
        except NotAvailableError:
            return ""


def _way(kind: str, version: str, rows: list[Held]) -> Way:
    def read(device: Device) -> tuple[Value, ...]:
        rows[:] = device.running(kind, version)
        return (Value("processes", float(len(rows))),)

    return read
