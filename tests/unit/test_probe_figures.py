"""The arithmetic of the measurement of a probe beside a job."""

import pytest

from tests.perf.probe_figures import lost_seconds, rate, ratios, worst_share

ON = {"job": "light", "probe": "on", "began": 0.0, "ended": 100.0}
OFF = {"job": "light", "probe": "off", "began": 100.0, "ended": 200.0}


def steps(*parts):
    """Step ends at so many a second from one moment to another."""
    return [at + each / number for at, end, number in parts for each in range(int((end - at) * number))]


def test_a_rate_does_not_depend_on_where_the_window_cuts_a_step():
    """A slow job's rate would jump by a step."""
    assert rate(steps((0, 100, 2)), 10.1, 20.4) == pytest.approx(2)
    assert rate([], 0, 1) == 0


def test_a_job_that_does_nothing_for_two_seconds_has_lost_two():
    """The loss would be told too small or too large."""
    found = steps((0, 50, 10), (52, 200, 10))

    assert lost_seconds(found, ON, [(49.0, 54.0)]) == [pytest.approx(2, abs=0.1)]
    assert lost_seconds(found, ON, []) == lost_seconds(found, OFF, [(49.0, 54.0)]) == []


def test_a_ratio_is_to_the_segments_beside():
    """A card that grows slower over the minutes would look like the probe's doing."""
    found = steps((0, 100, 9), (100, 200, 10))

    assert ratios(found, [ON, OFF], "light") == [pytest.approx(0.9, abs=0.001)]
    assert ratios(found, [ON, OFF], "full") == []


def test_the_worst_window_is_found():
    """Two runs in one window would pass for one."""
    runs = [(100.0, 102.0), (150.0, 152.0), (400.0, 402.0)]

    assert worst_share(runs, 0.0, 1000.0, 100.0) == pytest.approx(0.04)
    assert worst_share(runs, 0.0, 500.0, 600.0) == pytest.approx(6 / 500)
    assert worst_share([], 0.0, 500.0, 600.0) == 0
