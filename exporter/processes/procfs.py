"""A process as the kernel's ``/proc`` shows it, in few calls: this is read for every process every second.

``stat`` alone says whether a process is still the same (its start time) and still called the same, so it is all that a
reading costs once the rest is known. The rest is read through the process's open folder, which never becomes that of
another process with the same number. Nothing here is longer than a limit, whatever a process calls itself.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

_STAT_BYTES = 1024
_MOST_BYTES = 2**16
COMM_BYTES = 15
_PARENT, _START_TIME = 1, 19
"""Positions of fields 4 and 22 of ``stat`` when the program's name and what is before it are taken off."""


class Stat(NamedTuple):
    """``comm`` is the program's name as the kernel keeps it; ``started`` is in ticks since the system was started.

    ``parent`` is the process id of the process that started it, or of who took it over.
    """

    comm: bytes
    started: int
    parent: int


class Facts(NamedTuple):
    """``name`` is raw; ``user`` is the real user's number; ``cgroup`` the text of that file, empty if unreadable."""

    stat: Stat
    user: int | None
    cgroup: str


class Procfs:
    """The processes under one ``/proc``."""

    def __init__(self, folder: Path = Path("/proc")) -> None:
        self._folder = str(folder)

    def own(self) -> int | None:
        """Our own process id as this ``/proc`` counts, which may be that of another namespace; None if unreadable."""
        try:
            return int(str(Path(self._folder, "self").readlink()))
        except (OSError, ValueError):
            return None

    def stat(self, pid: int) -> Stat:
        """What tells this process from others; OSError or ValueError when it is not there."""
        return _parse_stat(_read(f"{self._folder}/{pid}/stat", limit=_STAT_BYTES))

    def program(self, pid: int, started: int) -> bytes:
        """The whole name of a program that the kernel has cut; OSError or ValueError when the process is not there.

        May block for as long as the process's memory is locked: its command line lies there.
        """
        folder = os.open(f"{self._folder}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            stat = _parse_stat(_read("stat", folder))
            if stat.started != started:
                message = "another process by now"
                raise ValueError(message)
            return lengthened(stat.comm, _read("cmdline", folder))
        finally:
            os.close(folder)

    def facts(self, pid: int) -> Facts:
        """All that is wanted of the process; OSError or ValueError when it is not there."""
        folder = os.open(f"{self._folder}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            stat = _parse_stat(_read("stat", folder))
            return Facts(
                stat,
                _real_user(_read_or_empty("status", folder)),
                _read_or_empty("cgroup", folder).decode(errors="replace"),
            )
        finally:
            os.close(folder)


def lengthened(comm: bytes, cmdline: bytes) -> bytes:
    """The name of a program of which the kernel has kept only the first 15 bytes, from its command line.

    A process may have rewritten its command line into one text with arguments, which are where secrets stand: behind
    the kernel's part, only the rest of a word is taken.
    """
    if len(comm) < COMM_BYTES:
        return comm
    program = cmdline.partition(b"\0")[0]
    for words in (program.split(None, 1)[:1], [program]):
        base = b"".join(words).rpartition(b"/")[2]
        if base.startswith(comm) and not comm[-1:].isspace():
            return comm + re.split(rb"\s", base[len(comm) :], maxsplit=1)[0]
    return comm


def _parse_stat(text: bytes) -> Stat:
    # The name may itself hold parentheses, spaces and line breaks, so what is before and behind it is cut off.
    head, opened, _ = text.partition(b"(")
    before, closed, fields = text.rpartition(b")")
    if not opened or not closed:
        message = "not a process's stat"
        raise ValueError(message)
    values = fields.split(None, _START_TIME + 1)
    if len(values) <= _START_TIME:
        message = "a process's stat that is too short"
        raise ValueError(message)
    return Stat(before[len(head) + 1 :], int(values[_START_TIME]), int(values[_PARENT]))


def _real_user(status: bytes) -> int | None:
    # A line break in the program's name is written as \n here, so a name cannot forge this line.
    match = re.search(rb"^Uid:\s+(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else None


def _read(path: str, folder: int | None = None, limit: int = _MOST_BYTES) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, limit)
    finally:
        os.close(file)


def _read_or_empty(path: str, folder: int) -> bytes:
    try:
        return _read(path, folder)
    except OSError:
        return b""
