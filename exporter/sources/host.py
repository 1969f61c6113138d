"""The machine itself, through psutil and the kernel's own files. What cannot be read is left out; the rest stays.

An exporter in a container sees the host below a folder (``exporter.host.root``), and much of what the kernel shows
there depends on who looks: ``/proc/net`` and ``/proc/mounts`` are those of the reader, so the host's are read through
its first process, and the host's name is that of our own container unless it shares the host's (``uts: host``).
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

from exporter.processes.labels import clean_label
from exporter.snapshot import Host
from exporter.sources import hostfiles
from exporter.sources.filesystems import Filesystems
from exporter.sources.reader import Part, SourceError

T = TypeVar("T")

# include/linux/proc_ns.h: PROC_UTS_INIT_INO, the inode of the host's own namespace of names.
_FIRST_UTS_NAMESPACE = 0xEFFFFFFE
_IN_MEMORY = ("loop", "ram", "zram")


class HostReader:
    """Reads the host below ``root``; the share of CPU time needs two readings and is absent in the first."""

    source = "host"

    def __init__(self, root: Path = Path("/"), monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._root = root
        self._proc = root / "proc"
        self._cpu_before: tuple[float, float] | None = None
        self._filesystems = Filesystems(root)
        self._info = self._description()

    def read(self) -> Part:
        """Read everything once.

        Raises:
            SourceError: there is no host below the root.
        """
        psutil.PROCFS_PATH = str(self._proc)
        memory, swap = _or_none(psutil.virtual_memory), _or_none(psutil.swap_memory)
        if memory is None and _or_none(psutil.cpu_times) is None:
            message = f"nothing can be read below {self._root} (exporter.host.root)"
            raise SourceError(message)
        network, disks = _or_none(self._networks) or {}, _or_none(self._disks) or {}
        filesystems = _or_none(self._filesystems.read) or {}
        return Part(
            host=Host(
                read_at=self._monotonic(),
                info=self._info,
                boot_timestamp_seconds=_or_none(psutil.boot_time),
                cpu_utilization_ratio=self._cpu_utilization(),
                cpus=_or_none(lambda: len(psutil.cpu_times(percpu=True)) or None),
                load_average=_or_none(lambda: hostfiles.load_averages(self._text("loadavg"))) or {},
                memory_total_bytes=memory.total if memory else None,
                memory_available_bytes=memory.available if memory else None,
                memory_used_ratio=max(0.0, 1 - memory.available / memory.total) if memory and memory.total else None,
                swap_total_bytes=swap.total if swap else None,
                swap_used_bytes=swap.used if swap else None,
                filesystem_size_bytes={key: usage.total for key, usage in filesystems.items()},
                filesystem_available_bytes={key: usage.free for key, usage in filesystems.items()},
                filesystem_used_ratio={
                    key: usage.used / (usage.used + usage.free) for key, usage in filesystems.items()
                },
                disk_read_bytes_total={name: item[0] for name, item in disks.items()},
                disk_written_bytes_total={name: item[1] for name, item in disks.items()},
                network_received_bytes_total={name: item[0] for name, item in network.items()},
                network_transmitted_bytes_total={name: item[1] for name, item in network.items()},
            )
        )

    def _text(self, path: str) -> str:
        return (self._proc / path).read_text(errors="replace")

    def _description(self) -> dict[str, str]:
        kernel = {"system": "sys/kernel/ostype", "kernel": "sys/kernel/osrelease"}
        found = {name: _or_none(lambda path=path: self._text(path)) or "" for name, path in kernel.items()}
        return {"hostname": self._hostname(), **{name: clean_label(text) for name, text in found.items()}}

    def _hostname(self) -> str:
        places = [self._proc / "sys/kernel/hostname"]
        if self._root != Path("/"):
            ours = _or_none(lambda: Path("/proc/self/ns/uts").stat().st_ino)
            places.insert(1 if ours == _FIRST_UTS_NAMESPACE else 0, self._root / "etc/hostname")
        names = (clean_label(_or_none(place.read_bytes) or b"") for place in places)
        return next(filter(None, names), "")

    def _cpu_utilization(self) -> float | None:
        times = _or_none(psutil.cpu_times)
        if times is None:
            return None
        spent: dict[str, float] = times._asdict()
        idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
        # A guest's time is in the users' time already.
        total = sum(spent.values()) - spent.get("guest", 0.0) - spent.get("guest_nice", 0.0)
        before, self._cpu_before = self._cpu_before, (idle, total)
        if before is None or total <= before[1]:
            return None
        return min(1.0, max(0.0, 1 - (idle - before[0]) / (total - before[1])))

    def _networks(self) -> Mapping[str, tuple[int, int]]:
        dev = "net/dev" if self._root == Path("/") else "1/net/dev"
        return {clean_label(name): item for name, item in hostfiles.networks(self._text(dev)).items()}

    def _disks(self) -> Mapping[str, tuple[int, int]]:
        """Whole disks only: the bytes of a partition, a mapping or an array are its disks' bytes already."""
        blocks = (path for path in (self._root / "sys/block").iterdir() if not _entries(path / "slaves"))
        whole = {path.name.replace("!", "/") for path in blocks}
        counters = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        return {
            clean_label(name): (item.read_bytes, item.write_bytes)
            for name, item in counters.items()
            if name in whole and not name.startswith(_IN_MEMORY)
        }


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _or_none(read: Callable[[], T]) -> T | None:
    """The reading, or None where the platform or a container does not give it."""
    try:
        return read()
    except (OSError, ValueError, RuntimeError, NotImplementedError, psutil.Error):
        return None
