"""What a guide claims, the runs that show whether this machine does it, and the verdict: pure, no device, no torch.

A claim compares ONE number with ONE reference, and says ``met`` or ``not met`` of the machine at hand, whatever card
the reference names. Two other verdicts keep it honest:

- ``not measured``, with a reason: no figure, so no verdict. A run's own reason (``vram``, ``out_of_memory``,
  ``deadline``) is handed on.
- ``other``, with a reason: there is a figure, and comparing it with the reference would mislead. ``tiny`` (a stand-in
  was run), ``cpu`` (the reference is a card's), ``undefined`` (the reference does not say what it means; the claim's
  note says what was taken), ``contended`` (somebody else was at the card and the time was not met: it might have been).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from exporter.bench.reckoned import reckoned_bytes
from gpuwarden.units import format_value

MIB, GB = 2**20, 10**9

Unit = Literal["seconds", "more seconds", "bytes", "change", "share", "times", "per second"]
"""``change`` is relative, -0.3 for 30 % less; ``share`` is a part of a whole; ``times`` is a factor."""
Word = Literal["met", "not met", "other", "not measured"]

TINY, CPU, UNDEFINED, CONTENDED = "tiny", "cpu", "undefined", "contended"
NO_FIGURE, NO_CARD = "no_figure", "no_card"
LESS, MORE = "less", "more"
_OF_TIME = frozenset({"seconds", "more seconds", "times", "per second"})
_NEAR = 0.25


@dataclass(frozen=True, slots=True)
class Run:
    """One child of exporter/workload: ``name`` identifies it, runs of one name are one run that serves several claims.

    ``spec`` has the keys of exporter/workload/spec.py, but for the device. ``mib`` of card memory, context included,
    are said only where the arithmetic does not reach (exporter/model_memory; 0: it does). A run may be on the CPU
    always (``where``). ``on_cpu`` is made in its place when there is no card; None: without a card the run makes no
    sense and is left out. ``tiny`` is what changes in the spec, beyond what always does, when everything is tried out
    with stand-ins.
    """

    name: str
    spec: Mapping[str, object]
    mib: int = 0
    where: Literal["card", "cpu"] = "card"
    on_cpu: "Run | None" = None
    tiny: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def needs_bytes(self) -> int:
        """Memory that it takes of a card, its CUDA context included; 0 for one that is always on the CPU."""
        if self.where == "cpu":
            return 0
        return self.mib * MIB or reckoned_bytes(self.spec)


Figures = Mapping[str, Any]
"""A run's figures as the child tells them, with ``process_bytes`` and ``card_bytes``: what NVML said at the barrier."""
Results = Mapping[str, Figures]
"""Figures by the key that a claim gives its run."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The number claimed: ``text`` as a person reads it; ``about`` allows a quarter more or less."""

    text: str
    value: float
    test: Literal["at most", "at least", "about"] = "at most"

    def holds(self, value: float) -> bool:
        """Whether the number found is what was claimed."""
        if self.test == "about":
            return abs(value - self.value) <= _NEAR * abs(self.value)
        return value <= self.value if self.test == "at most" else value >= self.value

    def verdict(self, value: float) -> tuple[Word, str]:
        """Whether it holds; and where not, of a number that can be missed on both sides, on which it was."""
        if self.holds(value):
            return "met", ""
        return "not met", (LESS if value < self.value else MORE) if self.test == "about" else ""


def _nothing(_: Results) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One line of the table.

    ``value`` finds the number in ``unit``, ``detail`` further words for the column beside it; either may raise
    LookupError, TypeError, ValueError or ZeroDivisionError where a figure is missing. All ``runs`` are needed; those of
    ``besides`` only add to the detail. ``how`` says what is measured, ``note`` where the reference is ill-defined or
    wrong. A claim that is not ``comparable`` gets ``other``; one that is not ``of_a_card`` is judged on the processor,
    too.
    """

    id: str
    says: str
    reference: Reference
    unit: Unit
    runs: Mapping[str, Run]
    value: Callable[[Results], float]
    how: str
    detail: Callable[[Results], str] = _nothing
    besides: Mapping[str, Run] = field(default_factory=lambda: MappingProxyType({}))
    card: str = ""
    note: str = ""
    comparable: bool = True
    of_a_card: bool = True

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """Those that are needed, then the others."""
        return (*self.runs.values(), *self.besides.values())


class _CardMemoryUnknown(LookupError):  # noqa: N818 -- it names what is missing
    """A figure of a card's memory is missing; the processor has none."""


_NO_VALUE = (LookupError, TypeError, ValueError, ZeroDivisionError)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one run: ``reason`` why there are no figures, empty when there are."""

    figures: Figures = field(default_factory=lambda: MappingProxyType({}))
    reason: str = ""
    on_cpu: bool = False
    tiny: bool = False
    contended: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict, its reason where it has one, and what was found: ``value`` is in the claim's unit."""

    word: Word
    reason: str = ""
    value: float | None = None
    detail: str = ""


def judge(claim: Claim, results: Mapping[str, Result]) -> Verdict:
    """The verdict from the results of runs by their names; a run that is not among them was not made."""
    found = {key: results.get(run.name, Result(reason="not_run")) for key, run in claim.runs.items()}
    if reason := next((result.reason for result in found.values() if result.reason), ""):
        return Verdict("not measured", reason)
    besides = {key: results.get(run.name, Result(reason="not_run")) for key, run in claim.besides.items()}
    figures = {key: result.figures for key, result in {**found, **besides}.items() if not result.reason}
    try:
        value = float(claim.value(figures))
    except _CardMemoryUnknown:
        return Verdict("not measured", NO_CARD if _stands_in(claim, found) else NO_FIGURE)
    except _NO_VALUE:
        return Verdict("not measured", NO_FIGURE)
    detail = _detail(claim, figures)
    if reason := _incomparable(claim, found, holds=claim.reference.holds(value)):
        return Verdict("other", reason, value, detail)
    return Verdict(*claim.reference.verdict(value), value, detail)


def _detail(claim: Claim, figures: Results) -> str:
    try:
        return claim.detail(figures)
    except _NO_VALUE:
        return ""


def _incomparable(claim: Claim, found: Mapping[str, Result], *, holds: bool) -> str:
    """Why the number must not be compared, empty where it may."""
    if any(result.tiny for result in found.values()):
        return TINY
    if not claim.comparable:
        return UNDEFINED
    if claim.of_a_card and _stands_in(claim, found):
        return CPU
    contended = any(result.contended for result in found.values())
    return CONTENDED if contended and claim.unit in _OF_TIME and not holds else ""


def _stands_in(claim: Claim, found: Mapping[str, Result]) -> bool:
    """Whether the processor did what is a card's to do."""
    return any(run.where == "card" and found[key].on_cpu for key, run in claim.runs.items())


def held_bytes(figures: Figures) -> float:
    """What the run took of the card: the process's memory by NVML, else how much more the card held than before."""
    known = [figures[key] for key in ("process_bytes", "card_bytes") if figures.get(key) is not None]
    if not known:
        raise _CardMemoryUnknown
    return known[0]


def tensors_bytes(figures: Figures) -> float:
    """The most that torch gave out at once for tensors."""
    if "torch_allocated_peak_bytes" not in figures:
        raise _CardMemoryUnknown
    return figures["torch_allocated_peak_bytes"]


def in_words(seconds: float) -> str:
    """Seconds for the column of details."""
    return format_value(seconds, "seconds")
