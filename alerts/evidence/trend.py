"""Where readings go, in words: ``rising 2.1 GiB in 10 min``. Pure.

What counts is the straight line through the last minutes: the ends alone would call noise a trend. A change that is
smaller than what the readings scatter about their line, or than what a person would call a change in that unit, is
``steady``.
"""

import math
from collections.abc import Sequence

from alerts.evidence.points import Points, within
from gpuwarden.units import Unit, format_value

SECONDS = 600.0
"""How far back a trend is looked for."""
_LEAST_SECONDS = 120.0
_FEWEST = 4
_RELATIVE = 0.02
"""A change by less than this part of the number is none."""
_LEAST_CHANGE: dict[Unit, float] = {"ratio": 0.01, "celsius": 2.0, "watts": 5.0, "seconds": 0.0}
_WITHOUT_TREND: frozenset[Unit] = frozenset({"bool", "timestamp"})


def trend_of(points: Points, unit: Unit, at: float) -> str:
    """The trend of the last minutes before ``at`` (Unix seconds); empty where too little is known."""
    lately = within(points, at - SECONDS, at)
    if unit in _WITHOUT_TREND or len(lately.times) < _FEWEST:
        return ""
    lasted = lately.times[-1] - lately.times[0]
    if lasted < _LEAST_SECONDS:
        return ""
    slope, scatter = _line(lately.times, lately.values)
    change = slope * lasted
    size = max(map(abs, lately.values))
    least = max(_LEAST_CHANGE.get(unit, 0.0), (0.0 if unit == "ratio" else _RELATIVE * size), scatter)
    if not math.isfinite(change) or abs(change) <= least:
        return "steady"
    minutes = max(1, round(lasted / 60))
    return f"{'rising' if change > 0 else 'falling'} {_amount(abs(change), unit)} in {minutes} min"


def _amount(change: float, unit: Unit) -> str:
    # "4.1 %" could be meant of the whole or of what it was.
    return f"{change * 100:.1f} percentage points" if unit == "ratio" else format_value(change, unit)


def _line(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope of the least-squares line, and the mean distance of the values from it, both ways together."""
    middle, mean = math.fsum(times) / len(times), math.fsum(values) / len(values)
    spread = math.fsum((time - middle) ** 2 for time in times)
    slope = math.fsum((time - middle) * (value - mean) for time, value in zip(times, values, strict=True)) / spread
    away = (abs(value - mean - slope * (time - middle)) for time, value in zip(times, values, strict=True))
    return slope, 2 * math.fsum(away) / len(times)
