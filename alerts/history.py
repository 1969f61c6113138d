"""What was read lately of the series that rules look back on, bounded in time and in number.

A track is one metric seen through one window, for the rules that share both; it keeps the series that one of them
covers. Each has a ring of at most ``MOST_SAMPLES`` samples: through a window that holds more, only the last sample of
each of so many equal slots, as a scraper with a longer interval would have seen it. All tracks together keep at most
``MOST_SERIES`` series; what is beyond has no reading, which is logged. So the memory is known beforehand
(``most_bytes``).

A window that was not watched whole proves nothing. After a start, a suspend or a step of the clock a track gives no
samples until it has watched for as long as it looks back; a prediction, which is an estimate anyway, for half as long.
A hole of half a window, or of three rounds, is none of that: a target that hangs, or a slow disk, costs no more than a
scrape that failed.
"""

import logging
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.rule import Rule
from alerts.series import LabelSet, Sample, Scrape
from alerts.windows import Predict, Quantile, Samples, Window, span

MOST_SAMPLES = 240
MOST_SERIES = 20_000
"""Of all tracks together; the buckets of a histogram are a series each."""

BYTES_PER_SAMPLE = 16
BYTES_PER_SERIES = 2048
"""The ring, its place in the track, and the labels that it keeps."""

TrackKey = tuple[str, Window]
"""A metric, and the window through which it is seen."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Ring:
    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, at: float, value: float, slot: float) -> None:
        if self.times and slot and at // slot == self.times[-1] // slot:
            self.times[-1], self.values[-1] = at, value
        else:
            self.times.append(at)
            self.values.append(value)

    def drop_before(self, start: float) -> None:
        outdated = 0
        while outdated < len(self.times) and self.times[outdated] < start:
            outdated += 1
        if outdated:
            del self.times[:outdated], self.values[:outdated]


@dataclass(slots=True)
class _Track:
    """``others`` are series that none of its ``rules`` covers, so that this is not asked again each round."""

    since: float
    rules: tuple[Rule, ...] = ()
    rings: dict[LabelSet, _Ring] = field(default_factory=dict[LabelSet, _Ring])
    others: set[LabelSet] = field(default_factory=set[LabelSet])

    def follow(self, rules: tuple[Rule, ...]) -> None:
        if rules != self.rules:
            self.rules, self.others = rules, set()

    def covers(self, labels: LabelSet) -> bool:
        if labels in self.others:
            return False
        own = dict(labels)
        if any(rule.covers(own) for rule in self.rules):
            return True
        if len(self.others) < MOST_SERIES:
            self.others.add(labels)
        return False

    def drop_before(self, start: float) -> None:
        for labels, ring in [*self.rings.items()]:
            ring.drop_before(start)
            if not ring.times:
                del self.rings[labels]


class History:
    """The tracks of the rules that are followed.

    ``watched_since`` (Unix seconds) is when the watching began, where that was before the first round.
    """

    def __init__(self, watched_since: float | None = None) -> None:
        self._watched_since = watched_since
        self._tracks: dict[TrackKey, _Track] = {}
        self._at: float | None = None
        self._is_full = False

    def take(self, rules: Sequence[Rule], scrapes: Sequence[Scrape], now: float, *, max_gap: float) -> None:
        """Keep what ``rules`` look back on; ``now`` in Unix seconds, ``max_gap`` about two rounds, in seconds."""
        begun = now if self._at is not None or self._watched_since is None else self._watched_since
        passed = None if self._at is None else now - self._at
        self._at = now
        before, self._tracks = self._tracks, {}
        for key, wanted in tracks_of(rules).items():
            hole = max(1.5 * max_gap, key[1].length / 2)
            kept = before.get(key) if passed is not None and 0 <= passed <= hole else None
            track = self._tracks[key] = kept or _Track(begun)
            track.follow(wanted)
            track.drop_before(now - span(key[1]))
        self._add(scrapes, now)

    def _add(self, scrapes: Sequence[Scrape], now: float) -> None:
        room = MOST_SERIES - sum(len(track.rings) for track in self._tracks.values())
        left_out: set[str] = set()
        for (metric, window), track in self._tracks.items():
            slot = slot_of(window)
            for sample in _samples(scrapes, metric):
                ring = track.rings.get(sample.labels)
                if ring is None and track.covers(sample.labels):
                    if room <= 0:
                        left_out.add(metric)
                        continue
                    ring = track.rings[sample.labels] = _Ring()
                    room -= 1
                if ring is not None:
                    ring.add(now, sample.value, slot)
        self._note(left_out)

    def _note(self, left_out: set[str]) -> None:
        if left_out and not self._is_full:
            names = ", ".join(sorted(left_out))
            _log.warning("rules look back on more than %d series: some of %s have no reading", MOST_SERIES, names)
        self._is_full = bool(left_out)

    def watched(self, metric: str, window: Window) -> bool:
        """Whether the window was watched for long enough to prove something."""
        track = self._tracks.get((metric, window))
        if track is None or self._at is None:
            return False
        return self._at - track.since >= (window.length / 2 if isinstance(window, Predict) else span(window))

    def samples(self, metric: str, window: Window, labels: LabelSet) -> Samples:
        """What the window holds of one series."""
        track = self._tracks.get((metric, window))
        ring = track.rings.get(labels) if track else None
        return Samples(ring.times, ring.values) if ring else Samples()

    @property
    def series(self) -> Mapping[TrackKey, int]:
        """How many series each track keeps now."""
        return {key: len(track.rings) for key, track in self._tracks.items()}

    @property
    def held(self) -> int:
        """Samples that are kept now."""
        return sum(len(ring.times) for track in self._tracks.values() for ring in track.rings.values())


def _samples(scrapes: Iterable[Scrape], metric: str) -> Iterator[Sample]:
    return (sample for scrape in scrapes for sample in scrape.samples.get(metric, ()))


def tracks_of(rules: Iterable[Rule]) -> Mapping[TrackKey, tuple[Rule, ...]]:
    """The tracks that these rules need, each with its rules."""
    found: dict[TrackKey, list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.window:
            for name in series_names(rule.metric, rule.window):
                found[name, rule.window].append(rule)
    return {key: tuple(wanted) for key, wanted in found.items()}


def series_names(metric: str, window: Window | None) -> tuple[str, ...]:
    """The names under which a scrape holds what a rule on ``metric`` reads."""
    return (f"{metric}_bucket", f"{metric}_count") if isinstance(window, Quantile) else (metric,)


def slot_of(window: Window) -> float:
    """Seconds of which at most one sample is kept."""
    return window.length / MOST_SAMPLES


def most_bytes(series: int, window: Window, interval: float) -> int:
    """The bytes that so many series of a track can take; ``interval`` between rounds, in seconds.

    An array keeps room for a sixteenth more than it holds, and a few.
    """
    samples = min(MOST_SAMPLES + 1, math.ceil(window.length / interval) + 1)
    return series * (BYTES_PER_SERIES + (samples + samples // 16 + 8) * BYTES_PER_SAMPLE)
