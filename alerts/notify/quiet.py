"""Quiet hours: what is not worth waking anybody for is told when they end. Pure.

1. They begin at ``begin`` on each of ``days`` and last until the clock next shows ``end``, over midnight where that is
   the earlier one; the same time twice is a whole day. Stretches that touch are one.
2. What is decided within them, the end of an alert too, is held until they end, unless its severity is let through.
   A lowered one ends a graver alert: whoever was woken by that one hears of its end at once.
   Held is a fact of the notification, decided once: a change of the settings concerns what comes later.
3. They hold back, they never drop: ``digest`` tells all of it together.
"""

import datetime as dt
from dataclasses import dataclass, replace

from alerts.notify.notification import Notification, Severity
from alerts.wall_clock import DAYS, Day, day_at, days_from, moment
from gpuwarden.units import TimeOfDay

QUIET = "quiet"
"""Why a notification is held; the word stands in the log and in the metric's label."""

_ONE_DAY = dt.timedelta(days=1)
_LONGEST_DAYS = 8


@dataclass(frozen=True, slots=True)
class QuietHours:
    """``zone`` None is the machine's own."""

    begin: TimeOfDay
    end: TimeOfDay
    days: frozenset[Day] = frozenset(DAYS)
    zone: dt.tzinfo | None = None
    let_through: frozenset[Severity] = frozenset({"critical"})


def held(notification: Notification, hours: QuietHours | None) -> Notification:
    """The notification with the moment until which it is held, where it is."""
    graver = {notification.graver.severity} if notification.graver else set[Severity]()
    if hours is None or hours.let_through & {notification.severity, *graver}:
        return notification
    end = quiet_until(hours, notification.at)
    return notification if end is None else replace(notification, held_until=end)


def quiet_until(hours: QuietHours, at: float) -> float | None:
    """When the quiet hours end that hold at ``at`` (both Unix seconds); None outside of them."""
    end = None
    for day in days_from(day_at(at, hours.zone) - _ONE_DAY, _LONGEST_DAYS):
        if DAYS[day.weekday()] in hours.days:
            begin, over = _stretch(hours, day)
            if begin <= (at if end is None else end) < over:
                end = over
    return end


def _stretch(hours: QuietHours, day: dt.date) -> tuple[float, float]:
    last = day if hours.begin < hours.end else day + _ONE_DAY
    return moment(day, hours.begin, hours.zone), moment(last, hours.end, hours.zone)
