"""One thread per source, and the latest of what they read.

A source that hangs, fails or is slow holds up nobody but itself: each has a daemon thread, and ``latest`` only picks
up what the threads have laid down. Nothing expires here; every reading carries its time and the page decides what is
too old, so that it does so even when every thread here is dead.

A source is read at once and then on a grid of ``interval`` seconds that all sources share, so that a page shows one
moment; a reading that takes longer than that skips grid points, it is not caught up on. A failed reading replaces the
last one at once: its cards stand as lost. Whatever came of a reading, ``landed`` is then called in the source's thread.

Who must know how things are at this moment (and not a second ago) has a source read beside the grid: ``read_now``.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from exporter.snapshot import Gpu, Snapshot, SourceHealth, lost
from exporter.sources.reader import Part, Reader, SourceError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A reading that is under way for this many intervals is worth a word to the person who looks.
_LONG = 2


def next_due(due: float, now: float, interval: float) -> float:
    """The first point after ``now`` on the grid that ``due`` lies on (seconds)."""
    missed = max(0, (now - due) // interval)
    return due + (missed + 1) * interval


class _Clock(NamedTuple):
    """``grid`` is one point of the grid that all readings lie on, in ``monotonic`` seconds."""

    interval: float
    grid: float
    monotonic: Callable[[], float]
    wall: Callable[[], float]


class Sampler:
    """Reads all sources; safe to use from any thread. Times: ``monotonic`` for ages, ``wall`` for Unix timestamps."""

    def __init__(
        self,
        interval: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.landed: Callable[[], None] = lambda: None
        self._clock = _Clock(interval, monotonic(), monotonic, wall)
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}
        self._leaving: list[_Worker] = []

    def add(self, reader: Reader, expected: Callable[[], Part] = Part, interval: float | None = None) -> None:
        """Start reading; what ``expected`` says is shown while the first reading takes longer than an interval.

        ``interval`` in seconds, where this source has one of its own.

        Raises:
            ValueError: a source of that name is being read already.
        """
        clock = self._clock._replace(interval=interval or self.interval)
        worker = _Worker(reader, expected, clock, self._tell)
        with self._lock:
            if reader.source in self._workers:
                message = f"the source {reader.source} is being read already"
                raise ValueError(message)
            self._workers[reader.source] = worker
        worker.start()

    def remove(self, source: str) -> None:
        """Forget a source and its readings; its thread ends after the reading that it may be in."""
        with self._lock:
            worker = self._workers.pop(source, None)
            if worker is None:
                return
            self._leaving = [*(other for other in self._leaving if other.alive), worker]
        worker.leave()

    def latest(self) -> Snapshot:
        """The last reading of every source, whatever its age; never waits for a source."""
        with self._lock:
            workers = tuple(self._workers.values())
        now = self._clock.monotonic()
        seen = [worker.seen(now) for worker in workers]
        parts = [part for part, _ in seen]
        return Snapshot(
            gpus=tuple(sorted((gpu for part in parts for gpu in part.gpus), key=_rank)),
            host=next((part.host for part in parts if part.host is not None), None),
            sources=tuple(health for _, health in seen),
            simulated=any(part.simulated for part in parts),
            gpus_expected=next((part.gpus_expected for part in parts if part.gpus_expected is not None), None),
        )

    def read_now(self, wanted: Callable[[Part], T | None], timeout: float) -> T | None:
        """What a reading that begins after this call has of what is ``wanted``; None when it does not come in time.

        The source is the one whose last reading had it. Blocks for up to ``timeout`` seconds.
        """
        with self._lock:
            workers = tuple(self._workers.values())
        for worker in workers:
            part = worker.last()
            if part is not None and wanted(part) is not None:
                fresh = worker.read_now(timeout)
                return None if fresh is None else wanted(fresh)
        return None

    def _tell(self) -> None:
        self.landed()

    def stop(self, timeout: float) -> bool:
        """End all threads; False when one is still in its reading after ``timeout`` seconds.

        Such a thread cannot be ended. It does not keep the process alive, but a library's own exit code may wait for
        the call that it is in: the caller then leaves with ``os._exit``.
        """
        with self._lock:
            workers = [*self._workers.values(), *self._leaving]
            self._workers.clear()
            self._leaving.clear()
        for worker in workers:
            worker.leave()
        deadline = time.monotonic() + timeout
        return all(worker.ended(max(0.0, deadline - time.monotonic())) for worker in workers)


class _Worker:
    """One source's thread. What ``seen`` needs is replaced as one tuple, so it needs no lock."""

    def __init__(self, reader: Reader, expected: Callable[[], Part], clock: _Clock, landed: Callable[[], None]) -> None:
        self._reader = reader
        self._expected = expected
        self._clock = clock
        self._landed = landed
        self._left = False
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._begun = self._ended = 0
        self._thread = threading.Thread(target=self._run, name=f"sampler {reader.source}", daemon=True)
        self._began = clock.monotonic()
        self._reading = True
        self._complaint = ""
        self._seen: tuple[Part, SourceHealth] | None = None

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        self._left = True
        self._wake.set()

    def last(self) -> Part | None:
        return self._seen[0] if self._seen else None

    def read_now(self, timeout: float) -> Part | None:
        """A reading that begins from now on, None when there is none in time."""
        with self._turn:
            wanted = self._begun + 1
            self._wake.set()
            came = self._turn.wait_for(lambda: self._ended >= wanted, timeout)
        return self.last() if came else None

    def ended(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def seen(self, now: float) -> tuple[Part, SourceHealth]:
        """The last reading and how the source fares."""
        seen, reading, took = self._seen, self._reading, now - self._began
        detail = (
            f"a reading has been under way for {took:.0f} s" if reading and took > _LONG * self._clock.interval else ""
        )
        if seen is None:
            part = self._expected() if took > self._clock.interval else Part()
            return part, SourceHealth(self._reader.source, False, now, 0.0, None, detail or "not read yet")
        part, health = seen
        return part, replace(health, detail=detail) if detail else health

    def _run(self) -> None:
        while not self._left:
            with self._turn:
                self._begun += 1
                self._wake.clear()
            self._began = self._clock.monotonic()
            self._reading = True
            self._read()
            self._reading = False
            with self._turn:
                self._ended = self._begun
                self._turn.notify_all()
            self._landed()
            if self._left:  # whoever said so before this reading began has had his signal cleared
                return
            now = self._clock.monotonic()
            self._wake.wait(next_due(self._clock.grid, now, self._clock.interval) - now)

    def _read(self) -> None:
        try:
            part = self._reader.read()
        except SourceError as error:
            if not error.quiet:
                self._complain(str(error))
            self._failed(error.part, str(error))
        except Exception as error:  # noqa: BLE001 -- a mistake in one source must not end its thread for good
            text = f"{type(error).__name__}: {error}"
            self._complain(text, error)
            self._failed(None, text)
        else:
            self._succeeded(part)

    def _complain(self, text: str, error: Exception | None = None) -> None:
        if text != self._complaint:
            logger.warning("%s: %s", self._reader.source, text, exc_info=error)
            self._complaint = text

    def _succeeded(self, part: Part) -> None:
        if self._complaint:
            logger.info("%s: answers again", self._reader.source)
            self._complaint = ""
        now = self._clock.monotonic()
        self._seen = (
            part,
            SourceHealth(self._reader.source, True, now, now - self._began, self._clock.wall(), part.detail),
        )

    def _failed(self, part: Part | None, text: str) -> None:
        now = self._clock.monotonic()
        last, health = self._seen or (Part(), None)
        if part is None:
            gpus = tuple(replace(lost(gpu), read_at=now) for gpu in last.gpus)
            part = Part(gpus=gpus, simulated=last.simulated)
        succeeded_at = health.succeeded_at if health else None
        self._seen = part, SourceHealth(self._reader.source, False, now, now - self._began, succeeded_at, text)


def _rank(gpu: Gpu) -> tuple[int, str, str]:
    number = int(gpu.index) if gpu.index.isdecimal() else 2**31
    return number, gpu.index, gpu.uuid
