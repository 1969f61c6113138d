import datetime as dt
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from alerts.notify.notification import Graver
from alerts.notify.quiet import QuietHours, held, quiet_until
from alerts.settings import AlerterSettings
from gpuwarden import settings
from gpuwarden.documents import DocumentError
from tests.golden.example_mails import FIRING, RESOLVED

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours("22:00", "07:00", zone=BERLIN)
WEEKEND = QuietHours("00:00", "00:00", frozenset({"sat", "sun"}), BERLIN)


def berlin(text, fold=0):
    """Unix seconds of a wall time in Berlin."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        (NIGHT, "2026-06-10 21:59:59", None),
        (NIGHT, "2026-06-10 22:00", "2026-06-11 07:00"),
        (NIGHT, "2026-06-11 00:00", "2026-06-11 07:00"),
        (NIGHT, "2026-06-11 06:59:59", "2026-06-11 07:00"),
        (NIGHT, "2026-06-11 07:00", None),
        (QuietHours("12:00", "13:30", zone=BERLIN), "2026-06-11 13:29", "2026-06-11 13:30"),
        (QuietHours("12:00", "13:30", zone=BERLIN), "2026-06-11 13:30", None),
        (replace(NIGHT, days=frozenset({"fri"})), "2026-06-13 03:00", "2026-06-13 07:00"),
        (replace(NIGHT, days=frozenset({"sat"})), "2026-06-13 03:00", None),
        (WEEKEND, "2026-06-12 23:59", None),
        (WEEKEND, "2026-06-13 00:00", "2026-06-15 00:00"),
        (WEEKEND, "2026-06-14 20:00", "2026-06-15 00:00"),
    ],
)
def test_what_is_quiet_and_until_when(hours, at, until):
    """Somebody would be woken, or told a day late."""
    assert quiet_until(hours, berlin(at)) == (berlin(until) if until else None)


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 8), ("2026-10-25", 10), ("2026-06-10", 9)])
def test_a_night_in_which_the_clock_is_changed_ends_by_the_clock(day, length):
    """Twice a year the mails of the night would come an hour late, or wake people an hour early."""
    evening = berlin(f"{dt.date.fromisoformat(day) - dt.timedelta(days=1)} 22:00")
    assert quiet_until(NIGHT, evening) == berlin(f"{day} 07:00") == evening + length * 3600


def test_an_end_within_the_changed_hour_comes_once():
    """In the night of the change an alert could be held without end, or told twice."""
    hours = QuietHours("22:00", "02:30", zone=BERLIN)
    first, second = berlin("2026-10-25 02:30"), berlin("2026-10-25 02:30", fold=1)
    assert second - first == 3600
    assert quiet_until(hours, first - 1) == first
    assert quiet_until(hours, second - 1) is None
    skipped = quiet_until(hours, berlin("2026-03-29 01:59:59"))
    assert berlin("2026-03-29 03:00") <= skipped <= berlin("2026-03-29 03:30")


def test_without_a_zone_the_machines_own_counts(monkeypatch):
    """Quiet hours would be those of Greenwich."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        until = quiet_until(QuietHours("22:00", "07:00"), dt.datetime(2026, 6, 10, 15, tzinfo=dt.UTC).timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert until == dt.datetime(2026, 6, 10, 23, tzinfo=dt.UTC).timestamp()


def test_severities_that_are_let_through_are_told_at_once():
    """A card that runs out of memory at night would be told at breakfast, or a warning would wake somebody."""
    night = berlin("2026-06-11 02:10")
    for reason in ("first", "repeat", "resolved"):
        assert held(replace(FIRING, at=night, reason=reason), NIGHT).held_until == 0
        warning = replace(RESOLVED, at=night, severity="warning", reason=reason)
        assert held(warning, NIGHT) == replace(warning, held_until=berlin("2026-06-11 07:00"))
    assert held(replace(warning, at=night + 8 * 3600), NIGHT).held_until == 0
    assert held(warning, None) == warning


def test_the_end_of_an_alert_that_is_let_through_is_told_as_lowered_at_once():
    """Whoever got up at night for a full card would look at it until breakfast, though it has room again."""
    night = berlin("2026-06-11 02:10")
    lowered = replace(FIRING, at=night, severity="warning", reason="lowered")
    for severity, until in (("critical", 0.0), ("warning", berlin("2026-06-11 07:00"))):
        found = held(replace(lowered, graver=Graver("Critical", severity, night - 600, night)), NIGHT)
        assert found.held_until == until


def load(tmp_path, text):
    """The alerter's settings with this under quiet_hours."""
    file = tmp_path / "gpuwarden.yml"
    file.write_text(f"alerter: {{notify: {{quiet_hours: {text}}}}}\n")
    return settings.load("alerter", AlerterSettings, config=file, environ={}).values.notify.quiet_hours


def test_settings_become_quiet_hours(tmp_path):
    """What people write would not be what holds."""
    assert load(tmp_path, "{}").hours is None
    full = "{from: '22:00', to: '07:00', days: [fri, sat], time_zone: Europe/Berlin, let_through: [critical, warning]}"
    assert load(tmp_path, full).hours == QuietHours(
        "22:00", "07:00", frozenset({"fri", "sat"}), BERLIN, frozenset({"critical", "warning"})
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{from: 22:00, to: '07:00'}",
            'quiet_hours.from: must be a time of day, not a number (write "22:00", in quotes)',
        ),
        ("{from: '22:00'}", 'quiet_hours.to: is missing beside from (write "07:00")'),
        ("{from: '25:00', to: '07:00'}", "quiet_hours.from: '25:00' is not a time of day"),
        ("{from: '22:00', to: '22:00'}", "quiet_hours.to: they would never end"),
        ("{from: '22:00', to: '07:00', time_zone: Europe/Berlln}", "quiet_hours.time_zone: 'Europe/Berlln' is not a"),
        ("{from: '22:00', to: '07:00', days: [saturday]}", "quiet_hours.days[0]: 'saturday' is not one of mon"),
        ("{from: '22:00', to: '07:00', days: []}", "quiet_hours.days: names no day"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(tmp_path, text, said):
    """A slip of the pen would make the nights loud, or the days silent."""
    with pytest.raises(DocumentError) as caught:
        load(tmp_path, text)
    assert said in str(caught.value)
