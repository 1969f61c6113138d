"""What it costs to judge all shipped rules over 100 targets of 8 cards: share of the interval, and memory.

``python -m tests.perf.rule_evaluation [--targets 100] [--cards 8]``. The page is the real exporter's for simulated
cards, scraped once and given to each target; before every round its ratios move and its counters grow. First all
windows are filled, the longest first, by rounds as far apart as its slots; then rounds of the alerter's own interval
are timed. The history is measured twice: as tracemalloc sees it, and by the arithmetic that bounds it.
"""

import argparse
import copy
import gc
import math
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from alerts.history import History, most_bytes, slot_of, tracks_of
from alerts.judge import judge
from alerts.notify.due import wanted_metrics
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from alerts.scrape import parse
from alerts.series import Sample, Scrape, label_set
from alerts.state import AlertKey, State
from tests.fakes.nvml.driver import FakeDriver
from tests.perf.contenders import ours
from tests.perf.watching import Watched

INTERVAL = 5.0
_TIMED = 100
_START = 1_800_000_000.0
Page = Mapping[str, list[tuple[dict[str, str], float]]]

_PROFILES = ("rtx-3060", "rtx-3090", "a100-40gb", "h100-80gb")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--cards", type=int, default=8)
    arguments = parser.parse_args()
    rules = load_rules(SHIPPED, ())
    body, wanted = read_page(arguments.cards), wanted_metrics(rules)
    watch = Watch(rules, targets_of(parse(body, wanted), arguments.targets))
    print(
        f"{len(rules)} rules, {arguments.targets} targets x {arguments.cards} cards, {watch.samples:,} samples a round"
    )
    print_reading(body, wanted, arguments.targets)
    watch.fill()
    print_time(watch)
    print_memory(watch)
    return 0


def read_page(cards: int) -> bytes:
    """What the real exporter says of so many simulated cards."""
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-rules-") as folder,
        FakeDriver.create(Path(folder), (_PROFILES * cards)[:cards]) as driver,
    ):
        contender = ours(driver.environment(), Path(folder))
        watched = Watched(contender.command, contender.environ)
        try:
            return watched.page
        finally:
            watched.end()


def targets_of(page: Page, count: int) -> list[Scrape]:
    """The page under the name of each target."""
    made = []
    for number in range(count):
        own = {"job": "gpuwarden", "instance": f"box{number}:9400"}
        rows = {
            name: tuple(Sample(label_set(labels | own), value) for labels, value in row) for name, row in page.items()
        }
        rows["up"] = (Sample(label_set(own), 1.0),)
        made.append(Scrape("", own["job"], own["instance"], 0.0, None, MappingProxyType(rows)))
    return made


class Watch:
    """The embedded judge over the same targets, round after round."""

    def __init__(self, rules: Sequence[Rule], scrapes: Sequence[Scrape]) -> None:
        self.rules, self.scrapes = rules, scrapes
        self.history = History()
        self._states: dict[AlertKey, State] = {}
        self._now, self._source, self._round = _START, random.Random(1), 0

    @property
    def samples(self) -> int:
        """Of one round."""
        return sum(len(found) for scrape in self.scrapes for found in scrape.samples.values())

    def round(self, step: float = INTERVAL) -> float:
        """Judge once, ``step`` seconds after the last time; the seconds that it took."""
        self._now += step
        self._round += 1
        found = [self._moved(scrape) for scrape in self.scrapes]
        began = time.perf_counter()
        self.history.take(self.rules, found, self._now, max_gap=2 * step)
        changes = judge(self.rules, found, self._states, self._now, max_gap=2 * step, history=self.history)
        took = time.perf_counter() - began
        self._states = {change.key: change.state for change in changes if change.state}
        return took

    def fill(self) -> None:
        """Watch for as long as the longest window, then for as long as the next..., so that all are full."""
        tracks = tracks_of(self.rules)
        for window in sorted({window for _, window in tracks}, key=lambda window: -window.length):
            step = max(slot_of(window), INTERVAL)
            for number in range(math.ceil(window.length / step) + 1):
                self.round(step)
                progress(f"filling {window.length:g} s: {number * step:.0f} s")
        progress("")
        assert all(self.history.watched(*key) for key in tracks)

    def _moved(self, scrape: Scrape) -> Scrape:
        rows = {name: tuple(map(self._mover(name), found)) for name, found in scrape.samples.items()}
        return replace(scrape, at=self._now, samples=MappingProxyType(rows))

    def _mover(self, name: str) -> Callable[[Sample], Sample]:
        if name.endswith("_ratio"):
            return lambda sample: Sample(sample.labels, sample.value * self._source.uniform(0.95, 1.05))
        if name.endswith("_total"):
            return lambda sample: Sample(sample.labels, sample.value + self._round / 100)
        return lambda sample: sample


def progress(text: str) -> None:
    """One line at a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def print_reading(body: bytes, wanted: frozenset[str], targets: int) -> None:
    """What reading the pages costs before anything is judged."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        parse(body, wanted)
        took.append(time.perf_counter() - began)
    median = statistics.median(took)
    share = targets * median / INTERVAL
    print(f"reading a page of {len(body):,} bytes: {median * 1000:.1f} ms, all targets {share:.1%} of the interval")


def print_time(watch: Watch) -> None:
    """Share of the interval."""
    took = [watch.round() for _ in range(_TIMED)]
    median, slowest = statistics.median(took), max(took)
    print(f"a round, all windows full: median {median * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms of {_TIMED}")
    print(f"share of the {INTERVAL:g} s interval: {median / INTERVAL:.1%}, slowest {slowest / INTERVAL:.1%}")


def print_memory(watch: Watch) -> None:
    """The history as measured, and its bound."""
    gc.collect()
    tracemalloc.start()
    held = copy.deepcopy(watch.history)
    measured, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bound = sum(most_bytes(count, key[1], INTERVAL) for key, count in watch.history.series.items())
    print(f"history: {sum(watch.history.series.values()):,} series, {held.held:,} samples, {measured / 2**20:.1f} MiB")
    print(f"its bound by arithmetic: {bound / 2**20:.1f} MiB")


if __name__ == "__main__":
    sys.exit(main())
