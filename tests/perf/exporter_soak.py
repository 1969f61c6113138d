"""Whether the exporter's memory stays flat while processes come and go, over a million samples.

``python -m tests.perf.exporter_soak [--samples 1000000] [--cards 8]``. The real exporter samples simulated cards ten
times a second, its shortest interval, and is scraped as often. Before each scrape most processes on every card end and
others begin: some are real children, most are numbers that only the driver knows, each with a name of its own. What
counts is the growth after the first fifth of the run, in which caches and the allocator find their size.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.fakes.nvml import table
from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.nvml.gpu import Process
from tests.perf.contenders import ours
from tests.perf.crowd import idle_child
from tests.perf.watching import Watched

_INTERVAL = 0.1
_WARM_UP = 0.2
_FLAT_BYTES = 2e6
_REAL_AT_A_TIME = 2
_REAL_KEPT = 8
_FIRST_MADE_UP, _MADE_UP = 4_000_000, 190_000
MB = 1e6


class Point(NamedTuple):
    """The exporter's resident bytes after so many samples were scraped."""

    samples: int
    resident: int


class Churn:
    """The processes on all cards; ``step`` replaces all that are no real children, and some of those."""

    def __init__(self, driver: FakeDriver, stack: ExitStack) -> None:
        self._driver = driver
        self._children = stack
        self._numbers = itertools.count()
        self._made_up: deque[Process] = deque(maxlen=table.MAX_PROCESSES - _REAL_KEPT)
        self._real: deque[ExitStack] = deque()
        self._real_pids: deque[int] = deque(maxlen=_REAL_KEPT)

    def step(self) -> None:
        """Some end, others begin."""
        for _ in range(_REAL_AT_A_TIME):
            own = self._children.enter_context(ExitStack())
            self._real_pids.append(own.enter_context(idle_child()).pid)
            self._real.append(own)
        while len(self._real) > _REAL_KEPT:
            self._real.popleft().close()
        for number in itertools.islice(self._numbers, table.MAX_PROCESSES - _REAL_KEPT):
            pid = _FIRST_MADE_UP + number % _MADE_UP
            self._made_up.append(Process(pid, memory=(number % 64 + 1) << 24, name=b"/usr/bin/job-%d" % number))
        listed = [*self._made_up, *(Process(pid, memory=1 << 28) for pid in self._real_pids)]
        for gpu in self._driver.gpus:
            gpu.set_processes(listed)


@contextmanager
def exporter(driver: FakeDriver, state: Path) -> Iterator[Watched]:
    """Ours at its shortest interval."""
    contender = ours(driver.environment(), state)
    watched = Watched([*contender.command, "--interval", f"{_INTERVAL * 1000:.0f}ms"], os.environ | contender.environ)
    try:
        yield watched
    finally:
        watched.end()


def soak(samples: int, cards: int) -> Iterator[Point]:
    """Scrape and churn until so many samples were read; a point for each scrape."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpuwarden-soak-")))
        driver = stack.enter_context(FakeDriver.create(folder, ["rtx-3090"] * cards))
        churn = Churn(driver, stack)
        churn.step()
        watched = stack.enter_context(exporter(driver, folder))
        read = 0
        while read < samples:
            due = time.monotonic() + _INTERVAL
            churn.step()
            watched.scrape()
            read += watched.samples
            yield Point(read, watched.memory()[0])
            time.sleep(max(0.0, due - time.monotonic()))


def growth(points: list[Point]) -> float:
    """Resident bytes gained from the end of the warm-up to the end, each taken over a tenth of the run."""
    tenth = max(1, len(points) // 10)
    warm = round(len(points) * _WARM_UP)
    return _mean(points[-tenth:]) - _mean(points[warm : warm + tenth])


def _mean(points: list[Point]) -> float:
    return sum(point.resident for point in points) / len(points)


def main() -> int:
    """Print resident memory on the way and the verdict; 1 when memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--cards", type=int, default=8, choices=range(1, 17), metavar="1..16")
    arguments = parser.parse_args()
    points: list[Point] = []
    step = arguments.samples / 20
    for point in soak(arguments.samples, arguments.cards):
        if not points or point.samples // step > points[-1].samples // step:
            print(f"{point.samples:>9,} samples: {point.resident / MB:.1f} MB resident", flush=True)
        points.append(point)
    grown = growth(points)
    verdict = "flat" if grown < _FLAT_BYTES else "grows"
    print(f"{verdict}: {grown / MB:+.2f} MB from {_WARM_UP:.0%} of {points[-1].samples:,} samples to the end")
    return verdict != "flat"


if __name__ == "__main__":
    sys.exit(main())
