import math

import pytest

from alerts.windows import Over, Predict, Quantile, Samples, read, read_quantile

NOW = 600.0


def minutes(*values):
    """One sample a minute, the last one now."""
    return Samples([NOW - 60.0 * back for back in range(len(values) - 1, -1, -1)], list(values))


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        ("max", [0.5, 0.9, 0.7], 0.9),
        ("min", [0.5, 0.9, 0.7], 0.5),
        ("avg", [0.5, 1.0, 0.75], 0.75),
        ("max", [math.nan, 0.5, math.nan], 0.5),
        ("min", [math.inf, 0.5], 0.5),
        ("avg", [math.inf, 0.5], math.inf),
        ("avg", [math.inf, math.inf], math.inf),
    ],
)
def test_a_function_of_the_window(function, values, expected):
    """A rule over a window compares another number than it says."""
    assert read(Over(function, 300.0), minutes(*values), NOW) == expected


@pytest.mark.parametrize("value", [0.1, 0.3, 0.35, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("count", [3, 49, 120, 240])
def test_an_average_of_equal_readings_is_that_reading(value, count):
    """A card that stays exactly at the threshold is past it after two minutes, by the errors of adding up."""
    assert read(Over("avg", 60.0 * 300), minutes(*[value] * count), NOW) == value


@pytest.mark.parametrize("window", [Over("max", 300.0), Over("avg", 300.0), Over("increase", 300.0), Predict(1200.0)])
@pytest.mark.parametrize("values", [[], [math.nan]])
def test_too_few_samples_are_no_number(window, values):
    """An empty window counts as zero, so an alert starts or ends for want of readings."""
    assert math.isnan(read(window, minutes(*values), NOW))


@pytest.mark.parametrize("values", [[0.5, 0.5, math.nan], [math.nan, 0.5, 0.5], [math.inf, -math.inf]])
def test_an_average_with_what_is_no_number_is_none(values):
    """A reading that failed in between leaves an average as if it had not."""
    assert math.isnan(read(Over("avg", 300.0), minutes(*values), NOW))


def test_increase_reaches_to_the_edges_of_the_window():
    """A counter that is read each minute seems to grow by a window less one minute."""
    assert read(Over("increase", 300.0), minutes(0, 10, 20, 30, 40), NOW) == pytest.approx(40)
    assert read(Over("increase", 300.0), minutes(100, 110, 120, 130, 140), NOW) == pytest.approx(50, abs=0.001)
    assert read(Over("rate", 300.0), minutes(100, 110, 120, 130, 140), NOW) == pytest.approx(10 / 60, abs=1e-5)


def test_a_reset_is_not_a_fall():
    """A driver reload makes a counter jump back, and a rule on its rate sees nothing, or a fall."""
    assert read(Over("increase", 300.0), minutes(100, 110, 2, 4, 6), NOW) == pytest.approx(20, abs=0.001)


def test_a_counter_that_just_began_is_not_stretched():
    """A counter that appeared a minute ago counts as if it had grown through the whole window."""
    assert read(Over("increase", 600.0), minutes(1000, 1060), NOW) == pytest.approx(90, abs=0.001)


def test_a_line_is_read_ahead():
    """A card that fills steadily is announced too late, or one that does not at all."""
    assert read(Predict(600.0), minutes(0.1, 0.2, 0.3), NOW) == pytest.approx(1.3)
    assert read(Predict(600.0), minutes(0.5, 0.5, 0.5), NOW) == 0.5
    assert read(Predict(600.0), minutes(0.9, 0.8, 0.7), NOW) < 0


def histogram(*heights, bounds=(0.1, 0.5, 1.0, math.inf)):
    """Buckets that grew by these cumulated heights, from zero, over four minutes."""
    return {
        bound: minutes(*(height * step / 4 for step in range(5))) for bound, height in zip(bounds, heights, strict=True)
    }


def test_a_quantile_lies_within_its_bucket():
    """The latency in a mail is far from what users saw."""
    window, buckets = Quantile(0.5, 300.0, 10.0), histogram(0, 10, 20, 20)
    assert read_quantile(window, buckets, buckets[math.inf], NOW) == pytest.approx(0.5)
    high = Quantile(0.75, 300.0, 10.0)
    assert read_quantile(high, buckets, buckets[math.inf], NOW) == pytest.approx(0.75)
    assert read_quantile(Quantile(0.99, 300.0, 10.0), histogram(0, 0, 0, 20), buckets[math.inf], NOW) == 1.0


def test_few_requests_have_no_quantile():
    """One slow request at night is a mail about the slowest tenth."""
    buckets = histogram(0, 0, 9, 9)
    assert math.isnan(read_quantile(Quantile(0.9, 300.0, 10.0), buckets, buckets[math.inf], NOW))
    assert not math.isnan(read_quantile(Quantile(0.9, 300.0, 5.0), buckets, buckets[math.inf], NOW))


def test_a_histogram_without_its_last_bucket_has_no_quantile():
    """Half a page gives a latency that nobody measured."""
    buckets = histogram(0, 10, 20, 20)
    count = buckets.pop(math.inf)
    assert math.isnan(read_quantile(Quantile(0.5, 300.0, 1.0), buckets, count, NOW))
