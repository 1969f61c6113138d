"""What a card's readings add up to: peaks, energy, throttled and idle time, counters that wrap."""

import pytest

from exporter.accumulators import MUCH_MEMORY_BYTES, Accumulators, TrailingMaximum, Unwrapped

MUCH = MUCH_MEMORY_BYTES * 2


def test_a_peak_between_two_scrapes_is_on_the_page_for_a_minute_and_then_gone():
    """An out-of-memory crash never lasts a minute: nobody who scrapes every 15 s would see what it came to."""
    card = Accumulators()
    for second, used in enumerate([100.0, 950.0, 100.0, 100.0]):
        made = card.update({"memory_used_bytes": used, "memory_used_ratio": used / 1000}, {}, float(second))
    assert (made["memory_used_peak_bytes"], made["memory_used_peak_ratio"]) == (950.0, 0.95)

    made = card.update({"memory_used_bytes": 100.0}, {}, 61.5)
    assert made == {"memory_used_peak_bytes": 100.0}


def test_what_the_driver_sampled_between_two_readings_counts():
    """A power spike of a tenth of a second would be invisible at a reading a second."""
    card = Accumulators()
    made = card.update({"power_watts": 100.0, "utilization_ratio": 0.1}, {"power_watts": 340.0}, 1.0)
    assert (made["power_peak_watts"], made["utilization_peak_ratio"]) == (340.0, 0.1)


def test_a_card_without_a_reading_has_no_peak():
    """A card that says nothing of its temperature would seem to have been at 0 degrees."""
    assert Accumulators().update({"power_watts": 1.0}, {"utilization_ratio": 0.5}, 0.0).keys() == {
        *("power_peak_watts", "energy_joules_total", "energy_integrated"),
    }


def test_energy_is_integrated_where_the_card_does_not_count_it_and_says_so():
    """A year of an old card's electricity could not be added up, or would be taken for the card's own figure."""
    card = Accumulators()
    card.keep(None)
    for second, power in enumerate([100.0, 200.0, 100.0]):
        made = card.update({"power_watts": power}, {}, float(second))
    assert (made["energy_joules_total"], made["energy_integrated"]) == (300.0, 1.0)

    counted = card.update({"power_watts": 100.0, "energy_joules_total": 7.0}, {}, 3.0)
    assert "energy_joules_total" not in counted
    assert counted["energy_integrated"] == 0.0
    assert card.energy_joules is None


def test_a_gap_adds_no_energy_and_no_throttled_time():
    """A card that was lost for an hour would be billed for an hour at its last power."""
    card = Accumulators()
    card.keep(None)
    card.update({"power_watts": 300.0, "throttled": {"sw_thermal": 1.0}}, {}, 0.0)
    made = card.update({"power_watts": 300.0, "throttled": {"sw_thermal": 1.0}}, {}, 3600.0)
    assert made["energy_joules_total"] == 0.0
    assert made["throttle_seconds_total"] == {"sw_thermal": 0.0}


def test_integrated_energy_goes_on_from_what_was_kept_and_never_falls():
    """After a crash the counter would fall a little, and increase() would count all the energy a second time."""
    first = Accumulators(500.0)
    for second in range(3):
        made = first.update({"power_watts": 100.0}, {}, float(second))
    assert (made["energy_joules_total"], first.energy_joules) == (500.0, 700.0)
    first.keep(700.0)
    assert first.update({"power_watts": 100.0}, {}, 3.0)["energy_joules_total"] == 700.0

    after_the_crash = Accumulators(700.0)
    assert after_the_crash.update({"power_watts": 100.0}, {}, 0.0)["energy_joules_total"] == 700.0


def test_integrated_energy_does_not_fall_when_it_can_be_kept_again():
    """After an hour with a full disk the counter would step back, and everything be counted a second time."""
    card = Accumulators(0.0)
    card.update({"power_watts": 100.0}, {}, 0.0)
    card.keep(None)
    assert card.update({"power_watts": 100.0}, {}, 5.0)["energy_joules_total"] == 500.0
    card.keep(450.0)
    assert card.update({"power_watts": 100.0}, {}, 6.0)["energy_joules_total"] == 500.0


def test_throttled_time_is_the_cards_own_count_or_else_the_time_between_readings():
    """How long a card was held down would be unknown on all cards without that counter."""
    card = Accumulators()
    card.update({"throttled": {"hw_slowdown": 1.0, "sw_thermal": 1.0}}, {}, 0.0)
    made = card.update(
        {"throttled": {"hw_slowdown": 0.0, "sw_thermal": 1.0}, "throttle_seconds_total": {"sw_thermal": 77.0}}, {}, 2.0
    )
    assert made["throttle_seconds_total"] == {"hw_slowdown": 2.0, "sw_thermal": 77.0}


