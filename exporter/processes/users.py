"""The names of users, without ever waiting for them.

A name may come from a directory service over the network, and such a question can take minutes. The readings of the
cards must not: one background thread asks, and until it has the answer a user is shown by its number. A user without a
name keeps the number and is asked for again after a while, since the service may only have been out of reach.
"""

import logging
import pwd
import queue
import threading
import time
from collections.abc import Callable

from exporter.processes.labels import clean_label

logger = logging.getLogger(__name__)


def system_name(number: int) -> str:
    """The login name that goes with a user's number on this system (``getpwuid``).

    Raises:
        KeyError: there is none, or the service that would know it is out of reach.
    """
    return pwd.getpwuid(number).pw_name


class UserNames:
    """Safe to share between threads, bounded in memory; ``look_up`` may block and raise KeyError, OSError, ValueError.

    A look-up that failed is forgotten after ``forget_failure`` seconds.
    """

    def __init__(
        self,
        look_up: Callable[[int], str] = system_name,
        *,
        size: int = 4096,
        waiting: int = 256,
        forget_failure: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._size = size
        self._forget_failure = forget_failure
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._names: dict[int, str] = {}
        self._failed_at: dict[int, float] = {}
        self._asked: set[int] = set()
        self._questions: queue.Queue[int] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None

    def name(self, number: int) -> str:
        """The name of the user with this ``number``, cleaned for a label; the number itself while none is known."""
        with self._lock:
            known = self._names.get(number)
            if known is None and self._worth_asking(number):
                self._ask(number)
        return str(number) if known is None else known

    def _worth_asking(self, number: int) -> bool:
        failed_at = self._failed_at.get(number)
        return number not in self._asked and (
            failed_at is None or self._monotonic() - failed_at >= self._forget_failure
        )

    def _ask(self, number: int) -> None:
        try:
            self._questions.put_nowait(number)
        except queue.Full:
            # Asked for again with the next reading; by then the thread may have come further.
            return
        self._asked.add(number)
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="user names", daemon=True)
            self._thread.start()

    def _answer(self) -> None:
        while True:
            number = self._questions.get()
            try:
                found = clean_label(self._look_up(number))
            except (KeyError, OSError, ValueError) as error:
                logger.debug("no name for user %d: %s", number, error)
                found = ""
            with self._lock:
                self._remember(number, found)

    def _remember(self, number: int, found: str) -> None:
        self._asked.discard(number)
        self._failed_at.pop(number, None)
        memory = self._names if found else self._failed_at
        if len(memory) >= self._size:
            memory.clear()
        if found:
            self._names[number] = found
        else:
            self._failed_at[number] = self._monotonic()
