"""How much main memory a child of this process may still take: what the host has, or less, by the limit of a cgroup.

A container or a systemd unit ends the child that goes beyond its limit, however much the host has. The limit of each
cgroup counts for all below it, so all are looked at, from our own to the top. Cached files are given back before
anybody is ended; they count as free, as in the host's own figure. Those in use lately (``active_file``) do, too: after
a few runs they are torch's own libraries.

cgroup v2: memory.max, memory.high, memory.current. v1: memory.limit_in_bytes, memory.usage_in_bytes. "max", and in v1 a
number near 2**63, mean no limit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_NO_LIMIT = 2.0**60
_MOUNT = Path("sys/fs/cgroup")


class Left(NamedTuple):
    """Bytes that are free, and of how many; None where nothing is known or nothing is limited."""

    free: float | None
    total: float | None


def within(host: Left, cgroup: Left) -> Left:
    """The smaller of what the host and the cgroups leave."""
    if cgroup.free is None or cgroup.total is None:
        return host
    if host.free is None or host.total is None:
        return cgroup
    return Left(min(host.free, cgroup.free), min(host.total, cgroup.total))


def left_by_cgroups(root: Path = Path("/")) -> Left:
    """By the tightest cgroup that this process is in; nothing where there is none."""
    found = [left for folder, names in _folders(root) if (left := _left(folder, *names)) is not None]
    return min(found, default=Left(None, None))


_V2 = (("memory.max", "memory.high"), "memory.current", ("active_file", "inactive_file"))
_V1 = (("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))
_Names = tuple[tuple[str, ...], str, tuple[str, ...]]


def _folders(root: Path) -> Iterator[tuple[Path, _Names]]:
    """Our own cgroup and all above it. In a namespace of cgroups the path is / and the mount is our own cgroup.

    Where a container sees the host's path below a mount that is its own cgroup, only the mount itself is there.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount, names = root / _MOUNT, _V2
        elif "memory" in controllers.split(","):
            mount, names = root / _MOUNT / "memory", _V1
        else:
            continue
        folder = mount / path.lstrip("/")
        yield from ((each, names) for each in (folder, *folder.parents) if each.is_relative_to(mount))


def _left(folder: Path, limits: tuple[str, ...], usage: str, cached: tuple[str, ...]) -> Left | None:
    known = [limit for name in limits if (limit := _number(_text(folder / name))) is not None and limit < _NO_LIMIT]
    used = _number(_text(folder / usage))
    if not known or used is None:
        return None
    lines = (line.partition(" ") for line in _text(folder / "memory.stat").splitlines())
    given_back = sum(_number(value) or 0.0 for name, _, value in lines if name in cached)
    total = min(known)
    return Left(max(0.0, total - used + given_back), total)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> float | None:
    return float(text) if text.strip().isdecimal() else None