@pytest.mark.parametrize("unit", [1, 1024])
def test_a_32_bit_counter_goes_on_counting(unit):
    """A busy link would show a drop to 0 every few seconds."""
    counter, word = Unwrapped(unit), 2**32 * unit
    assert [counter.value(raw * unit) for raw in (2**32 - 10, 5, 20)] == [
        word - 10 * unit,
        word + 5 * unit,
        word + 20 * unit,
    ]


@pytest.mark.parametrize("raws", [[1000, 0, 10], [2**40, 5, 7]])
def test_a_counter_that_was_set_back_is_published_as_it_is(raws):
    """Taken for a wrap, a driver reload would add four gigabytes of traffic that never was."""
    counter = Unwrapped(1)
    assert [counter.value(raw) for raw in raws] == raws


def test_idle_memory_counts_from_the_last_work():
    """A notebook that was left open over the weekend holds the card, and nobody is told."""
    card = Accumulators()

    def held(second, utilization, used=MUCH, between=0.0):
        found = {"memory_used_bytes": used, "utilization_ratio": utilization}
        return card.update(found, {"utilization_ratio": between}, float(second))["idle_memory_held_seconds"]

    assert [held(0, 0.5), held(10, 0.0), held(20, 0.0)] == [0.0, 10.0, 20.0]
    assert held(30, 0.0, between=0.4) == 0.0
    assert held(40, 0.0) == 10.0
    assert held(50, 0.0, used=1000.0) == 0.0
    assert "idle_memory_held_seconds" not in card.update({"memory_used_bytes": MUCH}, {}, 60.0)


def test_the_window_keeps_few_values():
    """Memory would grow with each reading of a card that only gets warmer or colder."""
    peak = TrailingMaximum(60)
    for step in range(10_000):
        peak.add(step / 10, 50.0 - step % 600)
        peak.at(step / 10)
    assert len(peak._candidates) <= 601


def widths(*readings, card=None, step=1.0):
    """The working width after each reading of (utilization, width); None of either is left out."""
    card, shown = card or Accumulators(), []
    for number, (utilization, width) in enumerate(readings):
        found = {"utilization_ratio": utilization, "pcie_link_width_ratio": width}
        made = card.update({name: value for name, value in found.items() if value is not None}, {}, number * step)
        shown.append(made.get("pcie_link_width_working_ratio"))
    return shown


def test_the_link_of_an_idle_card_is_not_judged():
    """A card that narrows its link to save power would be reported as badly seated each night."""
    assert widths(*[(0.0, 0.25)] * 5) == [None] * 5
    assert widths(*[(None, 0.25)] * 5) == [None] * 5


def test_a_card_that_waits_for_its_link_keeps_the_width_through_readings_without_work():
    """A card on a bad contact is starved, so its utilization is often 0, and nobody would ever be told."""
    shown = widths(*[(0.3, 0.0625), (0.3, 0.0625), (0.0, 0.0625), (0.0, 0.0625)] * 100)
    assert shown[:2] == [None, 0.0625]
    assert set(shown[1:]) == {0.0625}


def test_a_link_that_narrows_only_at_rest_is_acquitted_by_the_work_before():
    """Each pause of a job on a laptop would be reported as a bad contact."""
    shown = widths((0.9, 1.0), (0.9, 1.0), (0.1, 0.25), (0.0, 0.25), (0.1, 0.25), (0.1, 0.25))
    assert shown[1:] == [1.0] * 5


def test_one_short_job_proves_nothing_of_the_link():
    """A job of a second that ends just before a reading would be held against a link that is at rest again."""
    assert widths((0.0, 0.25), (0.4, 0.25), (0.0, 0.25), (0.4, 0.25), (0.0, 0.25)) == [None] * 5


def test_readings_far_apart_are_not_in_a_row():
    """After a suspend the work of yesterday would be put together with the link of this morning."""
    assert widths((0.4, 0.25), (0.4, 0.25), step=60.0) == [None, None]


def test_the_width_ends_some_minutes_after_the_work_and_with_the_reading():
    """A card would be held to a link of hours ago, or an alert shown of a card that no longer tells its width."""
    card = Accumulators()
    assert widths(*[(0.4, 0.25)] * 3, card=card) == [None, 0.25, 0.25]
    at_rest = {"utilization_ratio": 0.0, "pcie_link_width_ratio": 0.25}
    assert "pcie_link_width_working_ratio" in card.update(at_rest, {}, 602.0)
    assert "pcie_link_width_working_ratio" not in card.update({"utilization_ratio": 0.0}, {}, 602.0)
    assert "pcie_link_width_working_ratio" not in card.update(at_rest, {}, 603.0)
