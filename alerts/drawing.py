"""What is to be drawn, as the child that draws is told: plain numbers and short ASCII texts. Pure."""

import json
import math
from dataclasses import asdict, dataclass

import cattrs

from alerts.evidence.points import Points, ended_with, shown_from, thinned, within
from alerts.notify.notification import Notification
from alerts.worst import worst_of
from gpuwarden.units import Unit

WIDTH, HEIGHT, DENSITY = 552, 250, 2
"""In the mail, in CSS pixels, and how many dots each has."""
FEWEST_POINTS = 3
"""Fewer make no picture."""
_TITLE_LIMIT = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One picture; times in Unix seconds. ``threshold`` None draws no line, ``severity`` gives the span its colour."""

    title: str
    times: tuple[float, ...]
    values: tuple[float, ...]
    step: float
    unit: Unit
    threshold: float | None
    below: bool
    severity: str
    start: float
    end: float
    fired_from: float
    fired_to: float
    simulated: bool


def drawing_of(notification: Notification, points: Points) -> Drawing | None:
    """The picture for a mail; None where it would say nothing."""
    if notification.comparison in {"absent", "within"} or not notification.metric:
        return None
    start, worst = shown_from(notification), worst_of(notification.comparison, notification.threshold)
    known = within(ended_with(points, notification.at, notification.value), start, notification.at)
    if len(known.times) < FEWEST_POINTS or not all(map(math.isfinite, known.values)):
        return None
    known = thinned(known, worst)
    has_line = notification.unit != "bool" and math.isfinite(notification.threshold)
    return Drawing(
        title=_title(notification),
        times=known.times,
        values=known.values,
        step=known.step,
        unit=notification.unit,
        threshold=notification.threshold if has_line else None,
        below=notification.comparison == "below",
        severity=notification.severity,
        # Right after a start there is no hour to show.
        start=max(start, min(known.times[0], notification.started_at)),
        end=notification.at,
        fired_from=max(notification.started_at, start),
        fired_to=notification.at,
        simulated=notification.simulated,
    )


def _title(notification: Notification) -> str:
    """The metric, or what was made of it; what no font may have is left out."""
    text = notification.reading or notification.metric
    return "".join(char if " " <= char <= "~" else "?" for char in text[:_TITLE_LIMIT])


def dump(drawing: Drawing) -> bytes:
    """One line of JSON."""
    return json.dumps(asdict(drawing)).encode("ascii") + b"\n"


def load(line: bytes) -> Drawing:
    """What ``dump`` wrote; raises whatever a line makes the parsers raise that is none."""
    return cattrs.Converter().structure(json.loads(line), Drawing)
