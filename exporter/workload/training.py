"""Training: the time of a step, and what that makes of an epoch.

Steps run one after the other as in a training loop, and the clock is read before the first and after the last, when
the card is idle; a step more or less is not waited for. From ``steps`` steps the epoch is extrapolated and marked so;
``full`` runs all of it. No augmentation, no evaluation, no checkpoint files.
"""
# pyright: basic, reportMissingImports=false

import itertools
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import nn

from . import answers, batches
from .devices import Ground
from .known import CLASSES
from .lines import Lines
from .memory import gradients_bytes, optimizer_bytes, peaks, reset_peaks
from .spec import Spec
from .timing import Budget, Plan, Stopwatch, warm_up

_WITHOUT_END = 0


class Trainer:
    """A model, its optimizer and the batches; a call is one step."""

    def __init__(self, model: nn.Module, spec: Spec, ground: Ground, given: Iterator[batches.Batch]) -> None:
        self._model, self._spec, self._ground, self._given = model.train(), spec, ground, given
        self.optimizer = _optimizer(model, spec)
        self._scaler = torch.amp.GradScaler(ground.device.type, enabled=spec.precision == "amp")
        self.loss = torch.zeros(())

    def step(self) -> None:
        """Forward, backward, update."""
        inputs, wanted = next(self._given)
        self.optimizer.zero_grad(set_to_none=True)
        with self._ground.autocast():
            loss = answers.loss(self._spec, self._model(inputs), wanted)
        self._scaler.scale(loss).backward()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.loss = loss.detach()


def _optimizer(model: nn.Module, spec: Spec) -> torch.optim.Optimizer:
    if (spec.optimizer or ("adamw" if spec.gpt else "sgd")) == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=1e-4)
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)


def train(model: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure one model; leaves everything in memory and stops at the barrier before it lets go."""
    lines.phase("training")
    images = batches.Images(spec, ground) if spec.family.answers == CLASSES else None
    given = iter(images) if images else (batches.text if spec.gpt else batches.drawn_upon)(spec, ground)
    trainer = Trainer(model, spec, ground, given)
    reset_peaks(ground)
    stopwatch, budget = Stopwatch(ground.synchronise), Budget(spec.budget_seconds)
    cold = stopwatch.seconds(trainer.step)
    loss_at_first = trainer.loss.item()
    warmed = warm_up(trainer.step, stopwatch, Plan(0, spec.warmup_iterations, spec.warmup_seconds), budget)
    steps_of_epoch = math.ceil(images.count / spec.batch) if images else 0
    if spec.full:
        trainer = Trainer(model, spec, ground, iter(images or ()))
    wanted = steps_of_epoch if spec.full else spec.steps
    lines.ready(spec.ready_seconds)
    if spec.run_seconds:
        wanted, budget = _WITHOUT_END, Budget(spec.run_seconds)
    done, seconds = _steps(trainer.step, wanted, budget, ground)
    figures: dict[str, object] = {
        "step_cold_seconds": cold,
        "warmup_iterations": warmed,
        "steps": done,
        "batch": spec.batch,
        "step_seconds": seconds / done,
        "loss_first": loss_at_first,
        "loss_last": trainer.loss.item(),
        "gradients_bytes": gradients_bytes(model),
        "optimizer_bytes": optimizer_bytes(trainer.optimizer),
    }
    if images:
        figures |= _epoch(images.count, spec, done, seconds, whole=done == steps_of_epoch and spec.full)
    else:
        each = spec.sequence if spec.gpt else 1
        figures[f"{spec.family.reads}_per_second"] = done * spec.batch * each / seconds
    memory = peaks(ground)
    lines.barrier(spec.hold_seconds, memory=memory)
    return figures | memory


def _steps(step: Callable[[], None], wanted: int, budget: Budget, ground: Ground) -> tuple[int, float]:
    """How many steps were done, and the time from before the first until all are really done."""
    ground.synchronise()
    began = time.perf_counter()
    done = 0
    for done in itertools.count(1):
        step()
        if done == wanted or budget.spent:
            break
    ground.synchronise()
    return done, time.perf_counter() - began


def _epoch(count: int, spec: Spec, done: int, seconds: float, *, whole: bool) -> dict[str, object]:
    per_second = count / seconds if whole else done * spec.batch / seconds
    return {
        "images_per_second": per_second,
        "epoch_images": count,
        "epoch_seconds": count / per_second,
        "epoch_extrapolated": not whole,
        "data": "cifar10" if spec.data else "random",
    }
