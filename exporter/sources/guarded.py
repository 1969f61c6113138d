"""Calls that may never come back, made so that only what hangs is missing.

``statvfs`` on a file system whose disk or server has died sleeps in the kernel and cannot be taken back. One thread
makes the calls in turn; when one takes too long, the thread is left to it and another makes the rest. What hangs is
not asked for again until its call has come back, so there are never more threads than calls that hang.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Guarded(Generic[K, T]):
    """``call`` answers for one key, None for nothing; it may raise OSError. Used by one thread at a time."""

    def __init__(self, call: Callable[[K], T | None], patience: float = 0.5) -> None:
        self._call = call
        self._patience = patience
        self._left_behind: list[_Pass[K, T]] = []

    def read(self, keys: Iterable[K]) -> dict[K, T]:
        """The answers by key, without those of calls that hang; waits up to twice ``patience`` seconds for each."""
        self._left_behind = [other for other in self._left_behind if other.hanging is not None]
        hanging = {other.hanging for other in self._left_behind}
        waiting = deque(key for key in keys if key not in hanging)
        found: dict[K, T] = {}
        while waiting:
            one = _Pass(self._call, waiting)
            waiting = one.run(self._patience)
            found |= one.found
            if one.hanging is not None:
                self._left_behind.append(one)
        return found


class _Pass(Generic[K, T]):
    """One thread's way through the keys."""

    def __init__(self, call: Callable[[K], T | None], keys: deque[K]) -> None:
        self.found: dict[K, T] = {}
        self.hanging: K | None = None
        """The key of a call that the thread was left to, while it has not come back."""
        self._call = call
        self._keys = keys
        self._current: K | None = None
        self._left = False
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self, patience: float) -> deque[K]:
        """Go through the keys; what is left of them when a call hangs."""
        threading.Thread(target=self._ask, name="file systems", daemon=True).start()
        before: K | None = None
        while not self._ended.wait(patience):
            with self._lock:
                if self._current is not None and self._current == before:
                    self._left, self.hanging = True, self._current
                    return self._keys
                before = self._current
        return deque()

    def _ask(self) -> None:
        while self._keys:
            self._current = self._keys.popleft()
            try:
                answer = self._call(self._current)
            except OSError:
                answer = None
            with self._lock:
                if self._left:
                    self.hanging = None
                    return
                if answer is not None:
                    self.found[self._current] = answer
                self._current = None
        self._ended.set()
