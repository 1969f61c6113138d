"""A CNN answers a batch: images on the device in, the answer on the host out (answers.py says what that is)."""
# pyright: basic, reportMissingImports=false

import torch
from torch import nn

from . import answers, batches
from .devices import Ground
from .known import CLASSES
from .lines import Lines
from .memory import peaks, reset_peaks
from .spec import Spec
from .timing import Plan, Stopwatch, measure


def infer(model: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure one model; leaves everything in memory and stops at the barrier before it lets go."""
    plan = Plan(spec.iterations, spec.warmup_iterations, spec.warmup_seconds, spec.budget_seconds, spec.run_seconds)
    model.eval()
    lines.phase("inference")
    with torch.inference_mode():
        images = batches.pictures(spec, ground, ground.weights_dtype)
        answered: list[torch.Tensor] = []

        def answer() -> None:
            with ground.autocast():
                answered[:] = [answers.on_host(spec, model(images))]

        reset_peaks(ground)
        timed = measure(answer, Stopwatch(ground.synchronise), plan, lambda: lines.ready(spec.ready_seconds))
        figures: dict[str, object] = dict(timed.figures("batch"))
        per_second = spec.batch * len(timed.seconds) / sum(timed.seconds)
        figures |= {"batch": spec.batch, f"{spec.family.reads}_per_second": per_second}
        if spec.family.answers == CLASSES:
            figures["classes"] = answered[0].tolist()[:8]
        memory = peaks(ground)
        lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory
