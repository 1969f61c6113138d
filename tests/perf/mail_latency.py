"""How long it takes from a threshold crossed at the driver to the mail accepted, on three roads at the same moments.

``python -m tests.perf.mail_latency [--crossings 15] [--seed 1]``. Simulated cards fill up one after the other, at
moments drawn from the seed. One real exporter reads them once a second. Over it, side by side, all real processes:

- ``gpuwarden up`` as shipped, which judges every 5 s, and a second alerter that judges every second;
- Prometheus and Alertmanager with the stack's own files (scrape and evaluation every 5 s), and an alerter behind them.

The rule has ``for: 0s`` and nothing is gathered into digests: what waits on purpose is not latency. A mail counts from
the moment in which the card's memory is written to that in which the mail server has stored it, just before its 250. A
first crossing, which finds everything cold, is not counted.

Prometheus scrapes and evaluates at fixed distances from each other, which it draws at its start: one run differs from
the next by up to an interval there.
"""

import argparse
import contextlib
import email
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.running import alerter
from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.smtp.server import SmtpServer
from tests.fakes.smtp.stages import recorded
from tests.polling import wait_until
from tests.scenarios.pace import Pace
from tests.scenarios.roads import PROMETHEUS, UP, Roads

FAST = "fast"
NAMES = {
    UP: "gpuwarden up, judged every 5 s",
    FAST: "the alerter alone, judged every 1 s",
    PROMETHEUS: "Prometheus and Alertmanager, every 5 s",
}
ALERT, PERSON = "GpuMemoryAlmostFull", "ann@example.com"
MOST_CROSSINGS = 15
"""A card for each, and one for the first."""

_EMPTY, _FULL = 0.5, 0.95
_SHORTEST_PAUSE, _LONGEST_PAUSE = 4.0, 10.0
_SECONDS_FOR_A_MAIL = 60.0


@dataclass(frozen=True, slots=True)
class AtOnce(Pace):
    """Everything as shipped, but the rule in question waits for nothing."""

    def rules(self) -> str:
        return f"rules:\n  - {{override: {ALERT}, for: 0s}}\n"


def fill(driver: FakeDriver, card: int, ratio: float) -> float:
    """Fill a card's memory; when that was, in Unix seconds."""
    gpu = driver.gpu(card)
    gpu.memory_used = int(ratio * (gpu.memory_total - gpu.memory_reserved))
    return time.time()


def accepted(server: SmtpServer) -> dict[int, float]:
    """When the mail about each card was stored, in Unix seconds."""
    found: dict[int, float] = {}
    paths = sorted((server.folder / "mails").glob("*.json"))
    for path, mail in zip(paths, recorded(server.folder), strict=False):
        message = email.message_from_bytes(mail.data)
        named = re.search(r"GPU (\d+) memory", message["Subject"].replace("\n", ""))
        if named and mail.recipients == (PERSON,) and message["X-Gpuwarden-Alert"] == ALERT:
            found.setdefault(int(named[1]), path.stat().st_mtime)
    return found


def cross(driver: FakeDriver, servers: Mapping[str, SmtpServer], crossings: int, seed: int) -> dict[int, float]:
    """Let one card after the other fill up, and wait for all mails; when each crossed, without the first."""
    drawn, crossed = random.Random(seed), {}

    def told(cards: int) -> bool:
        return all(len(accepted(server)) == cards for server in servers.values())

    def missing() -> str:
        return f"mails are missing: { ({name: sorted(accepted(server)) for name, server in servers.items()}) }"

    fill(driver, 0, _FULL)
    wait_until(lambda: told(1), _SECONDS_FOR_A_MAIL, missing)
    for card in range(1, crossings + 1):
        progress(f"crossing {card} of {crossings}")
        time.sleep(drawn.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))
        crossed[card] = fill(driver, card, _FULL)
    wait_until(lambda: told(crossings + 1), _SECONDS_FOR_A_MAIL, missing)
    progress("")
    return crossed


def measure(home: Path, driver: FakeDriver, crossings: int, seed: int) -> dict[str, list[float]]:
    """Seconds from each crossing to its mail, by road."""
    for card in range(crossings + 1):
        fill(driver, card, _EMPTY)
    roads = Roads(home, driver, AtOnce(1.0), {"NOTIFY_DIGEST_ABOVE": "0"})
    roads.smtp[FAST] = SmtpServer(home / "smtp-fast")
    with contextlib.ExitStack() as stack:
        stack.enter_context(roads)
        environ = {**roads._mail(FAST), "GPUWARDEN_ALERTER_INTERVAL": "1s"}
        (home / FAST).mkdir()
        page = f"http://{roads._address('exporter:9400')}"
        fast = stack.enter_context(alerter(home / FAST, page, environ=environ))
        fast.wait_for("listening")
        crossed = cross(driver, roads.smtp, crossings, seed)
        mails = {road: accepted(roads.smtp[road]) for road in NAMES}
    return {road: [mails[road][card] - at for card, at in crossed.items()] for road in NAMES}


def progress(text: str) -> None:
    """One line at a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    possible = range(1, MOST_CROSSINGS + 1)
    parser.add_argument("--crossings", type=int, default=MOST_CROSSINGS, choices=possible, metavar="1..15")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    cards = ["rtx-3060"] * (arguments.crossings + 1)
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-latency-") as folder,
        FakeDriver.create(Path(folder), cards) as driver,
    ):
        found = measure(Path(folder), driver, arguments.crossings, arguments.seed)
    load = " ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{arguments.crossings} crossings, seed {arguments.seed}; {os.cpu_count()} processors, load {load}\n")
    print("| from the driver to the mail accepted | median | shortest | longest |\n| --- | --- | --- | --- |")
    for road, spans in found.items():
        numbers = (statistics.median(spans), min(spans), max(spans))
        print(f"| {NAMES[road]} | {' | '.join(f'{number:.1f} s' for number in numbers)} |")


if __name__ == "__main__":
    main()
