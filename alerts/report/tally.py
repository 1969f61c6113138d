"""What reports add up, from round to round, where the alerter is its own judge. Pure, and bounded.

1. An hour is one sheet: of each card the peaks, what the mean is made of, and its energy; of each model the counts of
   its histograms. A sheet is written down every few minutes and read again after a restart.
2. Time counts for the mean as far as it was watched: at most ``max_gap`` seconds between two rounds.
3. A counter that falls has begun anew. A card's energy is remembered over a restart of the alerter, so that what was
   used meanwhile is not lost; a model's answers of that time are.
4. A sheet has at most ``MOST_CARDS`` and ``MOST_MODELS``; ``is_full`` says that some were left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.clean_text import one_line
from alerts.notify.page_facts import LONGEST_LABEL, host_of, is_simulated
from alerts.series import LabelSet, Scrape

SHEET_SECONDS = 3600.0
MOST_CARDS = 2000
MOST_MODELS = 200
_MOST_BUCKETS = 40
_MOST_COUNTERS = 20_000
"""Of models on all targets."""

LATENCIES: Mapping[str, str] = {
    "model_request_duration_seconds": "",
    "model_time_to_first_token_seconds": "first token",
}
"""Histograms, and what is said of them beside source and operation."""
PEAKS: Mapping[str, tuple[str, str]] = {
    "memory_ratio": ("gpu_memory_used_peak_ratio", "gpu_memory_used_ratio"),
    "celsius": ("gpu_temperature_peak_celsius", "gpu_temperature_celsius"),
    "watts": ("gpu_power_peak_watts", "gpu_power_watts"),
}
"""The peak of the last minute sees what happens between two rounds; other exporters may have only the reading."""
MEAN, ENERGY = "gpu_utilization_ratio", "gpu_energy_joules_total"
_OF_CARDS = (MEAN, ENERGY, "gpu_info", *(name for both in PEAKS.values() for name in both))
WANTED = frozenset({*_OF_CARDS, *(f"{name}_bucket" for name in LATENCIES)})
"""The names that a scrape must keep for reports."""

CardKey = tuple[str, str, str]
"""instance, index, uuid"""
ModelKey = tuple[str, str]
"""model, source and operation"""


@dataclass(slots=True)
class CardTally:
    """One card in one hour; ``peaks`` by their names, ``seen`` in seconds."""

    peaks: dict[str, float] = field(default_factory=dict[str, float])
    busy: float = 0.0
    seen: float = 0.0
    joules: float | None = None
    joules_read: float | None = None
    name: str = ""


@dataclass(slots=True)
class Sheet:
    """One hour from ``begin``; ``since`` and ``until`` are its first and last round (Unix seconds).

    ``watched`` are the seconds that count.
    """

    begin: float
    since: float
    until: float
    watched: float = 0.0
    cards: dict[CardKey, CardTally] = field(default_factory=dict[CardKey, CardTally])
    models: dict[ModelKey, dict[float, float]] = field(default_factory=dict[ModelKey, dict[float, float]])
    hosts: dict[str, str] = field(default_factory=dict[str, str])
    simulated: bool = False
    is_full: bool = False


class Tally:
    """The sheet of this hour."""

    def __init__(self, sheet: Sheet | None = None) -> None:
        self.sheet = sheet
        self._counts: dict[tuple[str, LabelSet], float] = {}
        self._keys: dict[LabelSet, CardKey] = {}
        """Whose a series is, so that its labels are not read in each round."""

    def take(self, scrapes: Sequence[Scrape], now: float, max_gap: float, offset: float = 0.0) -> Sheet | None:
        """Add one round at ``now`` (Unix seconds); the sheet of the hour that has ended, where one has.

        ``offset`` (seconds) is where hours begin, so that a report at 8:30 has whole ones.
        """
        begin = now - (now - offset) % SHEET_SECONDS
        before, sheet = self.sheet, self.sheet
        if sheet is None or sheet.begin != begin:
            sheet = self.sheet = _next_sheet(sheet, begin, now)
            if len(self._counts) >= _MOST_COUNTERS // 2:
                self._counts.clear()  # most are of models that are gone; the others lose one round's answers
        passed = now - before.until if before else 0.0
        passed = passed if 0 <= passed <= max_gap else 0.0
        sheet.until, sheet.watched = max(sheet.until, now), sheet.watched + passed
        for scrape in scrapes:
            if scrape.error is None:
                _take_host(sheet, scrape)
                for key, readings in self._cards(scrape).items():
                    _take_card(sheet, key, readings, passed)
                self._take_models(sheet, scrape)
        return before if before is not sheet else None

    def _cards(self, scrape: Scrape) -> dict[CardKey, dict[str, float | str]]:
        """The readings of each card on a page, by metric; its name is that of ``gpu_info``."""
        found: dict[CardKey, dict[str, float | str]] = {}
        for metric in _OF_CARDS:
            for sample in scrape.samples.get(metric, ()):
                if metric == "gpu_info":
                    found.setdefault(self._key(sample.labels), {})[metric] = _short(dict(sample.labels).get("name", ""))
                elif math.isfinite(sample.value):
                    found.setdefault(self._key(sample.labels), {})[metric] = sample.value
        return found

    def _key(self, labels: LabelSet) -> CardKey:
        key = self._keys.get(labels)
        if key is None:
            own = dict(labels)
            key = (own.get("instance", ""), _short(own.get("gpu", "")), _short(own.get("uuid", "")))
            if len(self._keys) >= 2 * MOST_CARDS:
                self._keys.clear()
            self._keys[labels] = key
        return key

    def _take_models(self, sheet: Sheet, scrape: Scrape) -> None:
        for name, what in LATENCIES.items():
            for sample in scrape.samples.get(f"{name}_bucket", ()):
                key = name, sample.labels
                known = self._counts.get(key)
                if known is None and len(self._counts) >= _MOST_COUNTERS:
                    sheet.is_full = True
                elif math.isfinite(sample.value):
                    self._counts[key] = sample.value
                    more = 0.0 if known is None else grown(known, sample.value)
                    _take_bucket(sheet, dict(sample.labels), what, more)


def grown(before: float, now: float) -> float:
    """How far a counter went; one that fell has begun anew."""
    return now - before if now >= before else now


def _next_sheet(before: Sheet | None, begin: float, now: float) -> Sheet:
    """An empty sheet that knows how far the counters of the cards were."""
    sheet = Sheet(begin, now, now)
    for key, card in before.cards.items() if before else ():
        if card.joules_read is not None:
            sheet.cards[key] = CardTally(joules_read=card.joules_read, name=card.name)
    return sheet


def _take_host(sheet: Sheet, scrape: Scrape) -> None:
    if host := host_of(scrape):
        sheet.hosts[scrape.instance] = host
    sheet.simulated |= is_simulated(scrape)


def _take_card(sheet: Sheet, key: CardKey, readings: Mapping[str, float | str], passed: float) -> None:
    card = sheet.cards.get(key)
    if card is None:
        if len(sheet.cards) >= MOST_CARDS:
            sheet.is_full = True
            return
        card = sheet.cards[key] = CardTally()
    card.name = str(readings.get("gpu_info", card.name))
    for name, metrics in PEAKS.items():
        values = [value for metric in metrics if isinstance(value := readings.get(metric), float)]
        if values:
            card.peaks[name] = max(*values, card.peaks.get(name, -math.inf))
    if isinstance(busy := readings.get(MEAN), float):
        card.busy, card.seen = card.busy + busy * passed, card.seen + passed
    if isinstance(joules := readings.get(ENERGY), float):
        more = 0.0 if card.joules_read is None else grown(card.joules_read, joules)
        card.joules, card.joules_read = (card.joules or 0.0) + more, joules


def _take_bucket(sheet: Sheet, labels: Mapping[str, str], what: str, more: float) -> None:
    key = _short(labels.get("model", "")), said_of(labels, what)
    if key not in sheet.models and len(sheet.models) >= MOST_MODELS:
        sheet.is_full = True
        return
    bound = _bound(labels.get("le", ""))
    buckets = sheet.models.setdefault(key, {})
    if not math.isnan(bound) and (bound in buckets or len(buckets) < _MOST_BUCKETS):
        buckets[bound] = buckets.get(bound, 0.0) + more


def said_of(labels: Mapping[str, str], what: str) -> str:
    """Which of a model's latencies it is, for a reader."""
    words = (_short(labels.get("source", "")), _short(labels.get("operation", "")), what)
    return " ".join(word for word in words if word)


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _short(text: str) -> str:
    return one_line(text, LONGEST_LABEL)


def merged(sheets: Iterable[Sheet]) -> Sheet | None:
    """All of them as one, the later ones last; None without any."""
    found: Sheet | None = None
    for sheet in sheets:
        if found is None:
            found = Sheet(sheet.begin, sheet.since, sheet.until)
        found.since, found.until = min(found.since, sheet.since), max(found.until, sheet.until)
        found.watched += sheet.watched
        found.hosts |= sheet.hosts
        found.simulated |= sheet.simulated
        found.is_full |= sheet.is_full
        for key, card in sheet.cards.items():
            _add_card(found.cards.setdefault(key, CardTally()), card)
        for key, buckets in sheet.models.items():
            mine = found.models.setdefault(key, {})
            mine.update({bound: mine.get(bound, 0.0) + count for bound, count in buckets.items()})
    return found


def _add_card(mine: CardTally, card: CardTally) -> None:
    for name, peak in card.peaks.items():
        mine.peaks[name] = max(peak, mine.peaks.get(name, peak))
    mine.busy, mine.seen = mine.busy + card.busy, mine.seen + card.seen
    if card.joules is not None:
        mine.joules = (mine.joules or 0.0) + card.joules
    mine.name = card.name or mine.name
