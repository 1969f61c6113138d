"""The short form of tests/perf/exporter_soak.py: the same churn, over as many samples as a test may take."""

from tests.perf.exporter_soak import growth, soak


def test_processes_that_come_and_go_leave_nothing_in_memory(fake_driver):
    """A box on which short jobs run would lose more of its memory to its monitoring each day."""
    points = list(soak(20_000, cards=8))

    assert points[-1].samples >= 20_000
    assert growth(points) < 1.2e6
