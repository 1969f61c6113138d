"""The parts of the NVML source that decide: values, processes, and whether the driver has gone."""

import pytest

from exporter.processes.holders import visible
from exporter.sources.nvml import errors
from exporter.sources.nvml.device import Held, Memory
from exporter.sources.nvml.fields import attributes, memory_values, throttle_values
from exporter.sources.nvml.gate import Backoff, Gate, GateClosedError
from exporter.sources.nvml.processes import merged
from exporter.sources.nvml.ranges import percent, watts
from exporter.sources.nvml.support import Field, Support, Value
from exporter.sources.nvml.verdict import Standing, Verdict, verdict

GIB = 2**30


def test_memory_ratio_leaves_the_reserve_out():
    """The share must reach 100 % when no process can allocate any more, not before and not later."""
    found = attributes(memory_values(Memory(25 * GIB, 24 * GIB, 0, GIB)))
    assert found["memory_used_ratio"] == 1.0
    assert found["memory_used_bytes"] == 24 * GIB


@pytest.mark.parametrize(
    "memory",
    [
        Memory(0, 0, 0, 0),
        Memory(GIB, 0, 0, GIB),
        Memory(GIB, 2 * GIB, 0, 0),
        Memory(2**64 - 1, 0, 0, 0),
        Memory(GIB, 0, 2 * GIB, 0),
    ],
)
def test_memory_that_contradicts_itself_is_absent(memory):
    """A ratio made of nonsense would be mailed as a fact."""
    assert attributes(memory_values(memory)) == {}


@pytest.mark.parametrize(("given", "shown"), [(0, 0.0), (57, 0.57), (100, 1.0), (101, None), (2**32 - 1, None)])
def test_percentages(given, shown):
    """Drivers have been seen to answer 4294967295 percent."""
    assert percent(given) == shown


def test_power_sentinel():
    """Four megawatts are no reading."""
    assert watts(2**32 - 1) is None
    assert watts(349_500) == 349.5


def test_idle_is_no_throttling():
    """An idle card runs slowly because it has nothing to do."""
    assert {value.value for value in throttle_values(0x1 | 0x2 | 0x100)} == {0.0}
    assert throttle_values(2**64 - 1) == ()


def test_the_margin_is_made_of_limit_and_temperature_where_the_driver_has_none():
    """Cards before Ada give only the limit; the margin alert must work there too."""
    limit = Value("temperature_limit_celsius", 93.0, "slowdown")
    assert attributes([limit, Value("temperature_celsius", 83.0)])["temperature_margin_celsius"] == 10.0
    given = [limit, Value("temperature_celsius", 83.0), Value("temperature_margin_celsius", 4.0)]
    assert attributes(given)["temperature_margin_celsius"] == 4.0
    assert "temperature_margin_celsius" not in attributes([limit])


@pytest.mark.parametrize(
    ("celsius", "percent", "stopped"), [(83.0, 0.0, 1.0), (70.0, 0.0, 1.0), (45.0, 0.0, 0.0), (83.0, 0.4, 0.0)]
)
def test_only_a_hot_card_has_a_fan_that_should_turn(celsius, percent, stopped):
    """Every GeForce that rests its fans at night would be reported, or none whose fans were switched off."""
    speed, heat = Value("fan_speed_ratio", percent, "0"), Value("temperature_celsius", celsius)
    assert attributes([speed, heat])["fan_stopped"] == {"0": stopped}
    assert "fan_stopped" not in attributes([speed])
    assert "fan_stopped" not in attributes([heat])


def test_a_process_in_several_lists_counts_once():
    """A program that computes and draws holds its memory once."""
    assert merged([[Held(7, 100)], [Held(7, 120), Held(8, None)], [Held(7, None)]], 1000) == {7: 120.0, 8: None}


def test_what_cannot_be_a_process_is_dropped():
    """Drivers with another structure put memory where the pid should be."""
    assert merged([[Held(0, 5), Held(2**32 - 1, 5), Held(7, 2000)]], 1000) == {7: None}
    assert merged([[Held(7, 2000)]], None) == {7: 2000.0}


