"""A scenario: cards, who holds their memory and how their readings move, written in YAML.

A curve maps points in time to values; between two points the value moves in a straight line, before the first and
after the last it stays. After ``period`` everything begins again.
"""

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gpuwarden.documents import Document, DocumentError, Mistake, Path, nearest, read
from gpuwarden.structure import structure
from gpuwarden.units import Duration, parse_duration

CURVES = frozenset({"memory_used_ratio", "utilization_ratio", "temperature_celsius", "throttled"})


@dataclass(frozen=True, slots=True)
class SimulatedProcess:
    """A process that holds ``share`` of the card's used memory."""

    name: str
    share: float
    user: str = "me"
    container: str = ""
    workload: str = ""
    pid: int = 4242


@dataclass(frozen=True, slots=True)
class SimulatedGpu:
    """One card; curves that are not given stand still at a plausible value."""

    name: str
    memory_gib: float
    power_limit_watts: float = 250.0
    slowdown_celsius: float = 90.0
    curves: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    processes: tuple[SimulatedProcess, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the demo source plays."""

    description: str
    period: Duration
    gpus: tuple[SimulatedGpu, ...]


Curve = tuple[tuple[float, float], ...]
"""Points (seconds, value) in rising time."""


def load_scenario(path: pathlib.Path) -> Scenario:
    """Read a scenario file.

    Raises:
        DocumentError: with every mistake.
    """
    document = read(path)
    scenario = structure(Scenario, document)
    mistakes = list(_mistakes(document, scenario))
    if mistakes:
        raise DocumentError(mistakes)
    return scenario


def _mistakes(document: Document, scenario: Scenario) -> Iterator[Mistake]:
    if scenario.period <= 0:
        yield document.mistake(("period",), "must be longer than 0")
    for index, gpu in enumerate(scenario.gpus):
        path = ("gpus", index)
        if gpu.memory_gib < 1:
            yield document.mistake((*path, "memory_gib"), "must be 1 or more")
        if len({item.pid for item in gpu.processes}) < len(gpu.processes):
            yield document.mistake((*path, "processes"), "need a pid each", "pid: 4243")
        for name, points in gpu.curves.items():
            yield from _curve_mistakes(document, (*path, "curves", name), name, points)


def _curve_mistakes(document: Document, path: Path, name: str, points: Mapping[str, float]) -> Iterator[Mistake]:
    if name not in CURVES:
        yield document.mistake(path, "is not a curve", nearest(name, CURVES) or ", ".join(sorted(CURVES)))
    for when, value in points.items():
        try:
            parse_duration(when)
        except ValueError as error:
            yield document.mistake((*path, when), str(error))
        if name.endswith("_ratio") and not 0 <= value <= 1:
            yield document.mistake((*path, when), f"{value:g} is not a ratio from 0 to 1")


def curve(points: Mapping[str, float]) -> Curve:
    """The points of a scenario's curve in rising time."""
    return tuple(sorted((parse_duration(when), value) for when, value in points.items()))


def value_at(points: Curve, seconds: float, otherwise: float) -> float:
    """The curve's value at ``seconds``, or ``otherwise`` for a curve without points."""
    if not points:
        return otherwise
    if seconds <= points[0][0]:
        return points[0][1]
    for (start, before), (end, after) in itertools.pairwise(points):
        if start <= seconds < end:
            return before + (after - before) * (seconds - start) / (end - start)
    return points[-1][1]
