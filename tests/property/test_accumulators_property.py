from hypothesis import given
from hypothesis import strategies as st

from exporter.accumulators import Accumulators, TrailingMaximum, Unwrapped

STEPS = st.lists(st.tuples(st.floats(0, 30), st.floats(-50, 200)), min_size=1, max_size=60)


@given(STEPS)
def test_the_trailing_maximum_is_that_of_all_values_in_the_window(steps):
    """A peak would be lost, or stand for longer than the page says."""
    peak, now, kept = TrailingMaximum(60), 0.0, []
    for step, value in steps:
        now += step
        kept.append((now, value))
        peak.add(now, value)
        assert peak.at(now) == max(value for at, value in kept if at >= now - 60)


@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=50))
def test_a_counter_in_a_32_bit_word_is_told_as_if_it_had_no_end(increments):
    """Rates over a busy link would be wrong once a minute."""
    counter, true, first = Unwrapped(1), 0, increments[0]
    counter.value(first)
    true = first
    for increment in increments[1:]:
        true += increment
        assert counter.value(true % 2**32) == true


READINGS = st.fixed_dictionaries(
    {},
    optional={
        "power_watts": st.floats(0, 1000),
        "memory_used_bytes": st.floats(0, 1e11),
        "utilization_ratio": st.floats(0, 1),
        "throttled": st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([0.0, 1.0]), min_size=1),
    },
)


@given(st.lists(st.tuples(st.floats(0, 100), READINGS), max_size=40), st.sampled_from([None, 0.0, 1e6]))
def test_what_is_added_up_here_never_falls_and_never_appears_from_nothing(steps, earlier):
    """A counter that falls is taken for a restart, and everything before is counted twice."""
    card, now, energy, throttled = Accumulators(earlier), 0.0, earlier or 0.0, {}
    for step, found in steps:
        now += step
        made = card.update(found, {}, now)
        card.keep(card.energy_joules)
        assert made.get("energy_joules_total", energy) >= energy
        energy = made.get("energy_joules_total", energy)
        assert ("energy_joules_total" in made) == ("power_watts" in found)
        for reason, seconds in made.get("throttle_seconds_total", {}).items():
            assert seconds >= throttled.get(reason, 0.0)
            throttled[reason] = seconds
        assert made.get("idle_memory_held_seconds", 0.0) >= 0
