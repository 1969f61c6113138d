"""How full the host's file systems are: one row for each that lies on a device here and can run full.

File systems on the network are left out: how full they are is their server's matter, and a dead one hangs. So are those
in memory, those that are read-only and further mounts of the same. Where the host's file system is mounted elsewhere
(an exporter in a container), the list is that of the host's first process and each is looked at below that place; one
that was mounted on the host where we cannot see it is left out, not confused with what lies beneath it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from exporter.processes.labels import clean_label
from exporter.sources.guarded import Guarded
from exporter.sources.hostfiles import Mount, kinds_on_devices, mounts, that_can_run_full

# Their subvolumes have device numbers of their own, which mountinfo does not know.
_NUMBERED_OTHERWISE = frozenset({"btrfs", "bcachefs", "zfs"})
_USUAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "fuseblk", "bcachefs"})

Labels = tuple[str, str, str]


class Usage(NamedTuple):
    """Bytes as ``df`` has them; ``free`` is what users can still have."""

    total: int
    used: int
    free: int


class Filesystems:
    """The file systems of the host whose root is mounted at ``root``; used by one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mounts = root / "proc" / ("self" if root == Path("/") else "1") / "mountinfo"
        self._guarded: Guarded[tuple[Mount, ...], tuple[Mount, Usage]] = Guarded(self._look)

    def read(self) -> dict[Labels, Usage]:
        """Usage by device, mount point on the host and kind.

        Raises:
            OSError: there is no list of mounts here.
        """
        kinds = _kinds(self._root / "proc" / "filesystems")
        listed = mounts(os.fsdecode(self._mounts.read_bytes()))
        found = self._guarded.read(that_can_run_full(listed, kinds))
        rows: dict[Labels, Usage] = {}
        for mount, usage in found.values():
            rows.setdefault((clean_label(mount.device), clean_label(mount.point), clean_label(mount.kind)), usage)
        return rows

    def _look(self, same: tuple[Mount, ...]) -> tuple[Mount, Usage] | None:
        """The first of a file system's mounts that can be looked at."""
        for mount in same:
            usage = self._usage(mount)
            if usage is not None:
                return mount, usage
        return None

    def _usage(self, mount: Mount) -> Usage | None:
        place = f"{self._root}/{mount.point}"
        try:
            number = Path(place).stat().st_dev
            told = os.statvfs(place)
        except (OSError, ValueError):
            return None
        if mount.kind not in _NUMBERED_OTHERWISE and f"{os.major(number)}:{os.minor(number)}" != mount.number:
            return None
        total, free = told.f_blocks * told.f_frsize, told.f_bavail * told.f_frsize
        used = total - told.f_bfree * told.f_frsize
        return Usage(total, used, free) if used + free > 0 else None


def _kinds(filesystems: Path) -> frozenset[str]:
    try:
        return kinds_on_devices(filesystems.read_text(errors="replace"))
    except OSError:
        return _USUAL
