"""A CNN answers a batch: images on the device in, the most likely classes on the host out."""
# pyright: basic, reportMissingImports=false

import torch
from torch import nn

from .devices import Ground
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
        shape = (spec.batch, 3, spec.side, spec.side)
        images = torch.randn(shape, device=ground.device, dtype=ground.weights_dtype)
        classes: list[int] = []

        def answer() -> None:
            with ground.autocast():
                classes[:] = model(images).argmax(dim=-1).tolist()

        reset_peaks(ground)
        timed = measure(answer, Stopwatch(ground.synchronise), plan, lambda: lines.ready(spec.ready_seconds))
        figures: dict[str, object] = dict(timed.figures("batch"))
        figures |= {"batch": spec.batch, "images_per_second": spec.batch * len(timed.seconds) / sum(timed.seconds)}
        figures["classes"] = classes[:8]
        memory = peaks(ground)
        lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory
