"""``bench --fit``: which runs are asked about, and the answer for one card. Pure; bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from exporter.bench.fit.cards import CardMemory
from exporter.bench.fit.outline import INT4, INT8, Outline, answering_outline
from exporter.bench.fit.verdict import MOST, Judged, Largest, judge, largest
from exporter.model_memory.answering import (
    AMP,
    FP16,
    FP32,
    Parts,
    Precision,
    answering_cnn,
    answering_gpt,
)
from exporter.model_memory.counted import Counted
from exporter.model_memory.shapes import CNNS, GPTS, Cnn, Gpt
from exporter.model_memory.training import ADAMW, SGD, training_cnn, training_gpt

ANSWER, TRAIN = "answer", "train"
_GPT_BATCH, _GPT_SEQUENCE = 4, 512
_CNN_BATCHES, _VOLUMES = (8, 32), (1, 4)
_TRIED_OUT_ONLY = "gpt2-tiny"

Need = Callable[[int, int], tuple[Parts, str]]
"""What a batch of so many positions takes, without the context, and in which moment of a training ("" otherwise)."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked about: ``what`` is answer or train; a CNN has no positions (0), a GPT at most so many."""

    model: str
    what: str
    precision: str
    batch: int
    positions: int
    most_positions: int
    need: Need
    optimizer: str = ""

    @property
    def words(self) -> str:
        """What ``--only`` looks into."""
        return f"{self.model} {self.what} {self.precision} {self.optimizer}"


@dataclass(frozen=True, slots=True)
class Room:
    """The answer for one amount of free memory; ``positions`` None for what has none."""

    judged: Judged
    batch: Largest
    positions: Largest | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """One run on one card; ``now`` None where nobody told what is free now."""

    run: Run
    parts: Parts
    moment: str
    if_empty: Room
    now: Room | None


def assess(run: Run, card: CardMemory, context_bytes: int) -> Assessment:
    """Whether the run fits this card when it is empty, and now."""
    parts, moment = run.need(run.batch, run.positions)
    return Assessment(
        run,
        replace(parts, context=context_bytes),
        moment,
        _room(run, card.empty_bytes, context_bytes),
        None if card.free_bytes is None else _room(run, card.free_bytes, context_bytes),
    )


def _room(run: Run, free_bytes: int, context_bytes: int) -> Room:
    def need(batch: int, positions: int) -> int:
        return run.need(batch, positions)[0].total + context_bytes

    return Room(
        judge(need(run.batch, run.positions), free_bytes),
        largest(lambda batch: need(batch, run.positions), free_bytes),
        largest(partial(need, run.batch), free_bytes, run.most_positions) if run.positions else None,
    )


def known_runs(optimizer: str = "", *, checkpointing: bool = False) -> tuple[Run, ...]:
    """The known models answering and in training; ``optimizer`` for all instead of each kind's own."""
    gpts = [shape for name, shape in GPTS.items() if name != _TRIED_OUT_ONLY]
    return (
        *(run for shape in gpts for run in _answering_gpt(shape)),
        *(run for shape in CNNS.values() for run in _answering_cnn(shape)),
        *(run for shape in gpts for run in _training_gpt(shape, optimizer or ADAMW, checkpointing=checkpointing)),
        *(run for shape in CNNS.values() for run in _training_cnn(shape, optimizer or SGD)),
    )


def _answering_gpt(shape: Gpt) -> Iterator[Run]:
    for precision in (FP32, FP16):

        def need(batch: int, positions: int, precision: Precision = precision) -> tuple[Parts, str]:
            return answering_gpt(shape, precision, batch, positions), ""

        yield Run(shape.name, ANSWER, precision.name, 1, shape.positions, shape.positions, need)


def _answering_cnn(shape: Cnn) -> Iterator[Run]:
    for precision in (FP32, FP16):

        def need(batch: int, _positions: int, precision: Precision = precision) -> tuple[Parts, str]:
            return answering_cnn(shape, precision, batch), ""

        yield Run(shape.name, ANSWER, precision.name, 1, 0, 0, need)


def _training_gpt(shape: Gpt, optimizer: str, *, checkpointing: bool) -> Iterator[Run]:
    for precision in (FP32, AMP):
        need = partial(training_gpt, shape, precision, optimizer=optimizer, checkpointing=checkpointing)
        yield Run(
            shape.name, TRAIN, precision.name, _GPT_BATCH, _GPT_SEQUENCE, shape.positions, need, optimizer=optimizer
        )


def _training_cnn(shape: Cnn, optimizer: str) -> Iterator[Run]:
    volumes = isinstance(shape, Counted) and shape.of_volumes
    for batch in _VOLUMES if volumes else _CNN_BATCHES:
        for precision in (FP32, AMP):

            def need(batch: int, _positions: int, precision: Precision = precision) -> tuple[Parts, str]:
                return training_cnn(shape, precision, batch, optimizer=optimizer)

            yield Run(shape.name, TRAIN, precision.name, batch, 0, 0, need, optimizer=optimizer)


def outline_runs(shape: Outline, batch: int, positions: int, chunk: int = 0) -> tuple[Run, ...]:
    """The user's own model answering, in the three precisions that people run such models in."""

    def run(precision: Precision) -> Run:
        def need(batch: int, positions: int) -> tuple[Parts, str]:
            return answering_outline(shape, precision, batch, positions, chunk), ""

        return Run(shape.name, ANSWER, precision.name, batch, positions, MOST, need)

    return tuple(run(precision) for precision in (FP16, INT8, INT4))
