import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.evidence.points import MOST_SECONDS, Points, ended_with, peak_of, shown_from, thinned
from alerts.evidence.ring import STEP_SECONDS, STEPS, Ring
from alerts.evidence.trend import trend_of
from tests.golden.example_mails import FIRING

AT = FIRING.at


def every(seconds, values, end=AT):
    """Points that end at ``end``."""
    count = len(values)
    return Points(tuple(end - seconds * (count - 1 - number) for number in range(count)), tuple(values), seconds)


def test_the_picture_shows_an_hour_or_from_before_the_start():
    """The mail about a slow leak would show its last minutes only, and one about a disk a whole week."""
    assert shown_from(FIRING) == AT - 3600
    assert shown_from(replace(FIRING, started_at=AT - 7200)) == AT - 7200 - 600
    assert shown_from(replace(FIRING, started_at=AT - 86_400)) == AT - MOST_SECONDS


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=900), st.booleans())
def test_thinning_loses_no_peak(values, down):
    """The second in which the card was full would be missing from the picture of six hours."""
    worst = min if down else max
    thin = thinned(every(5.0, values), worst)

    assert len(thin.times) <= 240
    assert worst(thin.values) == worst(values)
    assert list(thin.times) == sorted(set(thin.times))
    assert (thin.times[-1] == AT) or len(values) == 1


def test_the_reading_that_decided_is_the_last_point():
    """Picture and text of one mail would say different numbers."""
    points = ended_with(every(30.0, [0.1, 0.2, 0.3]), AT, 0.961)
    assert (points.times[-2:], points.values) == ((AT - 30, AT), (0.1, 0.2, 0.961))
    assert ended_with(points, AT, None) == points
    assert ended_with(points, AT, math.inf) == points


@pytest.mark.parametrize(
    ("change", "peak"),
    [
        ({}, 0.97),
        ({"comparison": "below"}, 0.95),
        ({"comparison": "equals"}, None),
        ({"comparison": "within"}, None),
        ({"started_at": AT - 4000}, None),
    ],
)
def test_the_peak_is_the_worst_since_it_began(change, peak):
    """The mail would call the highest reading of before the alert its peak, or make one up from half of it."""
    points = every(30.0, [0.99, 0.98, 0.95, 0.97, 0.96])
    assert peak_of(points, replace(FIRING, **change)) == peak


def test_the_peak_of_a_long_incident_is_what_was_asked_for():
    """After a day the peak of the last hours would pass for that of the whole."""
    long = replace(FIRING, started_at=AT - 86_400)
    assert peak_of(replace(every(30.0, [0.5, 0.6]), worst_before=0.93), long) == 0.93
    assert peak_of(replace(every(30.0, [0.5, 0.96]), worst_before=0.93), long) == 0.96


GIB = 2.0**30


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        ([10 * GIB + 0.105 * GIB * number for number in range(21)], "bytes", "rising 2.1 GiB in 10 min"),
        ([0.5 - 0.002 * number for number in range(21)], "ratio", "falling 4.0 percentage points in 10 min"),
        ([70.0 + number for number in range(21)], "celsius", "rising 20 °C in 10 min"),
        ([0.5 + 0.004 * (number % 2) for number in range(21)], "ratio", "steady"),
        ([0.2 + 0.6 * (number % 2) for number in range(21)], "ratio", "steady"),
        ([80.0, 80.0, 81.0, 80.0, 81.0], "celsius", "steady"),
        ([1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0], "bool", ""),
        ([0.1, 0.2, 0.3], "ratio", ""),
        ([], "ratio", ""),
    ],
)
def test_a_trend_is_a_sentence(values, unit, words):
    """Nobody could tell from the mail whether there are seconds or hours left, or noise would be called a trend."""
    assert trend_of(every(30.0, values), unit, AT) == words


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(allow_nan=False, allow_infinity=False)), max_size=60))
def test_any_readings_have_a_trend_or_none(pairs):
    """One odd number would cost the mails of a batch their evidence."""
    pairs = sorted(pairs)
    points = Points(tuple(time for time, _ in pairs), tuple(value for _, value in pairs))
    assert trend_of(points, "bytes", 1e4).partition(" ")[0] in {"", "rising", "falling", "steady"}


def test_a_ring_has_something_to_show_after_seconds():
    """A mail in the first minutes after a start would have no picture."""
    ring = Ring()
    for number in range(8):
        ring.add(AT + 5 * number, float(number))
    points = ring.points(max)

    assert points.values == tuple(map(float, range(8)))
    assert all(0 <= shown - (AT + 5 * number) <= 3.75 for number, shown in enumerate(points.times))


def test_a_full_ring_keeps_an_hour_and_its_peaks():
    """What led up to an alert, or the one bad second of it, would be missing from its picture."""
    ring = Ring()
    for number in range(3 * 720):
        ring.add(AT + 5 * number, 0.9 if number == 2000 else 0.5)
    points = ring.points(max)

    assert points.step == STEP_SECONDS
    assert len(points.times) == STEPS
    assert points.times[-1] - points.times[0] >= 4000
    assert sorted(points.values)[-2:] == pytest.approx([0.5, 0.9])
    assert min(ring.points(min).values) == 0.5


@given(st.lists(st.tuples(st.floats(0, 20_000), st.floats(width=32, allow_nan=False, allow_infinity=False))))
def test_a_ring_holds_whatever_the_clock_does(pairs):
    """A clock that jumps would grow the alerter's memory, or end its rounds."""
    ring, at = Ring(), 1e6
    for forward, value in pairs:
        at += forward - 1000
        ring.add(at, value)
    points = ring.points(max)

    assert len(points.times) <= STEPS
    assert list(points.times) == sorted(set(points.times))
    assert set(points.values) <= {value for _, value in pairs}
