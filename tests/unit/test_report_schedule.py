import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from alerts.report.schedule import Period, Schedule, last_due, next_due, owed

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = Schedule("day", "08:00", zone=BERLIN)
WEEKLY = Schedule("week", "08:00", "mon", BERLIN)
HOUR = 3600.0


def berlin(text):
    """Unix seconds of a wall time in Berlin."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("schedule", "now", "begin", "end", "following"),
    [
        (DAILY, "2026-06-10 08:00", "2026-06-09 08:00", "2026-06-10 08:00", "2026-06-11 08:00"),
        (DAILY, "2026-06-10 07:59", "2026-06-08 08:00", "2026-06-09 08:00", "2026-06-10 08:00"),
        (WEEKLY, "2026-06-10 09:00", "2026-06-01 08:00", "2026-06-08 08:00", "2026-06-15 08:00"),
        (WEEKLY, "2026-06-08 07:59", "2026-05-25 08:00", "2026-06-01 08:00", "2026-06-08 08:00"),
    ],
)
def test_a_period_goes_from_one_due_moment_to_the_next(schedule, now, begin, end, following):
    """A report would leave hours out, or tell some twice."""
    assert last_due(schedule, berlin(now)) == Period(berlin(begin), berlin(end))
    assert next_due(schedule, berlin(now)) == berlin(following)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-10", 24)])
def test_a_day_on_which_the_clock_is_changed_has_another_length(day, hours):
    """Twice a year the report would come an hour off, and stay there."""
    period = last_due(DAILY, berlin(f"{day} 12:00"))
    assert period == Period(berlin(f"{day} 08:00") - hours * HOUR, berlin(f"{day} 08:00"))


def test_a_report_is_owed_once_and_not_when_it_is_old():
    """Each restart would send the report again, or a machine that was off for a week would send seven."""
    due = berlin("2026-06-10 08:00")
    period = last_due(DAILY, due)
    assert owed(DAILY, due - 24 * HOUR, due) == period
    assert owed(DAILY, due - 24 * HOUR, due + 20 * HOUR) == period
    assert owed(DAILY, due, due + 20 * HOUR) is None
    assert owed(DAILY, due - 24 * HOUR, due - 1) is None
    monday = berlin("2026-06-08 08:00")
    assert owed(WEEKLY, monday - 7 * 24 * HOUR, monday + 23 * HOUR)
    assert owed(WEEKLY, monday - 7 * 24 * HOUR, monday + 25 * HOUR) is None
