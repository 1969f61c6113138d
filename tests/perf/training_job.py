"""Somebody else's job on a card: trains a ResNet-18 and writes down when each step was done.

``python -m tests.perf.training_job --device cuda --busy 0.2 --out FILE``: works for a fifth of the time and pauses for
the rest; the pause is fixed at the beginning, so that a slower step is not made up for. The file gets a double in the
machine's order for each step, in seconds of the system's monotonic clock. "ready" on standard output says that it has
warmed up. It ends with its parent.
"""

import argparse
import os
import statistics
import struct
import time
from pathlib import Path

import torch

from exporter.workload.lifetime import die_with_parent
from exporter.workload.resnet import ResNet

_WARM_STEPS, _TIMED_STEPS = 10, 20


class Training:
    """One batch again and again; a call is a step, done when it returns."""

    def __init__(self, device: str, batch: int, side: int) -> None:
        self._device = torch.device(device)
        self._model = ResNet("resnet18", "imagenet", 1000).to(self._device).train()
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=0.01, momentum=0.9)
        self._images = torch.randn(batch, 3, side, side, device=self._device)
        self._labels = torch.randint(1000, (batch,), device=self._device)

    def __call__(self) -> float:
        """How long it took, in seconds."""
        began = time.monotonic()
        self._optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(self._model(self._images), self._labels).backward()
        self._optimizer.step()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.monotonic() - began


def main() -> None:
    """Train until the process is ended."""
    die_with_parent()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--busy", type=float, default=1.0, help="share of the time")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.device == "cpu":
        torch.set_num_threads(1)
    step = Training(arguments.device, arguments.batch, arguments.side)
    rest = 1 / arguments.busy - 1
    # A light job is one from its first step on: a probe looks at the highest of the last minutes.
    took: list[float] = []
    for _ in range(_WARM_STEPS + _TIMED_STEPS):
        took.append(step())
        time.sleep(rest * took[-1])
    seconds = statistics.median(took[_WARM_STEPS:])
    pause = seconds * rest
    with arguments.out.open("wb", buffering=0) as file:
        print(f"ready {seconds:.6f} {pause:.6f}", flush=True)
        while os.getppid() != 1:
            step()
            file.write(struct.pack("d", time.monotonic()))
            if pause:
                time.sleep(pause)


if __name__ == "__main__":
    main()
