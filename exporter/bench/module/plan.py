"""``bench --module``: which runs are made of a module of the user's own, and what their ends mean to him. Pure.

In each precision there is a run of answers. The file says by a function ``loss`` whether it can be trained, which only
the child knows; where it can, a run of training follows. A file that is refused is refused in every run, so the first
one ends it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.bench.claim import Run
from exporter.bench.plan import Planned
from exporter.bench.telling.words import REASONS
from exporter.latency.torch_child import Done

PRECISIONS = ("fp32", "tf32", "fp16", "amp")
_UNTRAINED = "fp16"
_QUICK: Mapping[str, object] = {"iterations": 16, "budget_seconds": 3.0}

OF_THE_FILE = frozenset({"no_file", "no_function", "no_module", "no_tensors", "no_loss"})
"""Reasons for which the user's file is refused: his input is wrong."""

_MEANINGS: Mapping[str, str] = {
    "raised": "your code raised",
    "exited": "your code left",
    "crashed": "the process was ended from outside or crashed",
    "no_result": "the process ended without a result; does your code call os._exit?",
    "out_of_memory": "it takes more memory than there is",
    "deadline": "it took too long and was ended",
    "stopped": "stopped by Ctrl-C",
    "no_time": "no time was left",
    "flooded": "your code wrote without end",
    "no_torch": "the interpreter has no torch (pip install 'gpuwarden[probe]', or name one: --python INTERPRETER)",
    **dict.fromkeys(OF_THE_FILE, "the file is refused"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line said; ``name`` is what makes the module."""

    file: str
    name: str
    precisions: Sequence[str]
    batch: int
    optimizer: str = ""
    quick: bool = False


def split(text: str) -> tuple[str, str]:
    """``FILE`` or ``FILE:NAME``, a file of that whole name first; the name is ``model`` where there is none."""
    file, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and not Path(text).exists():
        return file, name
    return text, "model"


def planned(asked: Asked, precision: str, *, training: bool, on_cpu: bool) -> Planned:
    """One run."""
    spec: dict[str, object] = {
        "run": "module",
        "model": "own",
        "module": str(Path(asked.file).absolute()),
        "module_name": asked.name,
        "precision": precision,
        "batch": asked.batch,
        "training": training,
        **(_QUICK if asked.quick else {}),
    }
    if asked.optimizer:
        spec["optimizer"] = asked.optimizer
    if on_cpu:
        spec["device"] = "cpu"
    what = "training" if training else "answers"
    run = Run(f"{Path(asked.file).name} {what} {asked.batch}, {precision}", spec, 0, "cpu" if on_cpu else "card")
    return Planned(run, (run.name,), spec, (), on_cpu=on_cpu)


def can_be_trained(done: Done, precision: str) -> bool:
    """Whether a run of training is to follow these answers."""
    return precision != _UNTRAINED and done.outcome == "ok" and bool(done.figures.get("trainable"))


def meaning(reason: str, detail: str) -> str:
    """What the end of a run means to whoever wrote the file."""
    said = _MEANINGS.get(reason) or REASONS.get(reason, reason)
    return f"{said}: {detail}" if detail else said
