"""The table of runs, and what becomes of one: ok, oom, error or refused, each but the first with a named reason."""
# pyright: basic, reportMissingImports=false

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import nn

from . import own_module
from .comparison import compare
from .devices import Ground, describe, ground
from .generation import generate
from .inference import infer
from .known import GENERATE, INFER, MODULE, ONNX, SERVE, TRAIN
from .lines import Lines
from .memory import is_out_of_memory, peaks_so_far
from .models import build
from .serving import serve
from .spec import WRONG_CUDA, Refused, Spec
from .training import train

Run = Callable[[nn.Module, Spec, Ground, Lines], dict[str, object]]

RUNS: Mapping[str, Run] = MappingProxyType(
    {GENERATE: generate, SERVE: serve, INFER: infer, TRAIN: train, ONNX: compare, MODULE: own_module.run}
)

_MOST_OF_A_MESSAGE = 500


def run(spec: Spec, lines: Lines) -> dict[str, object]:
    """Do what the spec says; never raises.

    Whatever the outcome, ``figures`` holds ``device_seconds``: from the moment at which the device is taken, which
    makes the context, to the end of the run, the wait at the barrier included; ``context_seconds`` is how long that
    making took, where the device is a card. A run that came to no end has in them what was known of the model, the
    phase that it broke off in, and the peaks of the memory up to there.
    """
    began = time.perf_counter()
    figures: dict[str, object] = {}
    try:
        ended: dict[str, object] = {"outcome": "ok"}
        _do(spec, lines, figures)
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent is told
        ended = outcome(error)
        figures |= {"phase": lines.current_phase, **peaks_so_far(spec.device)}
    figures["device_seconds"] = time.perf_counter() - began
    return {**ended, "figures": figures}


def _do(spec: Spec, lines: Lines, figures: dict[str, object]) -> None:
    lines.phase("device")
    began = time.perf_counter()
    chosen = ground(spec)
    lines.tell("started", **describe(chosen))
    chosen.synchronise()
    if chosen.cuda:
        figures["context_seconds"] = time.perf_counter() - began
    lines.phase("build")
    began = time.perf_counter()
    model, of_model = build(spec, chosen)
    chosen.synchronise()
    figures |= {"build_seconds": time.perf_counter() - began, "threads": torch.get_num_threads(), **of_model}
    figures |= RUNS[spec.run](model, spec, chosen, lines)


def outcome(error: BaseException) -> dict[str, object]:
    """What an exception means for the run."""
    detail = " ".join(str(error).split())[:_MOST_OF_A_MESSAGE]
    if isinstance(error, Refused):
        return {"outcome": "refused", "reason": error.reason, "detail": detail}
    if is_out_of_memory(error):
        return {"outcome": "oom", "reason": "out_of_memory", "detail": detail}
    if _says(detail, "no kernel image", "driver version is insufficient", "unsupported ptx", "forward compatibility"):
        return {"outcome": "refused", "reason": WRONG_CUDA, "detail": detail}
    if isinstance(error, own_module.TheirError):
        return {"outcome": "error", "reason": error.reason, "detail": detail}
    return {"outcome": "error", "reason": type(error).__name__, "detail": detail}


def _says(detail: str, *words: str) -> bool:
    lower = detail.lower()
    return any(word in lower for word in words)
