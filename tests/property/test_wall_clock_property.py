import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from alerts.notify.quiet import QuietHours, quiet_until
from alerts.report.schedule import Schedule, last_due, next_due, owed
from alerts.wall_clock import DAYS

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/Nuuk"]
).map(ZoneInfo)
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
YEAR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
MOMENTS = st.floats(YEAR, YEAR + 366 * 86_400)
DAY_SETS = st.frozensets(st.sampled_from(DAYS), min_size=1)


@given(TIMES, TIMES, DAY_SETS, ZONES, MOMENTS, st.floats(0, 1))
def test_quiet_hours_end_and_end_once(begin, end, days, zone, now, share):
    """In some zone, in some night, an alert would be held for ever or told in the middle of the quiet hours."""
    assume(begin != end or len(days) < 7)
    hours = QuietHours(begin, end, days, zone)
    until = quiet_until(hours, now)
    if until is None:
        return
    assert now < until <= now + 7 * 86_400
    assert quiet_until(hours, until) is None
    between = min(now + share * (until - now), until - 1e-3)
    assert quiet_until(hours, max(between, now)) == until


@given(st.sampled_from(["day", "week"]), TIMES, st.sampled_from(DAYS), ZONES, MOMENTS)
def test_periods_follow_each_other_without_a_gap(every, at, on, zone, now):
    """In some zone some hour of the year would be in no report, or in two."""
    schedule = Schedule(every, at, on, zone)
    period, due = last_due(schedule, now), next_due(schedule, now)
    assert period.begin < period.end <= now < due
    following = last_due(schedule, due)
    assert (following.begin, following.end) == (period.end, due)
    assert owed(schedule, period.end, due) == following
    assert owed(schedule, due, due) is None
    assert 22 * 3600 <= due - period.end <= (26 if every == "day" else 7 * 24 + 2) * 3600
