"""Who holds a card's memory, as rows and sums: what the driver lists, with names, containers and workload groups.

- What no visible process holds (``memory_unaccounted_bytes``) is left by processes of another namespace, by the
  driver itself or by a process that ended badly. It is known only when the list is whole and says of each process what
  it holds. An empty list is whole only where every process can be seen. It is never below 0: what processes share is
  in the figure of each. Where the driver counts its own reserve as used (before driver 510), that is in it too.
- Groups are summed only while each listed process is found and all names that they match on are known: without names,
  nobody can be told apart, and somebody's share would be another's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.processes.capping import DEFAULT_LIMIT, capped
from exporter.processes.ours import OURS
from exporter.processes.table import ProcessTable
from exporter.processes.workloads import Workloads, used_ratios
from exporter.snapshot import GpuProcess

_SOMEBODY_HOLDS = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Listed:
    """What the driver says of a card's processes, by pid: bytes and share of time, None where it does not say.

    ``whole`` when none of its lists failed just now. ``drawing`` are those that only draw, None where nobody knows.
    """

    memory: Mapping[int, float | None]
    utilization: Mapping[int, float] | None
    whole: bool
    drawing: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class CardMemory:
    """Bytes of a card, None where unknown; ``usable`` is without the driver's reserve."""

    total: float | None = None
    used: float | None = None
    usable: float | None = None


def visible(*, found: int, listed: int, host_namespace: bool, used_bytes: float | None) -> float | None:
    """``processes_visible``: whether an empty or nameless list means anything.

    Process ids found in our process table: 1. Ids, and none of them found: 0, we are in another pid namespace than the
    driver. No ids at all: 1 in the host's own namespace; in a container 0 once so much memory is held that somebody
    must hold it, and unknown below that.
    """
    if listed:
        return 1.0 if found else 0.0
    if host_namespace:
        return 1.0
    return 0.0 if (used_bytes or 0) > _SOMEBODY_HOLDS else None


@dataclass(frozen=True, slots=True)
class Holders:
    """What all cards' lists are read with; safe to share between threads. ``limit`` is how many rows are shown."""

    table: ProcessTable = field(default_factory=ProcessTable)
    workloads: Workloads = field(default_factory=Workloads)
    limit: int = DEFAULT_LIMIT

    def readings(self, listed: Listed, card: CardMemory, name_by_driver: Callable[[int], str]) -> dict[str, Any]:
        """Keyword arguments for ``Gpu``; ``name_by_driver`` names a process that cannot be found here."""
        processes, found, settled = self._rows(listed, name_by_driver)
        seen = visible(
            found=found,
            listed=len(processes),
            host_namespace=not processes and self.table.sees_every_process(),
            used_bytes=card.used,
        )
        told_apart = found == len(processes) and (settled or not self.workloads.ask_for_names)
        held = self.workloads.held(processes) if seen and listed.whole and told_apart else {}
        budgets = self.workloads.budgets(card.usable)
        known = listed.whole and (processes or seen)
        return {
            "processes": capped(processes, self.limit),
            "computing": _computing(processes, listed.drawing),
            "processes_visible": seen,
            "memory_unaccounted_bytes": _unaccounted(processes, card.used) if known else None,
            "workload_memory_used_bytes": held,
            "workload_memory_budget_bytes": budgets,
            "workload_memory_budget_used_ratio": used_ratios(held, budgets),
        }

    def _rows(self, listed: Listed, name_by_driver: Callable[[int], str]) -> tuple[list[GpuProcess], int, bool]:
        """The processes, how many of them are found here, and whether all their names are known by now."""
        rows: list[GpuProcess] = []
        found, settled = 0, True
        for pid, memory in listed.memory.items():
            description = self.table.describe(pid)
            found += description is not None
            settled = settled and (description is None or description.settled)
            name, user, container = description[:3] if description else (name_by_driver(pid), "", "")
            ours = description is not None and description.ours
            workload = OURS if ours else self.workloads.group_of(name, container, user)
            # No sample: the driver has seen the process do nothing since it was last asked.
            utilization = None if listed.utilization is None else listed.utilization.get(pid, 0.0)
            rows.append(GpuProcess(pid, name, user, container, workload, memory, utilization))
        return rows, found, settled


def _computing(processes: list[GpuProcess], drawing: frozenset[int] | None) -> tuple[int, ...] | None:
    if drawing is None:
        return None
    return tuple(process.pid for process in processes if process.workload != OURS and process.pid not in drawing)


def _unaccounted(processes: list[GpuProcess], used: float | None) -> float | None:
    if used is None:
        return None
    held = 0.0
    for process in processes:
        if process.memory_bytes is None:
            return None
        held += process.memory_bytes
    return max(0.0, used - held)
