"""What a rule's window makes of a series: PromQL's range functions, as Prometheus 3 computes them. Pure.

A window of ``length`` seconds that ends at ``now`` is the samples of ``(now - length, now]``. Prometheus 3 takes a
range so; Prometheus 2 takes in the earlier end too. The generated file asks for a millisecond less than ``length``,
which means the same to both, and ``span`` is that number here.

``increase`` and ``rate`` undo resets and extrapolate to the whole window (promql/functions.go, extrapolatedRate);
``predict`` draws the least-squares line and reads it ahead (predict_linear); ``quantile`` reads the histogram of the
window's increase (histogram_quantile). What has no result, for want of samples, is NaN: not a number.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Literal, get_args

Function = Literal["increase", "rate", "max", "min", "avg"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)

_MILLISECOND = 0.001
_PREDICTED_FROM = 4
"""A prediction looks back a quarter of the time that it looks ahead."""

_FEWEST = 2
"""Samples that a difference or a line needs."""

_CLOSE = 1.1
"""Steps between samples; an end of the window that is nearer than that is one to which the series goes on."""


@dataclass(frozen=True, slots=True)
class Over:
    """``over: {max: 10m}``: a function of the last ``length`` seconds."""

    function: Function
    length: float


@dataclass(frozen=True, slots=True)
class Predict:
    """``predict: 30m``: the value ``ahead`` seconds from now if it goes on as in the last quarter of that time."""

    ahead: float

    @property
    def length(self) -> float:
        """Seconds looked back."""
        return self.ahead / _PREDICTED_FROM


@dataclass(frozen=True, slots=True)
class Quantile:
    """``quantile: 0.9`` with ``over: {increase: 10m}``: what that share of the last observations stayed below.

    With fewer than ``least_count`` observations in the window there is no result.
    """

    quantile: float
    length: float
    least_count: float


Window = Over | Predict | Quantile


@dataclass(frozen=True, slots=True)
class Samples:
    """What a window holds of one series, in the order of time; times in Unix seconds."""

    times: Sequence[float] = ()
    values: Sequence[float] = ()


def span(window: Window) -> float:
    """Seconds of the range that means the window to every version of Prometheus."""
    return window.length - _MILLISECOND


def read(window: Over | Predict, samples: Samples, now: float) -> float:
    """The result at ``now``, NaN where there is none; ``samples`` are those of the window."""
    if isinstance(window, Predict):
        return _line_at(samples, now, window.ahead)
    values = samples.values
    if window.function in {"increase", "rate"}:
        grown = _increase(samples, now, span(window))
        return grown / span(window) if window.function == "rate" else grown
    if not values:
        return math.nan
    if window.function == "avg":
        return _mean(values)
    numbers = [value for value in values if not math.isnan(value)]
    if not numbers:
        return math.nan
    return max(numbers) if window.function == "max" else min(numbers)


def _mean(values: Sequence[float]) -> float:
    """Exact where all are equal: what stays at a threshold is not past it."""
    return values[0] if _are_equal(values) else _total(values) / len(values)


def _are_equal(values: Sequence[float]) -> bool:
    """Whether all are the same number; what is no number equals nothing."""
    return all(value == values[0] for value in values)


def _total(values: Iterable[float]) -> float:
    """The sum without the errors of adding up one by one, as far as there is one."""
    found = list(values)
    try:
        return math.fsum(found)
    except (OverflowError, ValueError):
        return sum(found)


def read_quantile(window: Quantile, buckets: Mapping[float, Samples], count: Samples, now: float) -> float:
    """The quantile at ``now``, NaN where there is none; ``buckets`` by upper bound, infinity among them."""
    length = span(window)
    if not _increase(count, now, length) >= window.least_count:
        return math.nan
    grown = {bound: _increase(samples, now, length) for bound, samples in buckets.items()}
    known = sorted((bound, height) for bound, height in grown.items() if not math.isnan(height))
    return bucket_quantile(window.quantile, known)


def _increase(samples: Samples, now: float, length: float) -> float:
    times, values = samples.times, samples.values
    if len(values) < _FEWEST:
        return math.nan
    grown, before = values[-1] - values[0], values[0]
    for value in values:
        if value < before:
            grown += before
        before = value
    sampled = times[-1] - times[0]
    between = sampled / (len(values) - 1)
    to_zero = sampled * (values[0] / grown) if grown > 0 and values[0] >= 0 else math.inf
    to_start = _to_start(times[0] - (now - length), between, to_zero)
    to_end = now - times[-1]
    to_end = between / 2 if to_end >= between * _CLOSE else to_end
    return grown * ((sampled + to_start + to_end) / sampled)


def _to_start(to_start: float, between: float, to_zero: float) -> float:
    """How far a counter goes on before its first sample: to the window's start where that is close, else half a step.

    But not beyond where it would have been zero.
    """
    return min(between / 2 if to_start >= between * _CLOSE else to_start, to_zero)


def _line_at(samples: Samples, now: float, ahead: float) -> float:
    values = samples.values
    if len(values) < _FEWEST:
        return math.nan
    if _are_equal(values):
        return math.nan if math.isinf(values[0]) else values[0]
    count = len(values)
    times = [time - now for time in samples.times]
    sum_t, sum_v = _total(times), _total(values)
    covariance = _total(map(mul, times, values)) - sum_t * sum_v / count
    variance = _total(map(mul, times, times)) - sum_t * sum_t / count
    slope = covariance / variance
    return slope * ahead + sum_v / count - slope * sum_t / count


def bucket_quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """As bucketQuantile of promql/quantile.go; ``buckets`` are (upper bound, cumulated count), sorted."""
    if len(buckets) < _FEWEST or not math.isinf(buckets[-1][0]):
        return math.nan
    bounds = [bound for bound, _ in buckets]
    # Each bucket holds those before it; extrapolated one by one, they may say otherwise.
    heights = list(accumulate((height for _, height in buckets), max))
    total = heights[-1]
    if total == 0:
        return math.nan
    rank = share * total
    index = next((number for number, height in enumerate(heights[:-1]) if height >= rank), len(heights) - 1)
    if index == len(bounds) - 1:
        return bounds[-2]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    below, start = (heights[index - 1], bounds[index - 1]) if index else (0.0, 0.0)
    return start + (bounds[index] - start) * ((rank - below) / (heights[index] - below))


def function_of(name: str) -> Function | None:
    """The function of this name."""
    return next((function for function in FUNCTIONS if function == name), None)
