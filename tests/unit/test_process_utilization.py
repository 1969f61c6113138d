"""What a process's samples come to over time, with the clocks in hand."""

import pytest

from exporter.sources.nvml.device import UtilizationSample
from exporter.sources.nvml.errors import error_for
from exporter.sources.nvml.process_utilization import ProcessUtilization
from exporter.sources.nvml.support import Support

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


class Card:
    """A card that has these samples, and notes from which moment on it was asked."""

    def __init__(self):
        self.samples = []
        self.asked = []
        self.code = None

    def process_utilization(self, since):
        self.asked.append(since)
        if self.code is not None:
            raise error_for(self.__class__.__name__, self.code)
        return [sample for sample in self.samples if sample.at > since]

    processes_utilization = process_utilization


@pytest.fixture
def read():
    """``read(card, at)`` is a reading so many seconds after the start."""
    clock = [0.0]
    reader, support = ProcessUtilization(lambda: START / SECOND + clock[0]), Support("x")

    def at(card, seconds, wall=None):
        clock[0] = seconds if wall is None else wall
        return reader.read(card, support, 1000 + seconds)

    return at


def sample(pid, seconds, percent):
    return UtilizationSample(pid, START + int(seconds * SECOND), percent)


def test_a_sample_stands_while_there_is_no_new_one(read):
    """Read more often than the driver samples, a busy program would flicker to 0."""
    card = Card()
    card.samples = [sample(7, 0.5, 40)]
    assert [read(card, seconds) for seconds in (1.0, 1.2, 2.9)] == [{7: 0.4}] * 3
    assert read(card, 3.0) == {}
    card.samples.append(sample(7, 3.5, 10))
    assert read(card, 4.0) == {7: 0.1}


def test_each_sample_is_asked_for_once(read):
    """Asked from 0 on, drivers hand out what their buffer held before it was written to."""
    card = Card()
    card.samples = [sample(7, 0.5, 40), sample(8, 0.4, 10)]
    read(card, 1.0)
    read(card, 2.0)
    assert card.asked == [START - SECOND, START + SECOND // 2]


def test_a_clock_that_was_set_back_ends_no_samples(read):
    """After the time was corrected, every program would be idle until the old time comes round again."""
    card = Card()
    card.samples = [sample(7, 3600, 40)]
    assert read(card, 3600) == {7: 0.4}
    card.samples = [sample(7, 10, 30)]
    assert read(card, 3601, wall=11) == {7: 0.3}


def test_a_failure_forgets_what_was_known(read):
    """A card that cannot be read would go on showing the last that was seen, for ever."""
    card = Card()
    card.samples = [sample(7, 0.5, 40)]
    assert read(card, 1.0) == {7: 0.4}
    card.code = 999
    assert read(card, 1.1) is None
    card.code = None
    assert read(card, 1.2) == {}
