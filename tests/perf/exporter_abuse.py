"""How scrapes fare while others abuse the exporter.

``python -m tests.perf.exporter_abuse [--seconds 60] [--rounds 2]``. The real exporter with its demo cards is scraped by
64 clients once a second each and by one at 10 Hz, first alone and then beside 200 slow readers, 100 slow senders and
10,000 malformed requests. What is printed: the well-behaved ones' errors and times, the exporter's memory, its log. The
abuse comes twice: memory that it took the first time is used again, or it grows.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.running import Running, exporter, series
from tests.perf.abuse import Abused, Scraped, scrape
from tests.perf.exporter_cost import progress
from tests.polling import wait_until

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Load:
    """How much of what."""

    seconds: float = 60.0
    clients: int = 64
    readers: int = 200
    senders: int = 100
    malformed: int = 10_000


@dataclass(slots=True)
class Result:
    """What was seen: scrapes without and with abuse, the abuse, memory in bytes, lines in the log."""

    alone: Scraped
    beside: Scraped
    abused: Abused
    rss_before: int
    rss_highest: int
    rss_after: list[int]
    log_lines: int


@contextlib.contextmanager
def abusing(url: str, load: Load) -> Iterator[list[Abused]]:
    """The abuse in a process of its own for the time of the block; what it saw is in the list afterwards."""
    numbers = {name: getattr(load, name) for name in ("seconds", "readers", "senders", "malformed")}
    arguments = [f"--{name}={value}" for name, value in numbers.items()]
    command = [sys.executable, "-m", "tests.perf.abuse", url, *arguments]
    root = Path(__file__).parents[2]
    seen: list[Abused] = []
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        yield seen
        said, _ = process.communicate(timeout=load.seconds + 30)
        seen.append(Abused(**json.loads(said)))


async def scrapes(url: str, load: Load, process: psutil.Process, what: str, seconds: float) -> tuple[Scraped, int]:
    """Scrape for that time; also the most memory that the exporter had."""
    scraped, highest, begun = Scraped(), 0, time.monotonic()
    many = asyncio.create_task(scrape(url, scraped, load.clients, 1.0, seconds))
    one = asyncio.create_task(scrape(url, scraped, 1, 0.1, seconds))
    while not (many.done() and one.done()):
        highest = max(highest, process.memory_info().rss)
        progress(f"{what}: {time.monotonic() - begun:.0f}/{seconds:.0f} s, {len(scraped.errors)} errors")
        await asyncio.wait({many, one}, timeout=0.5, return_when=asyncio.ALL_COMPLETED)
    progress("")
    await asyncio.gather(many, one)
    return scraped, highest


def measure(running: Running, load: Load, alone: float, rounds: int = 1) -> Result:
    """Scrape alone for ``alone`` seconds, then beside the abuse, of which the last round's scrapes are told."""
    url, process = running.url, psutil.Process(running.process.pid)
    wait_until(lambda: "gpu_up" in series(url), 10, "no page")
    quiet, _ = asyncio.run(scrapes(url, load, process, "alone", alone))
    before, lines = process.memory_info().rss, len(running.lines)
    highest, after = 0, list[int]()
    for number in range(rounds):
        with abusing(url, load) as seen:
            what = f"beside the abuse, {number + 1} of {rounds}"
            beside, most = asyncio.run(scrapes(url, load, process, what, load.seconds))
        # The port, and our own client.
        wait_until(lambda: len(process.net_connections()) <= 2, 60, "connections are left")
        highest = max(highest, most)
        after.append(process.memory_info().rss)
    return Result(quiet, beside, seen[0], before, highest, after, len(running.lines) - lines)


def report(result: Result) -> str:
    """The figures, one line each."""
    abused = result.abused
    lines = [f"{'':24}{'alone':>12}{'abused':>12}"]
    both = (result.alone, result.beside)
    lines += [
        f"{'scrapes':24}" + "".join(f"{len(found.times):12}" for found in both),
        f"{'errors':24}" + "".join(f"{len(found.errors):12}" for found in both),
        f"{'reconnected':24}" + "".join(f"{found.reconnected:12}" for found in both),
    ]
    for share in (0.5, 0.99, 1.0):
        lines.append(f"{f'p{share * 100:g}':24}" + "".join(f"{found.quantile(share) * 1000:9.1f} ms" for found in both))
    sizes = (result.rss_before, result.rss_highest, *result.rss_after)
    lines.append(
        "memory before, highest, and after each round: " + ", ".join(f"{size / MIB:.1f} MiB" for size in sizes)
    )
    lines.append(
        f"slow readers cut off: {abused.slow_readers_cut}, after {abused.longest_reader_seconds:.0f} s at most"
    )
    lines.append(f"slow senders cut off: {abused.slow_senders_cut}; malformed requests: {abused.malformed}")
    lines.append(f"lines in the exporter's log: {result.log_lines}")
    return "\n".join([*lines, *result.beside.errors[:5]])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuwarden-abuse-") as folder:
        with exporter(Path(folder), None, "--demo") as running:
            result = measure(
                running, Load(seconds=arguments.seconds), alone=min(arguments.seconds, 15.0), rounds=arguments.rounds
            )
        print(report(result))
    sys.exit(1 if result.beside.errors else 0)


if __name__ == "__main__":
    main()
