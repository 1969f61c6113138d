"""The exporter beside nvidia-smi on real cards, at rest and under loads of torch."""

import re

import pytest

from tests.e2e.running import series
from tests.gpu.conftest import QUERIED, by_nvidia_smi
from tests.polling import wait_until

pytestmark = pytest.mark.gpu

MIB = 2**20
_WORDS = {"Enabled": 1.0, "Disabled": 0.0, "Default": 0.0, "Prohibited": 2.0, "Exclusive_Process": 3.0}
_SCALES = {"memory": MIB, "clocks": 1e6, "fan": 0.01, "utilization": 0.01}
_LABELS = {
    "clocks.sm": ("clock", "sm"),
    "clocks.mem": ("clock", "memory"),
    "clocks.max.sm": ("clock", "sm"),
    "clocks.max.mem": ("clock", "memory"),
    "fan.speed": ("fan", "0"),
    "ecc.errors.corrected.volatile.total": ("severity", "corrected"),
    "ecc.errors.uncorrected.volatile.total": ("severity", "uncorrected"),
}
_MOVING = {
    "temperature": 3,
    "power": 40,
    "clocks": 2.5e9,
    "memory.used": 64 * MIB,
    "memory.free": 64 * MIB,
    "memory.reserved": MIB,  # nvidia-smi shows whole ones
}
"""How far two looks at a card may lie apart; everything else is the same."""


def number(asked: str, text: str) -> float | None:
    """What nvidia-smi says, in our unit; None for "[N/A]" and its kin."""
    if text in _WORDS:
        return _WORDS[text]
    found = re.search(r"-?\d+(\.\d+)?", text)
    if found is None or text.startswith("["):
        return None
    return float(found.group()) * _SCALES.get(asked.split(".", maxsplit=1)[0], 1)


def shown(found, asked, gpu):
    label = _LABELS.get(asked)
    values = [
        value
        for labels, value in found.get(QUERIED[asked], {}).items()
        if dict(labels)["gpu"] == str(gpu) and (label is None or label in labels)
    ]
    return values[0] if values else None


def tolerance(asked: str) -> float:
    return next((far for name, far in _MOVING.items() if asked.startswith(name)), 0.0)


@pytest.mark.parametrize("asked", QUERIED)
def test_each_series_is_what_nvidia_smi_says(running, cards, asked):
    """A wrong unit or a wrong field on a real card would go unnoticed by every simulated one."""
    wait_until(lambda: len(series(running.url).get("gpu_up", {})) == cards, 20, "not all cards are on the page")

    def apart():
        theirs, found = by_nvidia_smi(), series(running.url)
        return [
            (gpu, row[asked], shown(found, asked, gpu))
            for gpu, row in enumerate(theirs)
            if (number(asked, row[asked]) is None) != (shown(found, asked, gpu) is None)
            or abs((number(asked, row[asked]) or 0) - (shown(found, asked, gpu) or 0)) > tolerance(asked)
        ]

    wait_until(lambda: not apart(), 15, lambda: f"{asked}: (card, nvidia-smi, ours): {apart()}")


def test_memory_that_torch_takes_is_on_the_page_with_its_process(running, torch_child):
    """The mail about a full card would name nobody."""
    before = _used(running)
    child = torch_child(
        "import torch\n"
        "held = torch.empty(2**30, dtype=torch.uint8, device='cuda')\n"
        "torch.cuda.synchronize()\n"
        "print('ready', flush=True)\n"
        "input()\n"
    )

    def held():
        rows = series(running.url).get("gpu_process_memory_used_bytes", {})
        return [value for labels, value in rows.items() if dict(labels)["pid"] == str(child.pid)]

    wait_until(lambda: _used(running) >= before + 2**30, 10, "the card's used memory did not grow by 1 GiB")
    visible = series(running.url)["gpu_processes_visible"]
    if set(visible.values()) == {1.0}:
        wait_until(lambda: held() and held()[0] >= 2**30, 10, "the process is not listed with its memory")


def test_work_of_torch_shows_as_utilization_and_power(running, torch_child):
    """A card at work would look idle."""
    torch_child(
        "import torch, time\n"
        "a = torch.randn(4096, 4096, device='cuda')\n"
        "torch.cuda.synchronize()\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 60\n"
        "while time.monotonic() < end:\n"
        "    a = torch.tanh(a @ a)\n"
        "    torch.cuda.synchronize()\n"
    )
    wait_until(lambda: _highest(running, "gpu_utilization_ratio") > 0.5, 15, "no utilization above 50 %")
    wait_until(lambda: _highest(running, "gpu_power_peak_watts") > 0, 15, "no power")


def _used(running) -> float:
    return sum(series(running.url).get("gpu_memory_used_bytes", {}).values())


def _highest(running, name) -> float:
    return max(series(running.url).get(name, {}).values(), default=0.0)