@pytest.mark.parametrize(
    ("found", "listed", "host_namespace", "used", "shown"),
    [
        (1, 2, False, 0, 1.0),
        (0, 2, True, 0, 0.0),
        (0, 0, True, 8 * GIB, 1.0),
        (0, 0, False, 8 * GIB, 0.0),
        (0, 0, False, 0, None),
        (0, 0, False, None, None),
    ],
)
def test_whether_an_empty_list_means_anything(found, listed, host_namespace, used, shown):
    """In a container the list is empty although the card is full: that must not read as "no processes"."""
    assert visible(found=found, listed=listed, host_namespace=host_namespace, used_bytes=used) == shown


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([Standing(True, 5.0)], Verdict()),
        ([Standing(True, 5.0, 6.0)], Verdict(restart=True)),
        ([Standing(True, 5.0, 6.0), Standing(True, 5.9, 6.1)], Verdict(restart=True)),
        ([Standing(True, 5.0, 6.0), Standing(True, 5.9)], Verdict()),
        ([Standing(True, 5.0, 6.0), Standing(True, 6.0)], Verdict(only_lost=frozenset({0}))),
        ([Standing(True, 5.0, 3.0), Standing(True, 2.0)], Verdict(restart=True)),
        ([Standing(True, 5.0, 6.0), Standing(False, 5.9)], Verdict(restart=True)),
        (
            [Standing(True, 1.0, 2.0), Standing(True, 4.0), Standing(False, None, 3.0)],
            Verdict(only_lost=frozenset({0, 2})),
        ),
        ([], Verdict()),
    ],
)
def test_driver_or_card(cards, expected):
    """Restarting the driver for one bad card interrupts all; not restarting it when it has gone leaves all blind."""
    assert verdict(7.0, cards, patience=2.0) == expected


def test_trying_again_becomes_rarer_up_to_a_limit():
    """A driver that is not there must not be asked every second for months."""
    backoff = Backoff(1.0, 10.0)
    now, pauses = 0.0, []
    for _ in range(6):
        assert backoff.due(now)
        backoff.failed(now)
        start = now
        while not backoff.due(now):
            now += 0.5
        pauses.append(now - start)
    assert pauses == [1, 2, 4, 8, 10, 10]
    backoff.failed(now)
    backoff.reset()
    assert backoff.due(now)


def test_the_gate_keeps_readings_out_and_waits_for_those_inside():
    """A library that is shut down under a call takes the exporter with it."""
    gate = Gate("not yet")
    with pytest.raises(GateClosedError, match="not yet"), gate.passage():
        pass
    gate.open()
    with gate.passage():
        gate.close("gone")
        assert not gate.drained(0.0)
    assert gate.drained(0.0)
    with pytest.raises(GateClosedError, match="gone"), gate.passage():
        pass


@pytest.mark.parametrize(
    ("code", "kind", "settled"),
    [
        (3, errors.NotAvailableError, True),
        (13, errors.NotAvailableError, True),
        (25, errors.NotAvailableError, True),
        (4, errors.NotAvailableError, False),
        (2, errors.NotAvailableError, False),
        (21, errors.NotAvailableError, False),
        (999, errors.NotAvailableError, False),
        (12345, errors.NotAvailableError, False),
        (15, errors.GpuLostError, None),
        (16, errors.GpuLostError, None),
        (1, errors.DriverGoneError, None),
        (9, errors.DriverGoneError, None),
        (28, errors.DriverGoneError, None),
        (12, errors.NoDriverError, None),
        (18, errors.LibraryMismatchError, None),
    ],
)
def test_return_codes_by_what_is_done_about_them(code, kind, settled):
    """A code in the wrong group either hides a lost card or takes a healthy one off the page."""
    error = errors.error_for("nvmlX", code)
    assert type(error) is kind
    assert error.code == code
    if settled is not None:
        assert error.settled is settled


class Ways:
    """A device whose answers are handed in by name; each an error code or values."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def way(self, name):
        def read(_device):
            self.asked.append(name)
            answer = self.answers[name]
            if isinstance(answer, int):
                raise errors.error_for(name, answer)
            return answer

        return read


def test_a_field_moves_to_its_next_way_and_stays_there():
    """Old drivers know only the old call; asking for the new one each time is a wasted call each time."""
    value = (Value("power_watts", 1.0),)
    ways = Ways(new=13, old=value)
    support, field = Support("x"), Field("f", (ways.way("new"), ways.way("old")))
    assert support.read(field, None) == support.read(field, None) == value
    assert ways.asked == ["new", "old", "old"]


def test_a_field_without_a_way_left_is_not_asked_again():
    """One answer of "not supported" is enough."""
    ways = Ways(new=13, old=3)
    support, field = Support("x"), Field("f", (ways.way("new"), ways.way("old")))
    assert support.read(field, None) == support.read(field, None) == ()
    assert ways.asked == ["new", "old"]


def test_a_passing_failure_does_not_change_the_way():
    """A value must not jump because another way counts differently."""
    ways = Ways(new=(Value("power_watts", 1.0),), old=(Value("power_watts", 9.0),))
    support = Support("x")
    field = Field("f", (ways.way("new"), ways.way("old")), also_next_on=frozenset({999}))
    support.read(field, None)
    ways.answers["new"] = 999
    assert support.read(field, None) is None
    assert "old" not in ways.asked


def test_a_lost_card_ends_the_reading():
    """Thirty more calls to a card that has gone help nobody."""
    ways = Ways(new=15)
    with pytest.raises(errors.GpuLostError):
        Support("x").read(Field("f", (ways.way("new"),)), None)
