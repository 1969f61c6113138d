"""What the exporter costs beside nvitop-exporter and node_exporter, in one run on one machine.

``python -m tests.perf.exporter_cost [--cards 8] [--seconds 220]``. The peers are fetched into build/peers on the first
run. How it is measured:

- One simulated driver for all who read cards. It answers at once, so what is measured is the exporters' own work; what
  a real driver adds is the same for both. Its page of state is three megabytes of each reader's resident memory.
- Each is started twice, for its start, and the second time it stays. Then they take turns, in rounds, so that all meet
  the same machine; who is not at turn stands still.
- A turn is a while to settle; then a scrape every five seconds, in which processor time is counted; then a scrape a
  little less often than once a second, so that each meets a new sample (and every moment between two samples); then
  many scrapes at once, which find nothing new where there is a cache. node_exporter reads anew for every scrape.
- Since nvitop-exporter says more of each process, a larger page of ours is measured too, with at least as many samples.
- Everybody samples once a second and is asked as Prometheus asks: OpenMetrics and gzip.
"""

import argparse
import contextlib
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.nvml.driver import FakeDriver
from tests.perf.contenders import Contender, contenders, ours
from tests.perf.crowd import PROCESSES, crowded_driver
from tests.perf.watching import Watched

_STARTS = 2
_ROUNDS = 2
_SETTLE_SECONDS = 2.0
_SECONDS_OF_A_START = 5.0
_CPU_SHARE = 0.5
_SCRAPE_EVERY = 5.0
_FRESH_EVERY = 1.037
_REPEATED, _REPEATED_SECONDS = 200, 3.0
STATE = "nvml-state"
_LARGE = 16
MB = 1e6


