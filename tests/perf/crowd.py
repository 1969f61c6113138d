"""A simulated driver under load: cards that are all busy, each with as many real processes as its page holds."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fakes.nvml import table
from tests.fakes.nvml.driver import FakeDriver
from tests.fakes.nvml.gpu import Process

PROCESSES = table.MAX_PROCESSES
_MIB = 2**20


@contextlib.contextmanager
def crowded_driver(cards: int, profile: str = "rtx-3090", processes: int = PROCESSES) -> Iterator[FakeDriver]:
    """A driver with ``cards`` cards, on each of which the same ``processes`` idle children hold memory."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpuwarden-perf-")))
        driver = stack.enter_context(FakeDriver.create(folder, [profile] * cards))
        children = [stack.enter_context(idle_child()) for _ in range(processes)]
        for index in range(cards):
            holders = [
                Process(pid=child.pid, memory=(place + 1) * 16 * _MIB, utilization=(place % 4, 1, 0, 0))
                for place, child in enumerate(children)
            ]
            driver.gpu(index).set_processes(holders)
        yield driver


@contextlib.contextmanager
def idle_child() -> Iterator[subprocess.Popen]:
    """A process that does nothing for the time of the block, and ends with it."""
    with subprocess.Popen(["sleep", "86400"], stdin=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()
