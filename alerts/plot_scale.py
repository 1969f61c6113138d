"""Where the ticks of a picture stand, and what they are called. Pure, and without the library that draws."""

import datetime as dt
import math
import re
from collections.abc import Sequence

from gpuwarden.units import Unit, format_value

_STEPS = (1.0, 2.0, 5.0, 10.0)
_SHORT_SPANS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_SPANS = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0)
"""Seconds that people count in; also the distances between two times of the day."""
_DAY = 86_400.0
_MOST_TIMES, _MOST_VALUES = 6, 5
_LEAST_SPREAD: dict[Unit, float] = {"ratio": 0.04, "celsius": 8.0, "watts": 8.0, "count": 2.0, "bytes": 4096.0}
"""A flat line is not to fill the picture with its noise."""
_RELATIVE_SPREAD = 0.08
_MARGIN = 0.08
_KWH = 3_600_000.0

Range = tuple[float, float]


def value_range(lowest: float, highest: float, unit: Unit) -> Range:
    """The ends of the value axis for readings between these."""
    if unit == "bool":
        return min(lowest, 0.0) - 0.2, max(highest, 1.0) + 0.2
    least = max(_LEAST_SPREAD.get(unit, 0.0), _RELATIVE_SPREAD * max(abs(lowest), abs(highest)), 1e-9)
    missing = max(0.0, least - (highest - lowest)) / 2
    lowest, highest = lowest - missing, highest + missing
    margin = (highest - lowest) * _MARGIN
    floor = 0.0 if lowest + missing >= 0 else -math.inf
    ceiling = 1.0 if unit == "ratio" and highest - missing <= 1 else math.inf
    # A full card is to be seen below the frame, not on it.
    return max(lowest - margin, floor), min(highest + margin, ceiling + margin / 2)


def value_ticks(low: float, high: float, unit: Unit) -> list[float]:
    """A few round numbers between the ends."""
    if unit == "bool":
        return [0.0, 1.0]
    step = _value_step(high - low, max(abs(low), abs(high)), unit)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, first + 2 * _MOST_VALUES) if number * step <= high + step * 1e-9]


def _value_step(spread: float, largest: float, unit: Unit) -> float:
    least = spread / _MOST_VALUES
    if unit == "seconds" and spread > _SPANS[0]:
        return next((span for span in _SPANS if span >= least), _decimal(least, _DAY))
    if unit in {"bytes", "bytes_per_second"} and largest >= 1:
        return _decimal(least, 1024.0 ** min(5, int(math.log(largest, 1024))))
    return _decimal(least, _KWH if unit == "joules" else 1.0)


def _decimal(least: float, scale: float) -> float:
    """The smallest round number of ``scale`` that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(max(least / scale, 1e-12)))
    return next(step for step in _STEPS if step * power * scale >= least * (1 - 1e-9)) * power * scale


def value_label(value: float, unit: Unit) -> str:
    """The number by its unit, without empty parts: ``90 %``, ``2 h``."""
    if not value and unit == "seconds":
        return "0 s"
    text = format_value(value, unit)
    return re.sub(r" 0 \w+$", "", re.sub(r"\.0(?= )", "", text)) if value else text.replace(".0", "")


def time_ticks(start: float, end: float) -> list[float]:
    """A few round times of the day here; Unix seconds."""
    step = _time_step(start, end)
    offset = dt.datetime.fromtimestamp(end).astimezone().utcoffset() or dt.timedelta()
    shift = offset.total_seconds()
    first = math.ceil((start + shift) / step)
    ticks = (number * step - shift for number in range(first, first + 2 * _MOST_TIMES))
    return [tick for tick in ticks if tick <= end]


def _time_step(start: float, end: float) -> float:
    least = (end - start) / _MOST_TIMES
    # Labels with seconds are wider.
    return next((span for span in _SPANS if span >= least), _DAY) if least > _SPANS[0] / 2 else _short_step(2 * least)


def _short_step(least: float) -> float:
    return next((span for span in _SHORT_SPANS if span >= least), _SPANS[0])


def time_labels(ticks: Sequence[float]) -> list[str]:
    """The times of the day here, with seconds where minutes would say too little."""
    form = "%H:%M:%S" if any(tick % _SPANS[0] for tick in ticks) else "%H:%M"
    return [dt.datetime.fromtimestamp(tick).astimezone().strftime(form) for tick in ticks]


def zone_label(at: float) -> str:
    """Which day and zone the times are of."""
    return dt.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %Z")
