"""What is to be probed where, and what the child is asked to do: pure, from the settings and what is there."""

from dataclasses import dataclass

from exporter.latency.probed import GENERATE, NEW_TOKENS, OPERATIONS, PROMPT
from exporter.latency.settings import ProbeSettings
from exporter.snapshot import Gpu, Snapshot

_ITERATIONS = 64
"""Fewer carry no 90th percentile."""
_BUDGET_SECONDS = 4.0
"""Of one phase; a slow processor then does fewer iterations."""
_HOLD_SECONDS = 3.0
_MANY_PROCESSORS = 4


@dataclass(frozen=True, slots=True)
class Target:
    """One model on one card; ``gpu`` and ``uuid`` are empty for the processor, ``precision`` is never auto."""

    model: str
    precision: str
    gpu: str = ""
    uuid: str = ""

    @property
    def operation(self) -> str:
        """What is run: generate or infer."""
        return OPERATIONS[self.model]

    @property
    def on_card(self) -> bool:
        """Whether it runs on a card."""
        return bool(self.uuid)

    @property
    def place(self) -> str:
        """For a person."""
        return f"GPU {self.gpu}" if self.on_card else "the processor"


def targets(settings: ProbeSettings, snapshot: Snapshot, *, settled: bool = True) -> list[Target]:
    """Every model on every card that was asked for, lost ones too; on the processor, where that is what is meant.

    Until the sources have ``settled``, a card that is not there may still come.
    """
    if settings.device == "auto" and not (snapshot.gpus or settled):
        return []
    if settings.device == "cpu" or (settings.device == "auto" and not snapshot.gpus):
        return [Target(model, _precision(settings, "fp32")) for model in settings.models]
    chosen = [gpu for gpu in snapshot.gpus if _is_chosen(gpu, settings.gpus)]
    return [
        Target(model, _precision(settings, "fp16"), gpu.index, gpu.uuid) for model in settings.models for gpu in chosen
    ]


def _precision(settings: ProbeSettings, automatic: str) -> str:
    return automatic if settings.precision == "auto" else settings.precision


def _is_chosen(gpu: Gpu, chosen: tuple[str, ...]) -> bool:
    return not chosen or gpu.index in chosen or gpu.uuid in chosen


def threads(target: Target, cpus: int) -> int:
    """How many of the machine's processors a run may use: little, as it must not be in anybody's way."""
    return 2 if not target.on_card and cpus >= _MANY_PROCESSORS else 1


def spec(target: Target, cpus: int) -> dict[str, object]:
    """The run, in the words of exporter/workload/spec.py."""
    found: dict[str, object] = {
        "run": target.operation,
        "model": target.model,
        "precision": target.precision,
        "device": "cuda:0" if target.on_card else "cpu",
        "iterations": _ITERATIONS,
        "budget_seconds": _BUDGET_SECONDS,
        "hold_seconds": _HOLD_SECONDS if target.on_card else 0.0,
        "threads": threads(target, cpus),
    }
    if target.operation == GENERATE:
        found |= {"prompt": PROMPT, "new_tokens": NEW_TOKENS}
    return found
