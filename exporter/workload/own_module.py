"""A torch module of the user's own, out of a Python file of his, under the same clock as the models here.

The file defines, as functions at its top level:

``model()``                 the module, with whatever weights; another name, or a class, where the spec says so
``inputs(batch, device)``   a tensor or a tuple of them, what the module is called with
``answer(model, inputs)``   optional: how it is called, where ``model(*inputs)`` is not it
``loss(model, inputs)``     optional, for training: the loss of a batch, one number that has a gradient
``optimizer(model)``        optional, for training: AdamW where there is none

Whatever that code does wrong is told with the line of his file in which it was. Device, dtype, mode, gradients and
clock are ours. A process that his code forks ends where it would come back to ours.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .devices import Ground
from .lines import Lines
from .memory import gradients_bytes, optimizer_bytes, peaks, reset_peaks, weights_bytes
from .spec import Refused, Spec
from .timing import Plan, Stopwatch, measure

NO_FILE, NO_FUNCTION, NO_MODULE, NO_TENSORS, NO_LOSS = "no_file", "no_function", "no_module", "no_tensors", "no_loss"
"""Why a file is refused."""
RAISED, EXITED = "raised", "exited"
"""How his code ended a run."""

_OTHERS = frozenset({"site-packages", "dist-packages"})


class TheirError(Exception):
    """His code raised or left; ``reason`` is a word for a label, the message has file, line and what was said."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class _Functions:
    file: Path
    inputs: Callable[[int, torch.device], Any]
    answer: Callable[[nn.Module, Any], Any]
    loss: Callable[[nn.Module, Any], Any] | None
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]


class Own(nn.Module):
    """His module, and the functions that belong to it."""

    def __init__(self, module: nn.Module, functions: _Functions) -> None:
        super().__init__()
        self.module, self.functions = module, functions


def build(spec: Spec, ground: Ground) -> tuple[nn.Module, dict[str, int]]:
    """His module on its device, and its figures.

    Raises:
        Refused: the file is not there or lacks what a run needs.
        TheirError: his code raised.
    """
    file = Path(spec.module).resolve()
    if not file.is_file():
        message = f"there is no file {spec.module}"
        raise Refused(NO_FILE, message)
    with _theirs(file):
        names = _imported(file)
        made = _asked(names, spec.module_name, file)
        module = made if isinstance(made, nn.Module) else made()
    if not isinstance(module, nn.Module):
        message = f"{file.name}: {spec.module_name} gave {_kind(module)}, and no torch.nn.Module"
        raise Refused(NO_MODULE, message)
    functions = _Functions(
        file,
        _asked(names, "inputs", file),
        names.get("answer") or (lambda module, inputs: module(*inputs)),
        names.get("loss"),
        names.get("optimizer") or (lambda module: _optimizer(module, spec)),
    )
    if spec.training and functions.loss is None:
        message = f"{file.name} has no function loss(model, inputs), which training needs"
        raise Refused(NO_FUNCTION, message)
    module.to(ground.device, ground.weights_dtype)
    figures = {"parameters": sum(each.numel() for each in module.parameters()), "weights_bytes": weights_bytes(module)}
    return Own(module, functions), {**figures, "trainable": functions.loss is not None}


def run(own: nn.Module, spec: Spec, ground: Ground, lines: Lines) -> dict[str, object]:
    """Measure answers, or steps of training; leaves everything in memory and stops at the barrier before it lets go."""
    assert isinstance(own, Own)  # noqa: S101 - built above
    plan = Plan(spec.iterations, spec.warmup_iterations, spec.warmup_seconds, spec.budget_seconds, spec.run_seconds)
    lines.phase("inputs")
    given = _inputs(own.functions, spec, ground)
    own.module.train(spec.training)
    reset_peaks(ground)
    lines.phase("training" if spec.training else "inference")
    name = "step" if spec.training else "batch"
    with _theirs(own.functions.file):
        call, figures = (_step if spec.training else _answer)(own, given, ground)
        timed = measure(call, Stopwatch(ground.synchronise), plan, lambda: lines.ready(spec.ready_seconds))
        found: dict[str, object] = {**timed.figures(name), **figures(), "batch": spec.batch}
    found["items_per_second"] = spec.batch * len(timed.seconds) / sum(timed.seconds)
    memory = peaks(ground)
    lines.barrier(spec.hold_seconds, memory=memory)
    return found | memory


Measured = tuple[Callable[[], object], Callable[[], dict[str, object]]]
"""What is timed, and what is to be told after it."""


