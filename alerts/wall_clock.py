"""What a clock on the wall shows, and when: time zones, and the two nights a year that are an hour longer or shorter.

A time that a night skips is when the clock would have shown it without the change; of one that comes twice it is the
first. Pure but for the machine's own zone, which is meant where no zone is named.
"""

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from typing import Literal

from gpuwarden.units import TimeOfDay

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def zone_of(name: str | None) -> dt.tzinfo | None:
    """The zone of an IANA name, None for the machine's own.

    Raises:
        ValueError: it is not known here.
    """
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        message = f"{name!r} is not a time zone that this machine knows"
        raise ValueError(message) from error


def day_at(at: float, zone: dt.tzinfo | None) -> dt.date:
    """The date that the calendar on the wall shows at ``at`` (Unix seconds)."""
    return dt.datetime.fromtimestamp(at, zone).date()


def moment(day: dt.date, time: TimeOfDay, zone: dt.tzinfo | None) -> float:
    """When (Unix seconds) the clock shows ``time`` on ``day``."""
    return dt.datetime.combine(day, dt.time.fromisoformat(time), zone).timestamp()


def days_from(day: dt.date, number: int) -> Iterator[dt.date]:
    """``day`` and those after it, ``number`` in all."""
    return (day + dt.timedelta(days=count) for count in range(number))
