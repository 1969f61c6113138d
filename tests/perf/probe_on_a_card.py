"""What the probe takes from a real card: ``python -m tests.perf.probe_on_a_card --python PYTHON --minutes 10``.

The real exporter probes the first card as often as its share allows. Then a job of ours computes on the card without
pause, first alone and then beside the exporter. Shown are the share of the card's time, the memory that was in use
before the first run and after each, the reasons of what was skipped, and how fast the job was in both cases. Needs a
card and a Python with torch for it.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.running import Running, series

MIB = 2**20
SHARE = 0.01
JOB = """
import time, torch
a = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
while True:
    torch.cuda.synchronize()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < 1:
        a @ a
        torch.cuda.synchronize()
        steps += 1
    print(steps / (time.perf_counter() - began), flush=True)
"""


def probing(home: Path, python: str) -> Running:
    """The exporter with a probe that is in a hurry."""
    own = {"ENABLED": "true", "PYTHON": python, "INTERVAL": "10s", "QUIET": "5s", "SHARE": str(SHARE), "GPUS": "0"}
    environ = {f"GPUWARDEN_EXPORTER_PROBE_{key}": value for key, value in own.items()}
    return Running("exporter", "--listen", "127.0.0.1:0", "--state", str(home / "state"), home=home, environ=environ)


def total(found: dict, name: str, **labels: str) -> float:
    """The sum of a name's series that carry these labels."""
    return sum(value for shown, value in found.get(name, {}).items() if labels.items() <= dict(shown).items())


def watch(process: Running, seconds: float) -> Iterator[dict]:
    """The page, once a second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield series(process.url)
        time.sleep(1)


def skipped(found: dict) -> str:
    """Each reason and how often."""
    counts: dict[str, float] = {}
    for labels, value in found.get("model_probe_skipped_total", {}).items():
        counts[dict(labels)["reason"]] = counts.get(dict(labels)["reason"], 0) + value
    return ", ".join(f"{reason} {count:g}" for reason, count in sorted(counts.items()) if count) or "nothing"


def duty(python: str, minutes: float) -> None:
    """How much of the card's time was used, and whether its memory came back."""
    with tempfile.TemporaryDirectory() as folder, probing(Path(folder), python) as process:
        memory: list[float] = []
        ran, busy_seconds, found = 0.0, 0.0, series(process.url)
        for found in watch(process, 60 * minutes):
            running = total(found, "model_probe_running")
            busy_seconds += running
            runs = total(found, "model_requests_total", source="probe")
            if not running and (not memory or runs > ran) and "gpu_memory_used_bytes" in found:
                memory.append(total(found, "gpu_memory_used_bytes", gpu="0"))
                ran = runs
        used = total(found, "model_probe_time_used_ratio") * 3600
        print(f"runs {ran:g} in {minutes:g} min; skipped: {skipped(found)}")
        print(f"device time {used:.1f} s = {used / (60 * minutes):.3%} of these minutes (share {SHARE:.0%})")
        print(f"a child was there for {busy_seconds:.0f} s")
        print("memory in use before, and after each run, MiB:", " ".join(f"{value / MIB:.0f}" for value in memory))
        for name in ("time_to_first_token", "time_per_output_token", "duration", "run_duration", "cold"):
            for labels, value in found.get(f"model_probe_{name}_seconds", {}).items():
                words = dict(labels)
                print(f"{words['model']} {name} {words.get('percentile', '')}: {1000 * value:.2f} ms")


def job_speed(python: str, seconds: float) -> float:
    """Steps per second of a job that computes without pause, the median of its seconds."""
    with subprocess.Popen([python, "-c", JOB], stdout=subprocess.PIPE, text=True) as job:
        speeds = [float(line) for line, _ in zip(job.stdout, range(int(seconds) + 5), strict=False)]
        job.kill()
    return statistics.median(speeds[5:])


def beside(python: str, seconds: float) -> None:
    """A job alone, beside the exporter that probes, and alone again."""
    alone = job_speed(python, seconds)
    with tempfile.TemporaryDirectory() as folder, probing(Path(folder), python) as process:
        together = job_speed(python, seconds)
        found = series(process.url)
    again = job_speed(python, seconds)
    lost = 1 - together / statistics.fmean([alone, again])
    print(
        f"job: alone {alone:.1f}, beside the probe {together:.1f}, alone again {again:.1f} steps/s: {lost:.2%} slower"
    )
    print(f"meanwhile skipped: {skipped(found)}; runs {total(found, 'model_requests_total', source='probe'):g}")


def main() -> None:
    """Both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="a Python with torch")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--job-seconds", type=float, default=40)
    given = parser.parse_args()
    duty(given.python, given.minutes)
    beside(given.python, given.job_seconds)


if __name__ == "__main__":
    main()