def _answer(own: Own, given: tuple[Any, ...], ground: Ground) -> Measured:
    def answer() -> None:
        with torch.inference_mode(), ground.autocast():
            own.functions.answer(own.module, given)

    return answer, dict


def _step(own: Own, given: tuple[Any, ...], ground: Ground) -> Measured:
    functions = own.functions
    optimizer = functions.optimizer(own.module)
    scaler = torch.amp.GradScaler(ground.device.type, enabled=ground.precision == "amp")
    losses: list[torch.Tensor] = []

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with ground.autocast():
            loss: Any = functions.loss(own.module, given) if functions.loss else None
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
            message = f"{functions.file.name}: loss gave {_kind(loss)}, and no number that has a gradient"
            raise Refused(NO_LOSS, message)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses[1:] = [loss.detach()]

    def figures() -> dict[str, object]:
        return {
            "loss_first": losses[0].item(),
            "loss_last": losses[-1].item(),
            "gradients_bytes": gradients_bytes(own.module),
            "optimizer_bytes": optimizer_bytes(optimizer),
        }

    return step, figures


def _optimizer(module: nn.Module, spec: Spec) -> torch.optim.Optimizer:
    if spec.optimizer == "sgd":
        return torch.optim.SGD(module.parameters(), lr=0.001, momentum=0.9)
    return torch.optim.AdamW(module.parameters(), lr=1e-4)


def _inputs(functions: _Functions, spec: Spec, ground: Ground) -> tuple[Any, ...]:
    with _theirs(functions.file):
        given = functions.inputs(spec.batch, ground.device)
        given = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not any(isinstance(each, torch.Tensor) for each in given):
        message = f"{functions.file.name}: inputs gave {', '.join(map(_kind, given)) or 'nothing'}, and no tensor"
        raise Refused(NO_TENSORS, message)
    return tuple(_placed(each, ground) for each in given)


def _placed(value: Any, ground: Ground) -> Any:
    """On the device; where the weights are half, numbers with a fraction are, too."""
    if not isinstance(value, torch.Tensor):
        return value
    halved = value.is_floating_point() and ground.precision == "fp16"
    return value.to(ground.device, ground.weights_dtype) if halved else value.to(ground.device)


def _imported(file: Path) -> dict[str, Any]:
    """What the file defines. Its folder heads the search path, as if Python had been started with the file."""
    sys.path.insert(0, str(file.parent))
    # Under its own name, so that a neighbour who imports it gets the same one, unless that name is somebody's already.
    name = file.stem if file.stem not in sys.modules and file.stem.isidentifier() else f"_own_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        message = f"{file.name} is no Python file: its name must end in .py"
        raise Refused(NO_FILE, message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return vars(module)


def _asked(names: dict[str, Any], name: str, file: Path) -> Any:
    found = names.get(name)
    if callable(found):
        return found
    there = ", ".join(sorted(each for each, value in names.items() if _own_function(value, names))[:10])
    message = f"{file.name} has no function {name}; it has {there or 'none'}"
    raise Refused(NO_FUNCTION, message)


def _own_function(value: object, names: dict[str, Any]) -> bool:
    return callable(value) and getattr(value, "__module__", "") == names["__name__"]


@contextlib.contextmanager
def _theirs(file: Path) -> Iterator[None]:
    """What is raised in his code becomes a ``TheirError``, and a process that he forked ends here."""
    ours = os.getpid()
    try:
        yield
    except Refused:
        raise
    except SystemExit as left:
        message = f"{_place(left, file)}: it called sys.exit({left.code!r})"
        raise TheirError(EXITED, message) from left
    except BaseException as error:
        said = "out of memory (MemoryError)" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
        message = f"{_place(error, file)}: {said}"
        raise TheirError(RAISED, message) from error
    finally:
        if os.getpid() != ours:
            os._exit(0)


def _place(error: BaseException, file: Path) -> str:
    """The innermost line of his: in his file, or in one beside or below it that is no installed library."""
    if isinstance(error, SyntaxError) and error.filename and _his(Path(error.filename), file.parent):
        return f"{_shown(error.filename, file)}, line {error.lineno}"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if _his(Path(each.filename), file.parent)]
    if not frames:
        return file.name
    last = frames[-1]
    return f"{_shown(last.filename, file)}, line {last.lineno}, in {last.name}"


def _his(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) and not _OTHERS & set(path.relative_to(folder).parts)


def _shown(name: str, file: Path) -> str:
    return str(Path(name).relative_to(file.parent))


def _kind(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return "nothing" if value is None else f"a {type(value).__name__}"
