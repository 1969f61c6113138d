"""Makes the planned runs, one after the other, and reads the card around each: blocking, in a thread of its own.

Before a run the card must have the memory that it wants; else it is not started (``vram``). A run that is not made
keeps its place with a reason: ``no_time`` when what is left of the time for all is too little for it, ``stopped`` after
Ctrl-C, and, once one run has found it, ``no_torch`` or ``no_interpreter`` for all that follow and ``no_cuda``,
``wrong_cuda`` or ``not_ended`` for all that follow on the card: they would end the same way.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from exporter.bench.plan import Planned
from exporter.bench.running import together
from exporter.bench.running.card import MeasuredCard, Reading, attributed, contenders
from exporter.latency.torch_child import Asked, Done
from gpuwarden.units import format_value

_BESIDE, _PROCESS = "beside", "process"
VRAM, NO_TIME, STOPPED = "vram", "no_time", "stopped"
_FOR_ALL = frozenset({"no_torch", "no_interpreter"})
_FOR_THE_CARD = frozenset({"no_cuda", "wrong_cuda", "not_ended"})
_LEAST_SECONDS = 8.0
"""What it takes to wait for a card to come to rest, to load torch and to do little."""
_LEAST_SECONDS_OF: Mapping[str, float] = {
    "train": 10.0,
    "generate": 12.0,
    "serve": 30.0,
    "onnx": 30.0,
    _BESIDE: 20.0,
}
"""What an H200's host took for the shorter runs of each kind: with less a run would only be ended at its deadline."""
_MOST_SECONDS, _MOST_SECONDS_OF_AN_EPOCH = 300.0, 4 * 3600.0
_MEASURED_PHASES = frozenset({"first token", "training", "inference", "streams", "torch"})
_NO_CARDS: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": ""}

OnPhase = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one run, and the card before it, at the start of what is timed, at the barrier and after it."""

    planned: Planned
    done: Done
    card: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    settled_seconds: float | None = None

    @property
    def contended(self) -> tuple[str, ...]:
        """Who else was at the card."""
        return contenders(self.card)


@dataclass(slots=True)
class Bench:
    """Where and how the runs are made; ``until`` is in monotonic seconds, None for no limit."""

    python: str
    card: MeasuredCard | None
    stop: threading.Event
    until: float | None = None
    run: Callable[..., Done] = together.run
    monotonic: Callable[[], float] = time.monotonic
    _settled: dict[str, Done] = field(default_factory=dict[str, Done])

    def make(self, planned: Planned, on_phase: OnPhase) -> Record:
        """Make one run, or say why not."""
        if refused := self._refused(planned):
            return Record(planned, refused)
        if planned.on_cpu or self.card is None:
            return self._on_cpu(planned, on_phase)
        return self._on_card(planned, self.card, on_phase)

    def _refused(self, planned: Planned) -> Done | None:
        if planned.left_out:
            return Done("not run", planned.left_out)
        if self.stop.is_set():
            return Done("not run", STOPPED)
        if found := self._settled.get("all") or (None if planned.on_cpu else self._settled.get("card")):
            return found
        if self.until is not None and self._seconds(planned) < _least_seconds(planned):
            return Done("not run", NO_TIME)
        return None

    def _seconds(self, planned: Planned) -> float:
        most = _MOST_SECONDS_OF_AN_EPOCH if planned.spec.get("full") else _MOST_SECONDS
        return most if self.until is None else min(most, self.until - self.monotonic())

    def _on_cpu(self, planned: Planned, on_phase: OnPhase) -> Record:
        def at_phase(name: str, _: Mapping[str, object]) -> None:
            on_phase(name)

        asked = Asked(planned.spec, self.python, self._seconds(planned), environ=_NO_CARDS)
        return Record(planned, self._run(planned, asked, on_phase=at_phase))

    def _on_card(self, planned: Planned, card: MeasuredCard, on_phase: OnPhase) -> Record:
        readings = {"before": card.at_rest()}
        before = readings["before"]
        free = before.free_bytes
        if free is not None and free < planned.wants_bytes:
            wanted, there = (format_value(value, "bytes") for value in (planned.wants_bytes, free))
            return Record(planned, Done("not run", VRAM, f"wants {wanted} of the card, {there} are free"), readings)

        alone, pids = _BESIDE not in planned.spec, [0]

        def at_phase(name: str, line: Mapping[str, object]) -> None:
            on_phase(name)
            if name == _PROCESS:
                pids[0] = cast("int", line["pid"])
            elif name in _MEASURED_PHASES:
                readings["start"] = attributed(before, card.reading(pids[0]), alone=alone)

        def at_barrier(pid: int) -> Mapping[str, object]:
            readings["barrier"] = attributed(before, card.reading(pid), alone=alone)
            return {}

        asked = Asked({**planned.spec, "device": "cuda:0"}, self.python, self._seconds(planned), uuid=card.uuid)
        done = self._run(planned, asked, on_phase=at_phase, at_barrier=at_barrier)
        readings["after"], settled = card.settled(before.used_bytes)
        return Record(planned, done, readings, settled)

    def _run(self, planned: Planned, asked: Asked, **told: object) -> Done:
        done = self.run(asked, stop=self.stop, **told)
        if self.stop.is_set() and done.outcome != "ok":
            return Done("stopped", STOPPED, seconds=done.seconds)
        untried = Done(done.outcome, done.reason, done.detail)
        if done.reason in _FOR_ALL:
            self._settled["all"] = untried
        if done.reason in _FOR_THE_CARD and not planned.on_cpu:
            self._settled["card"] = untried
        return done


def _least_seconds(planned: Planned) -> float:
    """How much time must be left to begin this run; a stand-in for trying out is over soon."""
    if planned.tiny:
        return _LEAST_SECONDS
    return _LEAST_SECONDS_OF.get(_BESIDE if _BESIDE in planned.spec else str(planned.spec["run"]), _LEAST_SECONDS)


def figures_of(record: Record) -> Iterator[tuple[str, object]]:
    """The child's figures, and what the driver saw of it at the barrier."""
    yield from record.done.figures.items()
    barrier, before = record.card.get("barrier"), record.card.get("before")
    if barrier and barrier.process_bytes is not None:
        yield "process_bytes", barrier.process_bytes
    if barrier and before and barrier.used_bytes is not None and before.used_bytes is not None:
        yield "card_bytes", barrier.used_bytes - before.used_bytes
