"""Who a process is: its program's name, its user and its container, by process id.

A process id is used again by the system, so what is remembered is remembered for (pid, start time). It is read anew
when the program's name has changed (servers of models rename themselves) and after a minute: a process may become
another user's or be moved into a container. Only numbers and ids are remembered here; the names that go with them come
from users.py and engines.py by way of lookups.py, which never keeps a reading waiting. So do names of programs that the
kernel has cut: a command line lies in the process's memory, and one process that is stuck in the kernel would hold up
every card that it is on.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from exporter.processes.cgroups import Container, container_of
from exporter.processes.labels import clean_label
from exporter.processes.lookups import Lookups
from exporter.processes.procfs import COMM_BYTES, Procfs, Stat
from exporter.processes.users import UserNames, name_in

# include/linux/proc_ns.h: PROC_PID_INIT_INO, the inode of the first pid namespace on every Linux.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC


class Description(NamedTuple):
    """Cleaned for labels; ``user`` is a number until its name is known, empty where it cannot be found out.

    ``container`` is a short id until its name is known, empty for a process that is in none. ``settled`` once each
    name that is asked for in the background has been answered. ``ours`` for a process that this one has started.
    """

    name: str
    user: str
    container: str
    settled: bool = True
    ours: bool = False


class _Known(NamedTuple):
    """What is remembered of a process; ``user`` is the real user's number, ``read_at`` monotonic seconds."""

    read_at: float
    comm: bytes
    name: str
    user: int | None
    container: Container | None


class ProcessTable:
    """Describes processes; safe to share between threads, bounded in memory.

    ``root`` is where the host's file system is mounted. ``containers`` looks up names by full ids; without it, ids
    stand for them.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        size: int = 4096,
        max_age: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
        users: UserNames | None = None,
        containers: Lookups[str] | None = None,
    ) -> None:
        self._proc = Procfs(root / "proc")
        self._own = self._proc.own()
        self._size = size
        self._max_age = max_age
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # In a container, the names of its own passwd would be strangers'.
        self._users = users or (UserNames() if root == Path("/") else UserNames(name_in(root / "etc/passwd")))
        self._containers = containers
        self._programs: Lookups[str] = Lookups("program names", self._whole_name)
        self._known: OrderedDict[tuple[int, int], _Known] = OrderedDict()

    def describe(self, pid: int) -> Description | None:
        """Name, user and container of ``pid``, or None when no such process can be seen from here."""
        try:
            stat = self._proc.stat(pid)
            known = self._remembered(pid, stat) or self._learn(pid)
        except (OSError, ValueError):
            return None
        user = "" if known.user is None else self._users.name(known.user)
        container = self._container(known.container)
        ours = stat.parent == self._own
        return Description(self._program(pid, stat, known), user, container, self._settled(known), ours)

    def sees_every_process(self) -> bool:
        """True in the host's own pid namespace, where every process id of the driver means the same process.

        It is our own namespace that the driver looks at, wherever the host's ``/proc`` is mounted.
        """
        try:
            return Path("/proc/self/ns/pid").stat().st_ino == _FIRST_PID_NAMESPACE
        except OSError:
            return False

    def _program(self, pid: int, stat: Stat, known: _Known) -> str:
        """The program's name; what the kernel has cut off is asked for in the background."""
        longer = self._programs.known(f"{pid} {stat.started}") if len(stat.comm) >= COMM_BYTES else ""
        return longer if longer.startswith(known.name) else known.name

    def _settled(self, known: _Known) -> bool:
        of_user = known.user is None or self._users.settled(known.user)
        asked = self._containers if known.container is not None and known.container.askable else None
        return of_user and (asked is None or known.container is None or asked.settled(known.container.identity))

    def _container(self, container: Container | None) -> str:
        if container is None:
            return ""
        name = self._containers.known(container.identity) if self._containers and container.askable else ""
        return name or container.label

    def _remembered(self, pid: int, stat: Stat) -> _Known | None:
        known = self._known.get((pid, stat.started))
        fresh = known is not None and known.comm == stat.comm and not self._is_old(known)
        return known if fresh else None

    def _learn(self, pid: int) -> _Known:
        facts = self._proc.facts(pid)
        known = _Known(
            self._monotonic(), facts.stat.comm, clean_label(facts.stat.comm), facts.user, container_of(facts.cgroup)
        )
        with self._lock:
            self._known[pid, facts.stat.started] = known
            self._known.move_to_end((pid, facts.stat.started))
            self._forget()
        return known

    def _whole_name(self, process: str) -> str:
        pid, _, started = process.partition(" ")
        return clean_label(self._proc.program(int(pid), int(started)))

    def _forget(self) -> None:
        """Drop what would be read anew anyway, oldest first, and the oldest of what is too many."""
        while self._known and (len(self._known) > self._size or self._is_old(next(iter(self._known.values())))):
            self._known.popitem(last=False)

    def _is_old(self, known: _Known) -> bool:
        return self._monotonic() - known.read_at >= self._max_age
