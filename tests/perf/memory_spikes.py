"""How many one-second memory spikes a 15 s scraper sees, with ``gpu_memory_used_peak_bytes`` and without.

``python -m tests.perf.memory_spikes [--seconds 240] [--cards 16] [--seed 1]``. The real exporter samples simulated
cards once a second. Each card's memory jumps up for one second, about once in 75 s: further apart than the trailing
minute of the peaks, so that every spike has a peak of its own. All times and heights are drawn from the seed. A spike
is seen when the scraper, which knows nothing but the page, is given its height.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.fakes.nvml.driver import FakeDriver
from tests.perf.contenders import ours
from tests.perf.watching import Watched

SERIES = ("gpu_memory_used_bytes", "gpu_memory_used_peak_bytes")
_SPIKE_SECONDS, _SCRAPE_SECONDS = 1.0, 15.0
_APART_SECONDS, _ANYWHERE_SECONDS = 75.0, 14.0
_GIB = 2**30
_IDLE = 2 * _GIB


@dataclass(frozen=True, slots=True, order=True)
class Spike:
    """One card's memory is at ``height`` bytes for a second, ``at`` seconds after the beginning."""

    at: float
    card: int
    height: int


def spikes(seed: int, cards: int, seconds: float) -> list[Spike]:
    """All spikes of a run that leave the scraper time to see them, in order."""
    drawn = random.Random(seed)
    last = seconds - _SPIKE_SECONDS - _SCRAPE_SECONDS
    starts = (
        (slot * _APART_SECONDS + drawn.uniform(0, _ANYWHERE_SECONDS), card)
        for card in range(cards)
        for slot in range(int(seconds // _APART_SECONDS) + 1)
    )
    return sorted(Spike(at, card, drawn.randrange(8 * _GIB, 20 * _GIB)) for at, card in starts if at <= last)


def play(driver: FakeDriver, watched: Watched, planned: list[Spike], seconds: float) -> Iterator[tuple[float, bytes]]:
    """Let the spikes happen in real time; yields each scrape's time and page."""
    events = [(spike.at, spike.card, spike.height) for spike in planned]
    events += [(spike.at + _SPIKE_SECONDS, spike.card, _IDLE) for spike in planned]
    events += [(at * _SCRAPE_SECONDS, -1, 0) for at in range(int(seconds // _SCRAPE_SECONDS) + 1)]
    began = time.monotonic()
    for at, card, height in sorted(events):
        progress(f"{at:.0f}/{seconds:.0f} s")
        time.sleep(max(0.0, began + at - time.monotonic()))
        if card >= 0:
            driver.gpu(card).memory_used = height
        else:
            watched.scrape()
            yield at, watched.page
    progress("")


def seen(planned: list[Spike], scrapes: list[tuple[float, bytes]]) -> dict[str, int]:
    """How many of the spikes some scrape showed, by series."""
    shown: dict[str, set[tuple[int, float]]] = {name: set() for name in SERIES}
    for _, page in scrapes:
        for family in text_string_to_metric_families(page.decode()):
            if family.name in shown:
                shown[family.name] |= {(int(sample.labels["gpu"]), sample.value) for sample in family.samples}
    return {name: sum((spike.card, spike.height) in values for spike in planned) for name, values in shown.items()}


def progress(text: str) -> None:
    """One line at a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Play a run and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--cards", type=int, default=16, choices=range(1, 17), metavar="1..16")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    planned = spikes(arguments.seed, arguments.cards, arguments.seconds)
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-spikes-") as folder,
        FakeDriver.create(Path(folder), ["rtx-3090"] * arguments.cards) as driver,
    ):
        for card in range(arguments.cards):
            driver.gpu(card).memory_used = _IDLE
        contender = ours(driver.environment(), Path(folder))
        watched = Watched(contender.command, {**os.environ, **contender.environ})
        try:
            found = seen(planned, list(play(driver, watched, planned, arguments.seconds)))
        finally:
            watched.end()
    print(
        f"{len(planned)} spikes of {_SPIKE_SECONDS:g} s on {arguments.cards} cards, "
        f"scraped every {_SCRAPE_SECONDS:g} s, seed {arguments.seed}\n"
    )
    print("| scraped series | spikes seen | share |\n| --- | --- | --- |")
    for name, count in found.items():
        print(f"| {name} | {count} of {len(planned)} | {count / max(1, len(planned)):.0%} |")


if __name__ == "__main__":
    main()
