"""What this process costs the machine that it watches, by the names that every Prometheus client gives it."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# proc(5): behind the command's closing bracket, fields 14, 15 (utime, stime) and 22 (starttime) of /proc/PID/stat.
_FIRST_FIELD, _USER, _SYSTEM, _STARTED = 3, 14, 15, 22


class OwnCost:
    """Reads /proc/self, which costs some 20 microseconds; empty where there is no such thing."""

    def __init__(self, wall: Callable[[], float] = time.time, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._started_at = self._when_started(wall())

    def read(self) -> Mapping[str, float]:
        """Values by catalog name."""
        try:
            stat = self._stat()
            resident = int((self._proc / "self" / "statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return {}
        used = int(stat[_USER - _FIRST_FIELD]) + int(stat[_SYSTEM - _FIRST_FIELD])
        found = {
            "process_cpu_seconds_total": used / _TICKS_PER_SECOND,
            "process_resident_memory_bytes": float(resident * _PAGE_BYTES),
        }
        return found if self._started_at is None else {**found, "process_start_time_seconds": self._started_at}

    def _when_started(self, now: float) -> float | None:
        try:
            up = float((self._proc / "uptime").read_text().split()[0])
            return now - up + int(self._stat()[_STARTED - _FIRST_FIELD]) / _TICKS_PER_SECOND
        except (OSError, ValueError, IndexError):
            return None

    def _stat(self) -> list[str]:
        return (self._proc / "self" / "stat").read_text().rpartition(")")[2].split()
