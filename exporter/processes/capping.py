"""A card's process list, cut to a length that a page and a query can carry."""

from collections.abc import Iterable

from exporter.snapshot import GpuProcess

DEFAULT_LIMIT = 64
OTHERS = "(others)"
"""Name of the row that sums what was cut; its pid is 0, which no process on a card has."""


def capped(processes: Iterable[GpuProcess], limit: int = DEFAULT_LIMIT) -> tuple[GpuProcess, ...]:
    """The ``limit`` largest holders of memory, largest first, and behind them one row for all others, if any."""
    ranked = sorted(processes, key=_rank)
    if len(ranked) <= limit:
        return tuple(ranked)
    rest = ranked[limit:]
    others = GpuProcess(
        pid=0,
        name=OTHERS,
        memory_bytes=_total(process.memory_bytes for process in rest),
        utilization_ratio=_total(process.utilization_ratio for process in rest),
    )
    return (*ranked[:limit], others)


def _rank(process: GpuProcess) -> tuple[float, int]:
    return (1.0 if process.memory_bytes is None else -process.memory_bytes), process.pid


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
