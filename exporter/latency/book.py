"""What is known of each target: its last run, when one last went well, and how often and why none was started.

The series are made from what stands here, anew for each page: what is not here any more, such as a card that was taken
out, has none. A card that does not answer keeps its counters, not the figures of its last run.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.latency import reasons
from exporter.latency.figures import LastRun, series
from exporter.latency.observations import Labels, Observed
from exporter.latency.targets import Target


@dataclass(slots=True)
class _Entry:
    skipped: dict[str, int]
    last: LastRun | None = None
    went_well_at: float | None = None


@dataclass(slots=True)
class _Card:
    running: bool = False
    used_ratio: float = 0.0


@dataclass(slots=True)
class _Pages:
    by_name: dict[str, dict[Labels, float]] = field(default_factory=dict[str, dict[Labels, float]])

    def add(self, name: str, labels: Labels, value: float) -> None:
        self.by_name.setdefault(name, {})[labels] = value


class Book:
    """Safe to use from any thread; ``interpreter`` says whose Python runs the probe, never its path.

    ``answering`` gives the UUIDs of the cards that answer.
    """

    def __init__(self, interpreter: str, answering: Callable[[], Collection[str]]) -> None:
        self._interpreter = interpreter
        self._answering = answering
        self._lock = threading.Lock()
        self._entries: dict[Target, _Entry] = {}
        self._cards: dict[tuple[str, str], _Card] = {}

    def keep(self, targets: Iterable[Target], used: Mapping[str, float]) -> None:
        """These are the targets now; ``used`` is a share of the hour by UUID."""
        with self._lock:
            before, self._entries = self._entries, {}
            cards, self._cards = self._cards, {}
            for target in targets:
                self._entries[target] = before.get(target) or _fresh(target)
                card = self._cards.setdefault(_card(target), cards.get(_card(target), _Card()))
                card.used_ratio = used.get(target.uuid, 0.0)

    def skip(self, target: Target, reason: str, times: int = 1) -> None:
        """Not started."""
        with self._lock:
            if (entry := self._entries.get(target)) is not None:
                entry.skipped[reason] = entry.skipped.get(reason, 0) + times

    def running(self, target: Target, *, now: bool) -> None:
        """A run begins, or has ended."""
        with self._lock:
            if (card := self._cards.get(_card(target))) is not None:
                card.running = now

    def ran(self, target: Target, run: LastRun, at: float) -> None:
        """A run has ended at ``at`` (Unix seconds)."""
        with self._lock:
            if (entry := self._entries.get(target)) is not None:
                entry.last = run
                entry.went_well_at = at if run.outcome == "ok" else entry.went_well_at

    def told(self) -> list[Observed]:
        """All series of the probe but the histograms."""
        pages, answering = _Pages(), {"", *self._answering()}
        with self._lock:
            for target, entry in self._entries.items():
                self._tell(pages, target, entry, shown=target.uuid in answering)
            for card, state in self._cards.items():
                pages.add("model_probe_running", card, float(state.running))
                pages.add("model_probe_time_used_ratio", card, state.used_ratio)
        return [Observed(name, values) for name, values in pages.by_name.items()]

    def _tell(self, pages: _Pages, target: Target, entry: _Entry, *, shown: bool) -> None:
        model = (target.model, *_card(target))
        for reason, count in entry.skipped.items():
            pages.add("model_probe_skipped_total", (*model, reason), float(count))
        if entry.went_well_at is not None:
            pages.add("model_probe_last_run_timestamp_seconds", model, entry.went_well_at)
        if entry.last is not None and shown:
            for name, labels, value in series(target, entry.last, self._interpreter):
                pages.add(name, labels, value)


def _card(target: Target) -> tuple[str, str]:
    return target.gpu, target.uuid


def _fresh(target: Target) -> _Entry:
    return _Entry(dict.fromkeys(reasons.ON_A_CARD if target.on_card else reasons.ON_THE_PROCESSOR, 0))
