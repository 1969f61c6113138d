"""The table of runs, and what becomes of one: ok, oom, error or refused, each but the first with a named reason."""
# pyright: basic, reportMissingImports=false

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from .comparison import compare
from .devices import Ground, describe, ground
from .generation import generate
from .inference import infer
from .known import GENERATE, INFER, ONNX, TRAIN
from .lines import Lines
from .models import build
from .spec import WRONG_CUDA, Refused, Spec
from .training import train

Run = Callable[[nn.Module, Spec, Ground, Lines], dict[str, object]]

RUNS: Mapping[str, Run] = MappingProxyType({GENERATE: generate, INFER: infer, TRAIN: train, ONNX: compare})

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "alloc_failed", "not enough memory")
_MOST_OF_A_MESSAGE = 500


def run(spec: Spec, lines: Lines) -> dict[str, object]:
    """Do what the spec says; never raises."""
    try:
        chosen = ground(spec)
        lines.tell("started", **describe(chosen))
        lines.phase("build")
        began = time.perf_counter()
        model, figures = build(spec, chosen)
        chosen.synchronise()
        figures = {"build_seconds": time.perf_counter() - began, **figures}
        return {"outcome": "ok", "figures": {**figures, **RUNS[spec.run](model, spec, chosen, lines)}}
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent is told
        return outcome(error)


def outcome(error: BaseException) -> dict[str, object]:
    """What an exception means for the run."""
    detail = " ".join(str(error).split())[:_MOST_OF_A_MESSAGE]
    if isinstance(error, Refused):
        return {"outcome": "refused", "reason": error.reason, "detail": detail}
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or _says(detail, *_OUT_OF_MEMORY):
        return {"outcome": "oom", "reason": "out_of_memory", "detail": detail}
    if _says(detail, "no kernel image", "driver version is insufficient", "unsupported ptx", "forward compatibility"):
        return {"outcome": "refused", "reason": WRONG_CUDA, "detail": detail}
    return {"outcome": "error", "reason": type(error).__name__, "detail": detail}


def _says(detail: str, *words: str) -> bool:
    lower = detail.lower()
    return any(word in lower for word in words)
