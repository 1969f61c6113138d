"""What was read lately of the series that rules look back on, bounded in time and in number.

A track is one metric seen through one window; rules that share both share it. It keeps a ring for each series, of at
most ``MOST_SAMPLES`` samples: through a window that holds more, only the last sample of each of so many equal slots, as
a scraper with a longer interval would have seen it. So the memory is known beforehand (``most_bytes``).

A window that was not watched whole proves nothing. After a start, a suspend or a step of the clock a track has no
samples to give until it has watched for as long as it looks back; a prediction, which is an estimate anyway, for half
as long.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from alerts.rule import Rule
from alerts.series import LabelSet, Sample, Scrape
from alerts.windows import Predict, Quantile, Samples, Window, span

MOST_SAMPLES = 240
MOST_SERIES = 20_000
"""Of one track; the buckets of a histogram are a series each."""

BYTES_PER_SAMPLE = 16

TrackKey = tuple[str, Window]
"""A metric, and the window through which it is seen."""


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
    since: float
    rings: dict[LabelSet, _Ring] = field(default_factory=dict[LabelSet, _Ring])

    def add(self, samples: Iterable[Sample], now: float, slot: float) -> None:
        for sample in samples:
            ring = self.rings.get(sample.labels)
            if ring is None:
                if len(self.rings) >= MOST_SERIES:
                    continue
                ring = self.rings[sample.labels] = _Ring()
            ring.add(now, sample.value, slot)

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

    def take(self, rules: Iterable[Rule], scrapes: Sequence[Scrape], now: float, *, max_gap: float) -> None:
        """Keep what ``rules`` look back on; ``now`` in Unix seconds, ``max_gap`` about two rounds, in seconds."""
        begun = now if self._at is not None or self._watched_since is None else self._watched_since
        watched = self._at is not None and 0 <= now - self._at <= max_gap
        self._at = now
        keys = tracks_of(rules)
        self._tracks = {key: self._tracks[key] if watched and key in self._tracks else _Track(begun) for key in keys}
        for (metric, window), track in self._tracks.items():
            samples = (sample for scrape in scrapes for sample in scrape.samples.get(metric, ()))
            track.add(samples, now, slot_of(window))
            track.drop_before(now - span(window))

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
    def held(self) -> int:
        """Samples that are kept now."""
        return sum(len(ring.times) for track in self._tracks.values() for ring in track.rings.values())


def tracks_of(rules: Iterable[Rule]) -> list[TrackKey]:
    """The tracks that these rules need, each once."""
    looking_back = ((rule.metric, rule.window) for rule in rules if rule.window)
    return list(
        dict.fromkeys((name, window) for metric, window in looking_back for name in series_names(metric, window))
    )


def series_names(metric: str, window: Window | None) -> tuple[str, ...]:
    """The names under which a scrape holds what a rule on ``metric`` reads."""
    return (f"{metric}_bucket", f"{metric}_count") if isinstance(window, Quantile) else (metric,)


def slot_of(window: Window) -> float:
    """Seconds of which at most one sample is kept."""
    return window.length / MOST_SAMPLES


def most_bytes(series: int, window: Window, interval: float) -> int:
    """The bytes of samples that so many series can take; ``interval`` between rounds, in seconds."""
    return series * min(MOST_SAMPLES + 1, math.ceil(window.length / interval) + 1) * BYTES_PER_SAMPLE
