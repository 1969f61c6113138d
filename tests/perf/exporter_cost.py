"""What the exporter costs beside nvitop-exporter, under the same simulated driver, in the same run.

``python -m tests.perf.exporter_cost [--cards 8] [--seconds 30]``. The peer is installed into build/peers on the first
run. Both sample once a second and are scraped once a second. The driver answers at once, so what is measured is the
exporters' own work; what a real driver adds is the same for both.
"""

import argparse
import contextlib
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.nvml.gpu import Process

ROOT = Path(__file__).parents[2]
PEER = "nvitop-exporter==1.7.2"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one exporter cost: memory in bytes, CPU as a share of a core, answers in seconds."""

    name: str
    rss: float
    cpu: float
    median: float
    slowest: float
    page_bytes: int
    series: int


def peer_command() -> str:
    """The peer's executable, installed on the first call."""
    folder = ROOT / "build" / "peers"
    command = folder / "bin" / "nvitop-exporter"
    if not command.exists():
        print(f"installing {PEER} into {folder} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", PEER], check=True)
    return str(command)


def free_port() -> int:
    """A port of loopback that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextlib.contextmanager
def started(command: Sequence[str], environ: Mapping[str, str], url: str) -> Iterator[psutil.Process]:
    """The command for the time of the block, from its first answer on."""
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(url, trust_env=False)
                    break
                if time.monotonic() > deadline or process.poll() is not None:
                    message = f"{command[0]} did not start"
                    raise TimeoutError(message)
                time.sleep(0.05)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def measure(name: str, process: psutil.Process, url: str, seconds: int) -> Cost:
    """Scrape once a second for ``seconds``; the first five are not counted."""
    times: list[float] = []
    with httpx.Client(trust_env=False, headers={"accept-encoding": "identity"}) as client:
        body = b""
        begun, cpu_before = time.monotonic(), 0.0
        for second in range(-5, seconds):
            if second == 0:
                begun, cpu_before, times = time.monotonic(), sum(process.cpu_times()[:2]), []
            asked = time.monotonic()
            body = client.get(url).content
            times.append(time.monotonic() - asked)
            progress(f"{name}: {max(second + 1, 0)}/{seconds} s")
            time.sleep(max(0.0, 1 - (time.monotonic() - asked)))
        cpu = (sum(process.cpu_times()[:2]) - cpu_before) / (time.monotonic() - begun)
        rss = process.memory_info().rss
    progress("")
    series = len(re.findall(rb"^[^#\n]", body, re.MULTILINE))
    return Cost(name, rss, cpu, statistics.median(times), max(times), len(body), series)


def progress(text: str) -> None:
    """One line at a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def report(costs: Sequence[Cost]) -> str:
    """A Markdown table; the last column is the first row over the second."""
    ours, peer = costs
    rows = [
        ("memory (RSS)", *(f"{cost.rss / MIB:.1f} MiB" for cost in costs), ours.rss / peer.rss),
        ("CPU, share of a core", *(f"{cost.cpu * 100:.2f} %" for cost in costs), ours.cpu / peer.cpu),
        ("answer, median", *(f"{cost.median * 1000:.1f} ms" for cost in costs), ours.median / peer.median),
        ("answer, slowest", *(f"{cost.slowest * 1000:.1f} ms" for cost in costs), ours.slowest / peer.slowest),
        ("series", *(str(cost.series) for cost in costs), ours.series / peer.series),
    ]
    lines = [f"| | {ours.name} | {peer.name} | ratio |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {a} | {b} | {ratio:.2f} |" for name, a, b, ratio in rows)])


def main() -> None:
    """Measure both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, default=8, choices=range(1, 17), metavar="1..16")
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    peer = peer_command()
    with (
        tempfile.TemporaryDirectory(prefix="gpuwarden-perf-") as folder,
        FakeDriver.create(Path(folder), ["rtx-3090"] * arguments.cards) as driver,
    ):
        for index in range(arguments.cards):
            driver.gpu(index).set_processes([Process(pid=os.getpid(), memory=2**30)])
        costs = []
        ours = [sys.executable, "-m", "gpuwarden", "exporter", "--listen", "127.0.0.1:{port}"]
        theirs = [peer, "--bind-address", "127.0.0.1", "--port", "{port}", "--interval", "1"]
        for name, command in (("gpuwarden", ours), (PEER.replace("==", " "), theirs)):
            port = free_port()
            url = f"http://127.0.0.1:{port}/metrics"
            filled = [part.format(port=port) for part in command]
            with started(filled, driver.environment(), url) as process:
                costs.append(measure(name, process, url, arguments.seconds))
    conditions = f"sampled and scraped once a second, {arguments.seconds} s, Python {platform.python_version()}"
    print(f"{arguments.cards} simulated cards, {conditions}\n")
    print(report(costs))


if __name__ == "__main__":
    main()