@dataclass(slots=True)
class Taken:
    """Everything measured of one exporter, in seconds and bytes."""

    starts: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    repeated: list[float] = field(default_factory=list)
    cpu: float = 0.0
    cpu_over: float = 0.0
    resident: int = 0
    simulated: int = 0
    proportional: int | None = None
    samples: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def measured(contender: Contender, watched: Watched, taken: Taken, seconds: float) -> None:
    """One turn: ``seconds`` of scrapes that each meet something new, and what stands around them."""
    with watched.awake():
        pause(_SETTLE_SECONDS, f"{contender.name}: settling")
        watched.scrape()
        cpu_seconds = max(_SCRAPE_EVERY, seconds * _CPU_SHARE // _SCRAPE_EVERY * _SCRAPE_EVERY)
        before, began = watched.cpu_seconds(), time.monotonic()
        for _ in range(round(cpu_seconds / _SCRAPE_EVERY)):
            pause(_SCRAPE_EVERY, f"{contender.name}: processor time")
            taken.fresh.append(watched.scrape())
        taken.cpu += watched.cpu_seconds() - before
        taken.cpu_over += time.monotonic() - began
        for _ in range(max(1, round((seconds - cpu_seconds) / _FRESH_EVERY))):
            pause(_FRESH_EVERY, f"{contender.name}: fresh scrapes")
            taken.fresh.append(watched.scrape())
        ends = time.monotonic() + _REPEATED_SECONDS
        for _ in range(_REPEATED):
            if time.monotonic() < ends:
                taken.repeated.append(watched.scrape())
        taken.samples = watched.samples
        taken.resident, taken.proportional = watched.resident(), watched.proportional()
        taken.simulated = watched.mapped(STATE)


def measure(entrants: Sequence[Contender], seconds: float) -> list[Taken]:
    """All turns of all exporters, in about ``seconds``."""
    results = [Taken() for _ in entrants]
    aside = _SETTLE_SECONDS + _REPEATED_SECONDS + _STARTS * _SECONDS_OF_A_START / _ROUNDS
    turn = max(10.0, seconds / len(entrants) / _ROUNDS - aside)
    with contextlib.ExitStack() as stack:
        for _ in range(_STARTS - 1):
            for contender, taken in zip(entrants, results, strict=True):
                with running(contender) as watched:
                    taken.starts.append(watched.start_seconds)
        all_watched: list[Watched] = []
        for contender, taken in zip(entrants, results, strict=True):
            watched = stack.enter_context(running(contender))
            taken.starts.append(watched.start_seconds)
            watched.stop()
            all_watched.append(watched)
        for _ in range(_ROUNDS):
            for contender, watched, taken in zip(entrants, all_watched, results, strict=True):
                measured(contender, watched, taken, turn)
    progress("")
    return results


@contextlib.contextmanager
def running(contender: Contender) -> Iterator[Watched]:
    """The exporter from its first complete answer to the end of the block."""
    progress(f"{contender.name}: starting")
    watched = Watched(contender.command, {**os.environ, **contender.environ})
    try:
        yield watched
    finally:
        watched.end()


def pause(seconds: float, text: str) -> None:
    """Wait, and say what for."""
    progress(text)
    time.sleep(seconds)


def progress(text: str) -> None:
    """One line at a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


ROWS: tuple[tuple[str, Callable[[Taken], float | None], str], ...] = (
    ("fresh scrape, median", lambda taken: statistics.median(taken.fresh) * 1000, "{:.2f} ms"),
    ("fresh scrape, p99", lambda taken: percentile(taken.fresh, 0.99) * 1000, "{:.2f} ms"),
    ("repeated scrape, median", lambda taken: statistics.median(taken.repeated) * 1000, "{:.2f} ms"),
    ("repeated scrape, p99", lambda taken: percentile(taken.repeated, 0.99) * 1000, "{:.2f} ms"),
    ("processor time per minute", lambda taken: taken.cpu / taken.cpu_over * 60, "{:.2f} s"),
    ("resident memory (RSS)", lambda taken: taken.resident / MB, "{:.1f} MB"),
    ("resident, without the simulated driver", lambda taken: (taken.resident - taken.simulated) / MB, "{:.1f} MB"),
    (
        "memory by share (PSS)",
        lambda taken: None if taken.proportional is None else taken.proportional / MB,
        "{:.1f} MB",
    ),
    ("start to first complete answer", lambda taken: statistics.median(taken.starts), "{:.2f} s"),
    ("samples", lambda taken: taken.samples, "{:.0f}"),
    (
        "fresh scrape, median per 1,000 samples",
        lambda taken: statistics.median(taken.fresh) * 1e6 / taken.samples,
        "{:.2f} ms",
    ),
)


def report(everybody: Sequence[Contender], found: dict[str, Taken]) -> str:
    """A Markdown table: a column for each exporter, then ours over each other's."""
    first, *others = everybody
    head = ["", *(contender.name for contender in everybody), *(f"ours / {other.name}" for other in others)]
    lines = [head, ["---"] * len(head)]
    for title, value_of, form in ROWS:
        values = {name: value_of(taken) for name, taken in found.items()}
        cells = [
            contender.missing or ("unknown" if (value := values[contender.name]) is None else form.format(value))
            for contender in everybody
        ]
        ratios = [
            f"{values[first.name] / values[other.name]:.3f}" if values.get(other.name) and values[first.name] else "-"
            for other in others
        ]
        lines.append([title, *cells, *ratios])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, default=8, choices=range(1, 17), metavar="1..16")
    parser.add_argument("--seconds", type=float, default=220.0, help="for the whole run, about [default: 220]")
    arguments = parser.parse_args()
    with crowded_driver(arguments.cards) as driver, crowded_driver(_LARGE, "h100-80gb") as larger:
        everybody = contenders(driver.environment(), folder_of(driver))
        large = ours({**larger.environment(), "GPUWARDEN_EXPORTER_DIALECTS": "dcgm-4.8"}, folder_of(larger))
        entrants = [contender for contender in everybody if not contender.missing]
        *results, of_large = measure([*entrants, large], arguments.seconds)
    found = {contender.name: taken for contender, taken in zip(entrants, results, strict=True)}
    fresh = len(results[0].fresh)
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    print(
        f"{arguments.cards} simulated cards with {PROCESSES} processes each, sampled once a second; {fresh} fresh "
        f"scrapes; Python {platform.python_version()}, {os.cpu_count()} processors, load {load}\n"
    )
    print(report(everybody, found))
    print(
        f"\nOur larger page ({_LARGE} cards that count everything, DCGM's names too): {of_large.samples} samples, "
        f"fresh scrape median {statistics.median(of_large.fresh) * 1000:.2f} ms, "
        f"p99 {percentile(of_large.fresh, 0.99) * 1000:.2f} ms."
    )


def folder_of(driver: FakeDriver) -> Path:
    """Where the simulated driver keeps its page, and our exporter what it remembers."""
    return Path(driver.environment()["FAKE_NVML_STATE"]).parent


if __name__ == "__main__":
    main()
