"""When reports are due, by the calendar and the clock on the wall. Pure.

A period is from one due moment to the next: usually 24 hours or seven days, an hour more or less where the clock is
changed in between. A report is due once for each period, whatever restarts; one that was missed is sent late while it
is less than ``LATEST_SECONDS`` late, and not at all after that.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from alerts.wall_clock import DAYS, Day, day_at, days_from, moment
from gpuwarden.units import TimeOfDay

Every = Literal["day", "week"]

LATEST_SECONDS = 86_400.0
_WEEKS_BACK = dt.timedelta(days=15)
_DAYS_LOOKED_AT = 25


@dataclass(frozen=True, slots=True)
class Schedule:
    """``on`` counts for weekly ones; ``zone`` None is the machine's own."""

    every: Every
    at: TimeOfDay
    on: Day = "mon"
    zone: dt.tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begin`` up to ``end``, Unix seconds."""

    begin: float
    end: float


def last_due(schedule: Schedule, now: float) -> Period:
    """The period whose report was due last at ``now`` (Unix seconds)."""
    found = [time for time in _due(schedule, now) if time <= now]
    return Period(found[-2], found[-1])


def next_due(schedule: Schedule, now: float) -> float:
    """When the next report is due, after ``now``."""
    return min(time for time in _due(schedule, now) if time > now)


def owed(schedule: Schedule, reported_until: float, now: float) -> Period | None:
    """The period to report on at ``now``, None where there is none; reports were made ``reported_until`` before."""
    period = last_due(schedule, now)
    is_new = reported_until < period.end
    return period if is_new and now - period.end < LATEST_SECONDS else None


def _due(schedule: Schedule, now: float) -> list[float]:
    days = days_from(day_at(now, schedule.zone) - _WEEKS_BACK, _DAYS_LOOKED_AT)
    wanted = (day for day in days if schedule.every == "day" or DAYS[day.weekday()] == schedule.on)
    return [moment(day, schedule.at, schedule.zone) for day in wanted]
