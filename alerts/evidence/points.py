"""What a mail's picture is drawn from: the readings of one alert, one for each step of time. Pure.

A point is the worst reading of its step, by the direction of the rule's comparison, so that thinning loses no peak.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from alerts.notify.notification import Link, Notification
from alerts.worst import has_peak, worst_of

MOST_POINTS = 240
LEAST_SECONDS, MOST_SECONDS = 3600.0, 6 * 3600.0
"""How much of the past is shown: the last hour, or from a little before the start, but never more than this."""
_BEFORE_THE_START = 600.0


@dataclass(frozen=True, slots=True)
class Points:
    """Readings in the order of time (Unix seconds), finite ones only, about one in ``step`` seconds.

    ``worst_before`` is the worst since the alert began, where it began before the first of them and somebody knows.
    """

    times: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    step: float = 1.0
    worst_before: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an alert beside the reading that decided; what nobody knows is empty or None."""

    points: Points = Points()
    peak: float | None = None
    trend: str = ""
    links: tuple[Link, ...] = ()


def shown_from(notification: Notification) -> float:
    """Where the picture begins, in Unix seconds; it ends with the decision."""
    wanted = min(notification.at - LEAST_SECONDS, notification.started_at - _BEFORE_THE_START)
    return max(wanted, notification.at - MOST_SECONDS)


def thinned(points: Points, worst: Callable[[Iterable[float]], float], most: int = MOST_POINTS) -> Points:
    """At most ``most`` points: each the worst of its part of the time, at the end of which it stands."""
    if len(points.times) <= most:
        return points
    begin, end = points.times[0], points.times[-1]
    step = max((end - begin) / most, math.ulp(end))
    parts: dict[int, list[int]] = {}
    for index, time in enumerate(points.times):
        parts.setdefault(min(int((time - begin) / step), most - 1), []).append(index)
    return Points(
        tuple(points.times[part[-1]] for part in parts.values()),
        tuple(worst(points.values[index] for index in part) for part in parts.values()),
        max(step, points.step),
    )


def within(points: Points, start: float, end: float) -> Points:
    """Those from ``start`` to ``end``."""
    kept = [index for index, time in enumerate(points.times) if start <= time <= end]
    return Points(_picked(points.times, kept), _picked(points.values, kept), points.step)


def ended_with(points: Points, at: float, value: float | None) -> Points:
    """With the reading that decided as the last point, where there is one."""
    if value is None or not math.isfinite(value):
        return points
    before = within(points, -math.inf, math.nextafter(at, -math.inf))
    return Points((*before.times, at), (*before.values, value), points.step)


def peak_of(points: Points, notification: Notification) -> float | None:
    """The worst since it began; None where that says nothing, or where not all of it was read."""
    if not has_peak(notification.comparison):
        return None
    before = [] if points.worst_before is None else [points.worst_before]
    if not before and (not points.times or points.times[0] > notification.started_at + 2 * points.step):
        return None
    known = [*before, *within(points, notification.started_at, notification.at).values]
    return worst_of(notification.comparison, notification.threshold)(known) if known else None


def _picked(items: Sequence[float], kept: Iterable[int]) -> tuple[float, ...]:
    return tuple(items[index] for index in kept)
