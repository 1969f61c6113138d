"""A rule test, read and complete: what comes in at each step, and which alerts fire then."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from alerts.rule import TARGET_LABELS
from alerts.series import LabelSet
from gpuwarden.units import format_duration, parse_duration


@dataclass(frozen=True, slots=True)
class Series:
    """One input series; ``values`` are one for each step, None where there is no sample."""

    metric: str
    labels: LabelSet
    values: tuple[float | None, ...]

    @property
    def target(self) -> LabelSet:
        """Whose series it is: its job and instance."""
        return tuple(pair for pair in self.labels if pair[0] in TARGET_LABELS)


@dataclass(frozen=True, slots=True)
class Expectation:
    """At which steps an alert fires on the series that have these labels; written in ``line``.

    Of a rule with ``expr``, ``only_prometheus``, the labels are all that the alert has besides its own.
    """

    line: int | None
    alert: str
    labels: LabelSet
    fires: tuple[bool, ...]
    only_prometheus: bool = False


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test of ``file``: every target has its ``up``, and all series are as long as the test."""

    name: str
    file: str
    interval: float
    series: tuple[Series, ...]
    firing: tuple[Expectation, ...]

    @property
    def times(self) -> tuple[float, ...]:
        """Each step's seconds from minute 0."""
        steps = len(self.series[0].values)
        return tuple(round(step * self.interval, 3) for step in range(steps))

    def meaning(self, alert: str, labels: LabelSet) -> tuple[Expectation, ...]:
        """What is written of this series: the entries with the most labels of all that mean it."""
        meant = [one for one in self.firing if one.alert == alert and set(one.labels) <= set(labels)]
        most = max((len(one.labels) for one in meant), default=0)
        return tuple(one for one in meant if len(one.labels) == most)


def parse_spans(text: str, interval: float, steps: int) -> tuple[bool, ...]:
    """At which steps something holds: ``never``, or ``3m..17m, 20m..``.

    Raises:
        ValueError: this is not written so, or not of this many steps.
    """
    fires = [False] * steps
    if text.strip() == "never":
        return tuple(fires)
    end = 0
    for word in text.split(","):
        first, dots, last = (part.strip() for part in word.partition(".."))
        if not dots:
            message = f"{word.strip()[:100]!r} is not a span"
            raise ValueError(message)
        start, stop = _step(first, interval, steps), _step(last, interval, steps) if last else steps
        if not end <= start < stop:
            message = "spans must follow each other, each ending after it begins"
            raise ValueError(message)
        fires[start:stop] = [True] * (stop - start)
        end = stop
    return tuple(fires)


def _step(text: str, interval: float, steps: int) -> int:
    moment = parse_duration(text)
    step, rest = divmod(round(moment * 1000), round(interval * 1000))
    if rest:
        message = f"{text} is not a step: there is one every {format_duration(interval)}"
        raise ValueError(message)
    if step >= steps:
        message = f"{text} is after the last step, {format_duration((steps - 1) * interval)}"
        raise ValueError(message)
    return step


def spans_text(fires: Sequence[bool], interval: float) -> str:
    """As it is written in a test."""
    words: list[str] = []
    step = 0
    for value, run in itertools.groupby(fires):
        after = step + len(list(run))
        if value:
            end = "" if after == len(fires) else format_duration(after * interval)
            words.append(f"{format_duration(step * interval)}..{end}")
        step = after
    return ", ".join(words) or "never"
