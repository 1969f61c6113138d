import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuwarden.units import format_duration, format_timestamp, format_value, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("15s", 15), ("1h30m", 5400), ("500ms", 0.5), ("1d", 86400), ("1w2d", 777600), ("1y", 31536000)],
)
def test_durations_mean_what_prometheus_means(text, seconds):
    """A rule's `for` would wait another time than the same words in Prometheus."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1m1h", "1.5h", "-1m", "1 m", "m", "1M", "1m1m"])
def test_what_prometheus_refuses_is_refused(text):
    """A typing mistake in a duration would pass for another duration."""
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_printed_duration_reads_back(milliseconds):
    """The printed settings could not be pasted into a settings file."""
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.934, "ratio", "93.4 %"),
        (12_058_624_000, "bytes", "11.2 GiB"),
        (512, "bytes", "512 B"),
        (83.4, "celsius", "83 °C"),
        (1_950_000_000, "hertz", "1.9 GHz"),
        (0.0123, "seconds", "12.3 ms"),
        (75, "seconds", "1 min 15 s"),
        (119.7, "seconds", "2 min 0 s"),
        (59.7, "seconds", "1 min 0 s"),
        (1_048_575, "bytes", "1.0 MiB"),
        (7380, "seconds", "2 h 3 min"),
        (200_000, "seconds", "2 d 7 h"),
        (7_200_000, "joules", "2.00 kWh"),
        (1, "bool", "yes"),
        (-2048, "bytes", "-2.0 KiB"),
        (math.inf, "ratio", "infinite"),
        (math.nan, "ratio", "not a number"),
    ],
)
def test_a_value_is_printed_in_words_a_person_uses(value, unit, text):
    """The mail would show 0.934 where the wall shows 93.4 %."""
    assert format_value(value, unit) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_timestamp_can_be_printed(value):
    """One absurd timestamp from an exporter would stop the mail."""
    assert format_value(value, "timestamp") or format_timestamp(value)
