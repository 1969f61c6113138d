"""Names that may take minutes to find out, without ever waiting for them.

A name may come from a directory service over the network or from an engine that hangs, and the readings of the cards
must not hang with it: one background thread asks, one question at a time, and until it has the answer there is none.
A question that failed is put again after a while, since whoever would know may only have been out of reach; an answer
is asked for again after a longer while, since things are renamed, and stands until a better one comes.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from exporter.processes.labels import clean_label

logger = logging.getLogger(__name__)

K = TypeVar("K", int, str)


class _Answer(NamedTuple):
    """``text`` is empty when the look-up failed; after ``due`` (monotonic seconds) it is made again."""

    text: str
    due: float


class Lookups(Generic[K]):
    """Safe to share between threads, bounded in memory; ``look_up`` may block, and raises when it does not know."""

    def __init__(
        self,
        name: str,
        look_up: Callable[[K], str],
        *,
        size: int = 4096,
        waiting: int = 256,
        forget_failure: float = 60.0,
        renew: float = 600.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._look_up = look_up
        self._size = size
        self._forget_failure = forget_failure
        self._renew = renew
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._answers: dict[K, _Answer] = {}
        self._asked: set[K] = set()
        self._questions: queue.Queue[K] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None

    def known(self, key: K) -> str:
        """What is known of ``key`` by now, cleaned for a label; empty while nothing is."""
        with self._lock:
            answer = self._answers.get(key)
            if key not in self._asked and (answer is None or self._monotonic() >= answer.due):
                self._ask(key)
        return answer.text if answer else ""

    def settled(self, key: K) -> bool:
        """Whether the question was ever answered, even if only that nothing is known."""
        with self._lock:
            return key in self._answers

    def _ask(self, key: K) -> None:
        try:
            self._questions.put_nowait(key)
        except queue.Full:
            # Asked for again with the next reading; by then the thread may have come further.
            return
        self._asked.add(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            key = self._questions.get()
            try:
                found = clean_label(self._look_up(key))
            except Exception as error:  # noqa: BLE001 -- one question must not end the answers to all others
                logger.debug("%s: nothing known of %s: %r", self._name, key, error)
                found = ""
            with self._lock:
                self._remember(key, found)

    def _remember(self, key: K, found: str) -> None:
        self._asked.discard(key)
        before = self._answers.pop(key, None)
        if len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        lasts = self._renew if found else self._forget_failure
        self._answers[key] = _Answer(found or (before.text if before else ""), self._monotonic() + lasts)
