"""What it costs to judge all shipped rules over 100 targets of 8 cards: share of the interval, and memory.

``python -m tests.perf.rule_evaluation [--targets 100] [--cards 8] [--rounds 200]``. The pages are those that the real
exporter publishes for simulated cards, scraped once and given to each target; before every round their numbers move.
Rounds are judged one after the other on the alerter's own clock, so a whole window is watched in seconds. The history
is measured twice: as tracemalloc sees it, and by the arithmetic that bounds it.
"""

import argparse
import gc
import random
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from alerts import history as keeping
from alerts.history import History, most_bytes, tracks_of
from alerts.judge import judge
from alerts.notify.due import wanted_metrics
from alerts.rule import Rule
from alerts.rules import SHIPPED, load_rules
from alerts.scrape import parse
from alerts.series import Sample, Scrape, label_set
from tests.fakes.nvml.driver import FakeDriver
from tests.perf.contenders import ours
from tests.perf.watching import Watched

INTERVAL = 5.0
MAX_GAP = 2 * INTERVAL
_START = 1_800_000_000.0
Page = Mapping[str, list[tuple[dict[str, str], float]]]

_PROFILES = ("rtx-3060", "rtx-3090", "a100-40gb", "h100-80gb")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--cards", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    rules = load_rules(SHIPPED, ())
    body, wanted = read_page(arguments.cards), wanted_metrics(rules)
    scrapes = targets_of(parse(body, wanted), arguments.targets)
    series = sum(len(found) for scrape in scrapes for found in scrape.samples.values())
    print(f"{len(rules)} rules, {arguments.targets} targets x {arguments.cards} cards, {series:,} samples a round")
    print_reading(body, wanted, arguments.targets)
    print_time(rules, scrapes, arguments.rounds)
    print_memory(rules, scrapes, arguments.rounds)
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


def moved(scrapes: Sequence[Scrape], source: random.Random, now: float) -> list[Scrape]:
    """The same scrapes a round later, each ratio a little up or down."""
    return [
        replace(
            scrape,
            at=now,
            samples=MappingProxyType(
                {
                    name: tuple(Sample(sample.labels, sample.value * source.uniform(0.95, 1.05)) for sample in found)
                    if name.endswith("_ratio")
                    else found
                    for name, found in scrape.samples.items()
                }
            ),
        )
        for scrape in scrapes
    ]


def rounds(rules: Sequence[Rule], scrapes: Sequence[Scrape], count: int, history: History) -> Iterator[float]:
    """Judge ``count`` rounds; yields the seconds of each."""
    source, states, now = random.Random(1), {}, _START
    for _ in range(count):
        now += INTERVAL
        found = moved(scrapes, source, now)
        began = time.perf_counter()
        history.take(rules, found, now, max_gap=MAX_GAP)
        changes = judge(rules, found, states, now, max_gap=MAX_GAP, history=history)
        yield time.perf_counter() - began
        states = {change.key: change.state for change in changes if change.state}


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


def print_time(rules: Sequence[Rule], scrapes: Sequence[Scrape], count: int) -> None:
    """Share of the interval, once every window is full."""
    took = []
    for number, seconds in enumerate(rounds(rules, scrapes, count, History()), 1):
        took.append(seconds)
        if sys.stderr.isatty():
            print(f"\rround {number}/{count} ", end="", file=sys.stderr)
    last = took[-len(took) // 4 :]
    median, slowest = statistics.median(last), max(last)
    print(f"a round: median {median * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms (of the last {len(last)})")
    print(f"share of the {INTERVAL:g} s interval: {median / INTERVAL:.1%}, slowest {slowest / INTERVAL:.1%}")


def print_memory(rules: Sequence[Rule], scrapes: Sequence[Scrape], count: int) -> None:
    """The history as measured, and its bound."""
    history = History()
    gc.collect()
    tracemalloc.start()
    for _ in rounds(rules, scrapes, count, history):
        pass
    gc.collect()
    statistics_of = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, keeping.__file__)])
    measured = sum(trace.size for trace in statistics_of.statistics("filename"))
    tracemalloc.stop()
    held = history.held
    bound = sum(most_bytes(_series(scrapes, metric), window, INTERVAL) for metric, window in tracks_of(rules))
    print(f"history: {held:,} samples held, {measured / 2**20:.1f} MiB measured with all that surrounds them")
    print(f"history's bound by arithmetic, all windows full: {bound / 2**20:.1f} MiB of samples")


def _series(scrapes: Sequence[Scrape], metric: str) -> int:
    return sum(len(scrape.samples.get(metric, ())) for scrape in scrapes)


if __name__ == "__main__":
    sys.exit(main())
