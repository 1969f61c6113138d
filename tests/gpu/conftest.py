"""A real exporter on the real cards of this machine; everything here skips where there is none."""

import csv
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Running, exporter

QUERIED = {
    "memory.total": "gpu_memory_total_bytes",
    "memory.reserved": "gpu_memory_reserved_bytes",
    "memory.used": "gpu_memory_used_bytes",
    "memory.free": "gpu_memory_free_bytes",
    "temperature.gpu": "gpu_temperature_celsius",
    "temperature.memory": "gpu_memory_temperature_celsius",
    "power.draw": "gpu_power_watts",
    "enforced.power.limit": "gpu_power_limit_watts",
    "clocks.sm": "gpu_clock_hertz",
    "clocks.mem": "gpu_clock_hertz",
    "clocks.max.sm": "gpu_clock_max_hertz",
    "clocks.max.mem": "gpu_clock_max_hertz",
    "fan.speed": "gpu_fan_speed_ratio",
    "pstate": "gpu_performance_state",
    "compute_mode": "gpu_compute_mode",
    "pcie.link.gen.current": "gpu_pcie_link_generation",
    "ecc.mode.current": "gpu_ecc_enabled",
    "ecc.errors.corrected.volatile.total": "gpu_ecc_errors_total",
    "ecc.errors.uncorrected.volatile.total": "gpu_ecc_errors_total",
    "mig.mode.current": "gpu_mig_enabled",
    "utilization.gpu": "gpu_utilization_ratio",
    "utilization.memory": "gpu_memory_controller_utilization_ratio",
}
"""What nvidia-smi calls a reading, and the series that shows it here."""


@pytest.fixture(scope="session", autouse=True)
def cards() -> int:
    """How many cards nvidia-smi sees; without any, everything here is skipped."""
    if shutil.which("nvidia-smi") is None:
        pytest.skip("there is no NVIDIA driver on this machine (no nvidia-smi)")
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    if listed.returncode or not count:
        pytest.skip(f"nvidia-smi sees no card: {(listed.stderr or listed.stdout).strip()}")
    return count


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The exporter, sampling five times a second."""
    with exporter(tmp_path) as found:
        yield found


@pytest.fixture
def torch_child() -> Iterator[object]:
    """Starts a Python process with torch that runs a text and says "ready"; it ends with the test."""
    pytest.importorskip("torch", reason="the loads need torch")
    children: list[subprocess.Popen[str]] = []

    def start(source: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stdout.readline().strip() == "ready"
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def by_nvidia_smi() -> list[dict[str, str]]:
    """One answer of nvidia-smi: by card, what it calls a reading to its text."""
    answer = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(QUERIED)}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = csv.reader(io.StringIO(answer.stdout), skipinitialspace=True)
    return [dict(zip(QUERIED, row, strict=True)) for row in rows]
