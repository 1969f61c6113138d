import math
import struct
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.drawing import DENSITY, HEIGHT, WIDTH, drawing_of, dump, load
from alerts.evidence.points import Points
from alerts.plot import picture
from alerts.plot_scale import time_labels, time_ticks, value_label, value_range, value_ticks
from tests.golden.example_mails import DRAWINGS, FIRING, READINGS, XID

PICTURED = DRAWINGS["pictured"]
UNITS = ["ratio", "bytes", "celsius", "watts", "joules", "hertz", "seconds", "bytes_per_second", "bool", "count"]


def chunks(png):
    """The names of the parts of a PNG."""
    at, names = 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        names.append(png[at + 4 : at + 8].decode("ascii"))
        at += 12 + length
    return names


def test_the_same_readings_make_the_same_bytes():
    """A mail that is made twice after a crash would be two mails to every reader."""
    assert picture(PICTURED) == picture(load(dump(PICTURED)))


def test_a_picture_is_small_and_says_nothing_of_who_drew_it():
    """Mails would grow by what nobody sees, or tell the versions of the software to everyone."""
    png = picture(PICTURED)
    assert struct.unpack(">II", png[16:24]) == (WIDTH * DENSITY, HEIGHT * DENSITY)
    assert len(png) < 40_000
    assert set(chunks(png)) <= {"IHDR", "PLTE", "IDAT", "IEND", "pHYs"}


def test_simulated_readings_are_marked_in_the_picture():
    """A picture that somebody forwards would pass for a real card's."""
    assert picture(replace(PICTURED, simulated=True)) != picture(replace(PICTURED, simulated=False))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1e15, 1e15), min_size=3, max_size=20),
    st.sampled_from(UNITS),
    st.none() | st.floats(-1e15, 1e15),
    st.booleans(),
    st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=48),
)
def test_any_readings_can_be_drawn(values, unit, threshold, below, title):
    """One odd number, or a dollar sign in a name, would cost every mail of its rule the picture."""
    times = tuple(1_780_000_000.0 + 7 * number for number in range(len(values)))
    asked = replace(
        PICTURED,
        title=title,
        times=times,
        values=tuple(values),
        unit=unit,
        threshold=threshold,
        below=below,
        start=times[0],
        end=times[-1],
        fired_from=times[1],
        fired_to=times[-1],
    )
    assert chunks(picture(asked))[-1] == "IEND"


@pytest.mark.parametrize(
    ("notification", "points"),
    [
        (XID, READINGS),
        (replace(FIRING, comparison="absent"), READINGS),
        (replace(FIRING, metric=""), READINGS),
        (FIRING, Points()),
        (FIRING, Points((1.0, 2.0, 3.0), (0.1, 0.2, 0.3))),
        (FIRING, Points((FIRING.at - 60, FIRING.at - 30, FIRING.at), (math.nan, math.inf, 1.0))),
    ],
    ids=["moment", "absent", "foreign", "nothing", "long ago", "no numbers"],
)
def test_what_says_nothing_is_not_drawn(notification, points):
    """A mail would have an empty frame in it, or an old picture."""
    assert drawing_of(notification, points) is None


def test_the_picture_of_a_young_alerter_begins_with_its_readings():
    """Two minutes of readings would be a speck at the edge of an empty hour."""
    points = Points(
        tuple(FIRING.at - 60 + 10 * number for number in range(6)), (0.8, 0.85, 0.9, 0.95, 0.95, 0.95), 10.0
    )
    drawing = drawing_of(FIRING, points)
    assert (drawing.start, drawing.end) == (FIRING.started_at, FIRING.at)


def test_a_title_is_what_the_font_has():
    """A name in another script would be drawn as a row of boxes."""
    assert drawing_of(replace(FIRING, reading="最高\n$x$"), READINGS).title == "???$x$"


@pytest.mark.parametrize(
    ("low", "high", "unit", "labels"),
    [
        (0.35, 0.98, "ratio", ["40 %", "60 %", "80 %", "100 %"]),
        (0.961, 0.962, "ratio", ["92 %", "94 %", "96 %", "98 %", "100 %"]),
        (11e9, 24e9, "bytes", ["10 GiB", "15 GiB", "20 GiB"]),
        (31, 83, "celsius", ["40 °C", "60 °C", "80 °C"]),
        (0.2, 0.9, "seconds", ["200 ms", "400 ms", "600 ms", "800 ms"]),
        (600, 7000, "seconds", ["30 min", "1 h", "1 h 30 min", "2 h"]),
        (0, 1, "bool", ["no", "yes"]),
        (0, 0, "count", ["0", "0.5", "1"]),
    ],
)
def test_the_axis_has_a_few_round_numbers(low, high, unit, labels):
    """Nobody could read a number off the picture."""
    assert [value_label(tick, unit) for tick in value_ticks(*value_range(low, high, unit), unit)] == labels


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15), st.sampled_from(UNITS))
def test_any_axis_has_ticks_within_it(one, other, unit):
    """A picture would have an axis without numbers, or so many that it is black."""
    low, high = value_range(min(one, other), max(one, other), unit)
    ticks = value_ticks(low, high, unit)
    assert low < high
    assert 1 <= len(ticks) <= 8
    assert len({value_label(tick, unit) for tick in ticks}) >= 1


@pytest.mark.parametrize(
    ("seconds", "zone", "labels"),
    [
        (3600, "UTC", ["19:30", "19:40", "19:50", "20:00", "20:10", "20:20"]),
        (3600, "Asia/Kolkata", ["01:00", "01:10", "01:20", "01:30", "01:40", "01:50"]),
        (40, "UTC", ["20:27:15", "20:27:30", "20:27:45"]),
        (6 * 3600, "UTC", ["15:00", "16:00", "17:00", "18:00", "19:00", "20:00"]),
    ],
)
def test_times_are_round_and_local(monkeypatch, seconds, zone, labels):
    """Somebody would look for what happened in the wrong hour."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert time_labels(time_ticks(FIRING.at - seconds, FIRING.at)) == labels
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_alerter_never_loads_what_draws():
    """A fault of a large library would be a fault of the alerter."""
    import subprocess

    code = (
        "import alerts.serve, alerts.cli_mail, sys\n"
        "print([name for name in ('matplotlib', 'numpy', 'PIL') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
