"""Who a process is: its program's name and its user, by process id.

A process id is used again by the system, so what is remembered is remembered for (pid, start time), and for a minute
only: a program may rename itself (servers of models do), and a shell that replaces itself keeps both numbers. Of the
user only the number is remembered here; its name comes from users.py, which never keeps a reading waiting.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from exporter.processes.labels import clean_label
from exporter.processes.users import UserNames

_COMM_LENGTH = 15
# include/linux/proc_ns.h: PROC_PID_INIT_INO, the inode of the first pid namespace on every Linux.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC


class Description(NamedTuple):
    """Cleaned for labels; ``user`` is a number until its name is known, empty where it cannot be found out."""

    name: str
    user: str


class _Facts(NamedTuple):
    """What is remembered of a process; ``user`` is the real user's number."""

    name: str
    user: int | None


class ProcessTable:
    """Describes processes; safe to share between threads, bounded in memory."""

    def __init__(
        self,
        size: int = 4096,
        max_age: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
        users: UserNames | None = None,
    ) -> None:
        self._size = size
        self._max_age = max_age
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._users = users or UserNames()
        self._known: OrderedDict[tuple[int, float], tuple[float, _Facts]] = OrderedDict()

    def describe(self, pid: int) -> Description | None:
        """Name and user of ``pid``, or None when no such process can be seen from here."""
        try:
            process = psutil.Process(pid)
            key = (pid, process.create_time())
            facts = self._remembered(key) or self._remember(key, _read(process))
        except (psutil.Error, OSError, ValueError):
            return None
        return Description(facts.name, "" if facts.user is None else self._users.name(facts.user))

    def sees_every_process(self) -> bool:
        """True in the host's own pid namespace, where every process id of the driver means the same process."""
        try:
            return Path("/proc/self/ns/pid").stat().st_ino == _FIRST_PID_NAMESPACE
        except OSError:
            return False

    def _remembered(self, key: tuple[int, float]) -> _Facts | None:
        with self._lock:
            read_at, facts = self._known.get(key, (None, None))
            fresh = read_at is not None and self._monotonic() - read_at < self._max_age
            return facts if fresh else None

    def _remember(self, key: tuple[int, float], facts: _Facts) -> _Facts:
        with self._lock:
            self._known[key] = (self._monotonic(), facts)
            self._known.move_to_end(key)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return facts


def _read(process: psutil.Process) -> _Facts:
    name = clean_label(without_arguments(process.name()))
    try:
        return _Facts(name, process.uids().real)
    except (psutil.Error, OSError):
        return _Facts(name, None)


def without_arguments(name: str) -> str:
    """A process name without what psutil may have added from the command line.

    The kernel keeps 15 bytes; psutil lengthens such a name from the first word of the command line, which is a whole
    line with arguments when the process has rewritten it. Behind the kernel's part only the rest of a word is kept.
    """
    kernels = name[:_COMM_LENGTH]
    return kernels if kernels[-1:].isspace() else kernels + re.split(r"\s", name[_COMM_LENGTH:], maxsplit=1)[0]
