"""Pure: the kernel's files about the machine, parsed. What a line does not say, or says in another form, is left out.

File systems come from ``mountinfo``: its device number tells bind mounts of one file system from two file systems, and
the options behind the dash whether the file system itself is read-only, or only this mount of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

NO_SPACE_TO_RUN_OUT = frozenset({"squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "erofs", "ramfs", "cramfs"})
WITHOUT_DEVICE_BUT_LOCAL = frozenset({"zfs"})
_KIB = 1024
_SECTOR = 512
_READ, _WRITTEN = 5, 9
"""Columns of ``diskstats``: sectors read, sectors written."""
_RECEIVED, _SENT, _COLUMNS = 0, 8, 16
"""Columns of ``net/dev`` behind the colon."""
_IDLE, _WAITING, _GUESTS = 3, 4, slice(8, 10)
"""Columns of ``cpu`` in ``stat``; guests' time is in the users' time already."""
_MOUNTINFO_FIELDS = 6
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Processors(NamedTuple):
    """Time in ticks since the start, idle and in all; Unix seconds of the start."""

    idle: int
    total: int
    cpus: int
    booted: float | None


class Mount(NamedTuple):
    """One writable or read-only mount; ``number`` is the device's ``major:minor``."""

    number: str
    point: str
    kind: str
    device: str
    read_only: bool


def processors(stat: str) -> Processors | None:
    """``/proc/stat``; None when it has no line for all processors together."""
    rows = {head: numbers for head, *numbers in map(str.split, filter(str.strip, stat.split("\n")))}
    times = _numbers(rows.get("cpu", ()))
    if len(times) <= _IDLE:
        return None
    booted = _numbers(rows.get("btime", ()))
    idle = sum(times[_IDLE : _WAITING + 1])
    count = sum(bool(re.fullmatch(r"cpu\d+", head)) for head in rows)
    return Processors(idle, sum(times) - sum(times[_GUESTS]), count, booted[0] if booted else None)


def memory(meminfo: str) -> Mapping[str, float]:
    """``/proc/meminfo`` in bytes by its own names."""
    rows = re.findall(r"^([\w()]+):\s+(\d{1,18}) kB\s*$", meminfo, re.MULTILINE)
    return {name: float(int(value) * _KIB) for name, value in rows}


def load_averages(loadavg: str) -> Mapping[str, float]:
    """``/proc/loadavg`` by window."""
    match = re.match(r"(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)\s", loadavg)
    return dict(zip(("1m", "5m", "15m"), map(float, match.groups()), strict=True)) if match else {}


def networks(dev: str) -> Mapping[str, tuple[int, int]]:
    """``/proc/net/dev``: bytes received and sent, without loopback and the host's ends of containers' lines."""
    found: dict[str, tuple[int, int]] = {}
    for line in dev.split("\n"):
        name, colon, rest = line.rpartition(":")
        numbers = _numbers(rest.split())
        name = name.strip()
        if colon and len(numbers) >= _COLUMNS and name != "lo" and not name.startswith("veth"):
            found[name] = numbers[_RECEIVED], numbers[_SENT]
    return found


def disks(diskstats: str) -> Mapping[str, tuple[int, int]]:
    """``/proc/diskstats``: bytes read and written, by the device's name."""
    found: dict[str, tuple[int, int]] = {}
    for line in diskstats.split("\n"):
        fields = line.split()
        numbers = _numbers([*fields[_READ : _READ + 1], *fields[_WRITTEN : _WRITTEN + 1]])
        if len(numbers) == len(("read", "written")):
            found[fields[2]] = numbers[0] * _SECTOR, numbers[1] * _SECTOR
    return found


def kinds_on_devices(filesystems: str) -> frozenset[str]:
    """``/proc/filesystems``: those that lie on a device here, not in memory or on the network."""
    rows = (line.split("\t") for line in filesystems.split("\n"))
    return frozenset(row[1].strip() for row in rows if len(row) > 1 and row[0].strip() != "nodev")


def mounts(mountinfo: str) -> Iterator[Mount]:
    """``/proc/<pid>/mountinfo``; what lies under a later mount at the same place is left out."""
    found: dict[str, Mount] = {}
    for line in mountinfo.split("\n"):
        own, dash, behind = line.partition(" - ")
        fields, filesystem = own.split(" "), behind.split(" ")
        if dash and len(fields) >= _MOUNTINFO_FIELDS and len(filesystem) > len(("kind", "device")):
            point = _unescaped(fields[4])
            options = filesystem[2].split(",")
            found[point] = Mount(fields[2], point, filesystem[0], _unescaped(filesystem[1]), "ro" in options)
    return iter(found.values())


def that_can_run_full(found: Iterable[Mount], kinds: frozenset[str]) -> list[tuple[Mount, ...]]:
    """The writable file systems of these ``kinds``, each with its mounts, the one with the shortest path first."""
    wanted = (kinds | WITHOUT_DEVICE_BUT_LOCAL) - NO_SPACE_TO_RUN_OUT
    by_number: dict[str, list[Mount]] = {}
    for mount in sorted(found, key=lambda mount: (len(mount.point), mount.point)):
        if mount.kind in wanted and not mount.read_only:
            by_number.setdefault(mount.number, []).append(mount)
    return [tuple(same) for same in by_number.values()]


def _numbers(words: Iterable[str]) -> list[int]:
    """As many of ``words`` as are numbers, up to the first that is none."""
    found: list[int] = []
    for word in words:
        if not re.fullmatch(r"[0-9]{1,20}", word):
            break
        found.append(int(word))
    return found


def _unescaped(text: str) -> str:
    """Blanks, line breaks and backslashes are written as octal numbers there."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
