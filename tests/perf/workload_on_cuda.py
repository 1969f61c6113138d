"""Every workload in full on this machine's card: what a probe and a bench would find here.

``python -m tests.perf.workload_on_cuda [--out FOLDER] [--only WORD] [--minutes 5] [--card 0]`` in a Python with torch
and, for the memory as the driver sees it, nvidia-ml-py. One short-lived child a run; the card's memory is read before
it, at its barrier and after its end. A run that fails is a row of the table, and so is one for which no time is left.
``--tiny`` tries all of this on the CPU, without a card. Written anew after each run: workload.json, workload.md.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tests.perf.workload_table import table
from tests.torch.child import run

SIZES = ("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl")
_SETTLED_BYTES = 8 * 2**20
_SETTLE_SECONDS = 5.0
_LONGEST_RUN_SECONDS = 100.0


def _specs() -> dict[str, dict]:
    """By name, in the order of what would be missed most."""
    gpt = {"run": "generate"}
    cifar = {"run": "train", "model": "resnet18", "stem": "cifar"}
    large = {"model": "resnet50", "stem": "imagenet"}
    medium = {"run": "train", "model": "gpt2-medium", "batch": 4, "sequence": 512, "steps": 20}
    prompt = {**gpt, "model": "gpt2-small", "batch": 8, "prompt": 992, "new_tokens": 32}
    return {
        **{f"{size} fp16 32+992": {**gpt, "model": size, "precision": "fp16"} for size in SIZES},
        **{
            f"resnet18 cifar epoch, batch {batch}, {kind}": {**cifar, "batch": batch, "precision": kind}
            for batch in (128, 512)
            for kind in ("fp32", "tf32", "amp")
        },
        **{f"{size} fp32 32+992": {**gpt, "model": size} for size in SIZES},
        **{
            f"gpt2-medium training 4 x 512, {kind}, checkpointing {'on' if on else 'off'}": {
                **medium,
                "precision": kind,
                "checkpointing": on,
            }
            for kind in ("fp32", "amp")
            for on in (False, True)
        },
        **{
            f"resnet50 training, batch {batch}, {kind}": {**large, "run": "train", "batch": batch, "precision": kind}
            for batch in (8, 32)
            for kind in ("fp32", "amp")
        },
        **{
            f"resnet50 inference, batch 32, {kind}": {**large, "run": "infer", "batch": 32, "precision": kind}
            for kind in ("fp32", "amp", "fp16")
        },
        **{
            f"gpt2-small prompt of 992 x 8, fp16, attention {kind}": {**prompt, "precision": "fp16", "attention": kind}
            for kind in ("plain", "chunked", "sdpa")
        },
        "resnet18 cifar whole epoch, batch 128, tf32": {**cifar, "batch": 128, "precision": "tf32", "full": True},
        "resnet18 cifar whole epoch, batch 128, fp32": {**cifar, "batch": 128, "full": True},
        "gpt2-small amp 32+992": {**gpt, "model": "gpt2-small", "precision": "amp"},
        "resnet18 inference, batch 1, fp32": {"run": "infer", "model": "resnet18"},
        "gpt2-small fp16 32+992, attention plain": {
            **gpt,
            "model": "gpt2-small",
            "precision": "fp16",
            "attention": "plain",
        },
        "out of memory": {**gpt, "model": "gpt2-xl", "batch": 100_000, "precision": "fp16"},
        **{
            f"gpt2-small {kind} 32+992 on the CPU, cut after 6 s": {
                **gpt,
                "model": "gpt2-small",
                "device": "cpu",
                "precision": kind,
                "budget_seconds": 6.0,
            }
            for kind in ("fp32", "int8_dynamic")
        },
    }


def _tiny(spec: dict) -> dict:
    """The same kind of run, small enough for two CPU cores."""
    small = {"iterations": 3, "warmup_seconds": 0.0, "steps": 1, "device": "cpu", "precision": "fp32", "threads": 1}
    if spec["model"].startswith("gpt2") and spec.get("batch", 1) < 100_000:
        return {**spec, **small, "model": "gpt2-tiny", "batch": 1}
    if spec["model"].startswith("gpt2"):
        return {**spec, **small, "model": "gpt2-tiny", "batch": 10**12}
    return {**spec, **small, "batch": 2, "image_size": 32, "full": False}


class Card:
    """The card's memory, as NVML tells it; without NVML, nothing."""

    def __init__(self, index: int | None) -> None:
        self._nvml, self.uuid = None, ""
        if index is None:
            return
        try:
            import pynvml
        except ImportError:
            print("nvidia-ml-py is not installed: no memory as the driver sees it", file=sys.stderr)
            return
        pynvml.nvmlInit()
        self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
        self.uuid = pynvml.nvmlDeviceGetUUID(self._handle)

    def described(self) -> dict[str, object]:
        """Driver and card."""
        if self._nvml is None:
            return {}
        return {
            "driver": self._nvml.nvmlSystemGetDriverVersion(),
            "card": self._nvml.nvmlDeviceGetName(self._handle),
            "uuid": self.uuid,
        }

    def used_bytes(self) -> int | None:
        """Used memory of the whole card."""
        return None if self._nvml is None else int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used)

    def at_barrier(self, pid: int) -> dict[str, object]:
        """The card's memory while a child's tensors live, and the child's share where NVML knows it by this id."""
        if self._nvml is None:
            return {}
        nvml, handle = self._nvml, self._handle
        found: dict[str, object] = {"used_bytes": self.used_bytes()}
        found["sm_clock_hertz"] = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1_000_000
        found["temperature_celsius"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        holders = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        found["holders"] = len(holders)
        found["process_bytes"] = next((each.usedGpuMemory for each in holders if each.pid == pid), None)
        return found

    def safely_at_barrier(self, pid: int) -> dict[str, object]:
        """A reading that a driver refuses costs that reading and no run."""
        try:
            return self.at_barrier(pid)
        except Exception as error:  # noqa: BLE001
            return {"used_bytes": self.used_bytes(), "error": repr(error)}

    def settled(self, before: int | None) -> dict[str, object]:
        """Used memory when it is back at what it was, or after a few seconds if it does not come back."""
        began = time.monotonic()
        while True:
            used, waited = self.used_bytes(), time.monotonic() - began
            if used is None or before is None or used <= before + _SETTLED_BYTES or waited > _SETTLE_SECONDS:
                return {"used_bytes": used, "waited_seconds": waited}
            time.sleep(0.02)


def _one(name: str, spec: dict, card: Card, seconds: float) -> dict:
    before = card.used_bytes()
    done = run(spec, card.safely_at_barrier, seconds, uuid="" if spec["device"] == "cpu" else card.uuid)
    after = card.settled(before)
    return {"name": name, "asked": spec, "before": {"used_bytes": before}, "after": after, **done}


def main() -> int:
    """Measure; 0 when every run came to a result, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path.cwd())
    parser.add_argument("--only", default="", help="runs whose name has this word")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--card", type=int, default=0)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes
    card = Card(None if arguments.tiny else arguments.card)
    document: dict[str, object] = {"card": card.described(), "runs": []}
    for name, spec in _specs().items():
        if arguments.only not in name:
            continue
        asked = _tiny(spec) if arguments.tiny else {"device": f"cuda:{arguments.card}", **spec}
        left = until - time.monotonic()
        if left > 5:
            found = _one(name, asked, card, min(left, _LONGEST_RUN_SECONDS))
        else:
            found = {"name": name, "asked": asked, "outcome": "not run", "figures": {}, "detail": "no time left"}
        document["runs"].append(found)
        print(f"{found['outcome']:>8}  {found.get('seconds', 0):6.1f} s  {name}  {found.get('detail', '')}", flush=True)
        (arguments.out / "workload.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
        (arguments.out / "workload.md").write_text(table(document))
    print(table(document))
    return 0 if all(each["outcome"] in {"ok", "oom"} for each in document["runs"]) else 1


if __name__ == "__main__":
    sys.exit(main())
