"""The machine itself, through psutil. What cannot be read is left out; the rest stays."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from exporter.processes.labels import clean_label
from exporter.snapshot import Host
from exporter.sources.reader import Part

T = TypeVar("T")

NO_SPACE_TO_RUN_OUT = frozenset({"squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "erofs", "ramfs"})
_VIRTUAL_NETWORKS = ("lo", "veth")


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


class HostReader:
    """Reads the host; the share of CPU time needs two readings and is absent in the first."""

    source = "host"

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._cpu_before: tuple[float, float] | None = None
        described = {"hostname": platform.node(), "system": platform.system(), "kernel": platform.release()}
        self._info = {name: clean_label(text) for name, text in described.items()}

    def read(self) -> Part:
        """Read everything once."""
        memory, swap = _or_none(psutil.virtual_memory), _or_none(psutil.swap_memory)
        network, disks = _or_none(_network) or {}, _or_none(_disks) or {}
        filesystems = list(_filesystems())
        load = _or_none(os.getloadavg) or ()
        return Part(
            host=Host(
                read_at=self._monotonic(),
                info=self._info,
                boot_timestamp_seconds=_or_none(psutil.boot_time),
                cpu_utilization_ratio=self._cpu_utilization(),
                cpus=_or_none(psutil.cpu_count),
                load_average=dict(zip(("1m", "5m", "15m"), load, strict=False)),
                memory_total_bytes=memory.total if memory else None,
                memory_available_bytes=memory.available if memory else None,
                memory_used_ratio=1 - memory.available / memory.total if memory and memory.total else None,
                swap_total_bytes=swap.total if swap else None,
                swap_used_bytes=swap.used if swap else None,
                filesystem_size_bytes={key: usage.total for key, usage in filesystems},
                filesystem_available_bytes={key: usage.free for key, usage in filesystems},
                filesystem_used_ratio={key: usage.used / (usage.used + usage.free) for key, usage in filesystems},
                disk_read_bytes_total={name: item[0] for name, item in disks.items()},
                disk_written_bytes_total={name: item[1] for name, item in disks.items()},
                network_received_bytes_total={name: item[0] for name, item in network.items()},
                network_transmitted_bytes_total={name: item[1] for name, item in network.items()},
            )
        )

    def _cpu_utilization(self) -> float | None:
        times = _or_none(psutil.cpu_times)
        if times is None:
            return None
        spent: dict[str, float] = times._asdict()
        idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
        total = sum(spent.values()) - spent.get("guest", 0.0) - spent.get("guest_nice", 0.0)
        before, self._cpu_before = self._cpu_before, (idle, total)
        if before is None or total <= before[1]:
            return None
        return min(1.0, max(0.0, 1 - (idle - before[0]) / (total - before[1])))


def _or_none(read: Callable[[], T]) -> T | None:
    """The reading, or None where the platform or a container does not give it."""
    try:
        return read()
    except (OSError, RuntimeError, psutil.Error, NotImplementedError):
        return None


def _filesystems() -> Iterator[tuple[tuple[str, ...], _Usage]]:
    """Writable file systems on devices, one row a device: of bind mounts the one with the shortest path."""
    seen: set[str] = set()
    partitions = _or_none(lambda: psutil.disk_partitions(all=False)) or []
    for part in sorted(partitions, key=lambda part: (len(part.mountpoint), part.mountpoint)):
        if part.device in seen or part.fstype in NO_SPACE_TO_RUN_OUT or "ro" in part.opts.split(","):
            continue
        usage = _or_none(lambda part=part: psutil.disk_usage(part.mountpoint))
        if usage is not None and usage.used + usage.free > 0:
            seen.add(part.device)
            labels = (clean_label(part.device), clean_label(part.mountpoint), clean_label(part.fstype))
            yield labels, _Usage(usage.total, usage.used, usage.free)


def _network() -> Mapping[str, tuple[int, int]]:
    counters = psutil.net_io_counters(pernic=True)
    return {
        clean_label(name): (item.bytes_recv, item.bytes_sent)
        for name, item in counters.items()
        if not name.startswith(_VIRTUAL_NETWORKS)
    }


def _disks() -> Mapping[str, tuple[int, int]]:
    """Whole disks only: a partition's bytes are its disk's bytes already."""
    counters = psutil.disk_io_counters(perdisk=True) or {}
    return {
        clean_label(name): (item.read_bytes, item.write_bytes)
        for name, item in counters.items()
        if Path("/sys/block", name).exists() and not name.startswith(("loop", "ram", "zram"))
    }
