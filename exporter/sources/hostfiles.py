"""Pure: the kernel's files that psutil reads only of ourselves. What a line says in no known form is left out.

File systems come from ``mountinfo``: its device number tells bind mounts of one file system from two file systems, and
the options behind the dash whether the file system itself is read-only, or only this mount of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

NO_SPACE_TO_RUN_OUT = frozenset({"squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "erofs", "ramfs", "cramfs"})
WITHOUT_DEVICE_BUT_LOCAL = frozenset({"zfs"})
_RECEIVED, _SENT, _COLUMNS = 0, 8, 16
"""Columns of ``net/dev`` behind the colon."""
_MOUNTINFO_FIELDS = 6
_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One writable or read-only mount; ``number`` is the device's ``major:minor``."""

    number: str
    point: str
    kind: str
    device: str
    read_only: bool


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
