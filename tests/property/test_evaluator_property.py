"""Laws of the evaluator over any series of readings, any rule and any clock."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from alerts.evaluator import step
from alerts.rule import Rule
from alerts.store_records import dump_state, load_state

INTERVAL = 5.0
MAX_GAP = 2 * INTERVAL
READINGS = st.lists(
    st.none() | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 0.84, 0.85, 0.86, 0.9, 0.95, 1.0]), max_size=60
)
PERIODS = st.sampled_from([0.0, 5.0, 7.0, 10.0, 30.0])
STEPS = st.lists(st.sampled_from([5.0, 5.0, 5.0, 6.0, 9.0, 30.0, 4000.0, -5.0, -500.0, 0.0]), min_size=60, max_size=60)


@st.composite
def rules(draw) -> Rule:
    comparison = draw(st.sampled_from(["above", "below", "equals"]))
    clear = {"above": 0.85, "below": 0.95, "equals": None}[comparison] if draw(st.booleans()) else None
    return Rule(
        alert="A",
        metric="m",
        unit="ratio",
        comparison=comparison,
        threshold=0.9,
        clear=clear,
        for_=draw(PERIODS),
        keep_firing_for=draw(PERIODS),
        severity="info",
        summary="s",
    )


def run(rule: Rule, readings, times, restart=lambda state: state):
    state, outcomes = None, []
    for reading, now in zip(readings, times, strict=False):
        outcome = step(rule, reading, state, now, max_gap=MAX_GAP)
        outcomes.append(outcome)
        state = restart(outcome.state)
    return outcomes


def clock(steps):
    now, times = 1_800_000_000.0, []
    for width in steps:
        now += width
        times.append(now)
    return times


def known(reading) -> bool:
    return reading is not None and not math.isnan(reading)


@given(rules(), READINGS, STEPS)
def test_fires_only_after_an_unbroken_for(rule, readings, steps):
    """A mail about something that was not true for as long as the rule asks."""
    times = clock(steps)
    watched = None
    before = None
    for reading, now, outcome in zip(readings, times, run(rule, readings, times), strict=False):
        true = known(reading) and rule.holds(reading, firing=False)
        gap = 0.0 if before is None else min(max(now - before, 0.0), MAX_GAP)
        watched = (0.0 if watched is None else watched + gap) if true else None
        before = now
        if outcome.transition == "fired":
            assert true
            assert watched >= rule.for_ - 1e-6


@given(rules(), READINGS, STEPS)
def test_transitions_alternate(rule, readings, steps):
    """Two incidents of one series are open at once, or something that was never announced is resolved."""
    found = [outcome.transition for outcome in run(rule, readings, clock(steps)) if outcome.transition]
    assert found == (["fired", "resolved"] * len(found))[: len(found)]


@given(rules(), READINGS, STEPS)
def test_unknown_never_starts_or_ends_anything(rule, readings, steps):
    """An exporter that stops sends mail in either direction."""
    for reading, outcome in zip(readings, run(rule, readings, clock(steps)), strict=False):
        if not known(reading):
            assert outcome.transition is None
            assert outcome.state is None or outcome.state.phase == "firing"


@given(rules(), READINGS, STEPS)
def test_resolved_only_by_a_reading_past_clear(rule, readings, steps):
    """RESOLVED is mailed while the value is still past where the rule lets go."""
    for reading, outcome in zip(readings, run(rule, readings, clock(steps)), strict=False):
        if outcome.transition == "resolved":
            assert known(reading)
            assert not rule.holds(reading, firing=True)


@given(rules(), READINGS, STEPS)
def test_a_restart_between_any_two_rounds_changes_nothing(rule, readings, steps):
    """After a restart an alert is told again, or its clock starts anew."""

    def restart(state):
        return state and load_state(dump_state(state))

    times = clock(steps)
    assert run(rule, readings, times, restart) == run(rule, readings, times)


@example(
    Rule(alert="A", metric="m", unit="ratio", comparison="above", threshold=0.9, severity="info", summary="s"),
    [1.0, None, None],
    [5.0, 5.0, -5.0],
)
@given(rules(), READINGS, STEPS)
def test_no_time_lies_in_the_future(rule, readings, steps):
    """A clock that was set back leaves a state that waits for a time long to come."""
    times = clock(steps)
    for now, outcome in zip(times, run(rule, readings, times), strict=False):
        state = outcome.state
        if state:
            stamps = (state.active_at, state.fired_at, state.keep_since, state.unknown_since)
            assert all(stamp <= now + 1e-6 for stamp in stamps if stamp is not None)


@given(rules(), READINGS)
def test_firing_always_ends_when_the_value_stays_good(rule, readings):
    """An incident stays open for ever."""
    good = {"above": 0.0, "below": 2.0, "equals": 0.0}[rule.comparison]
    tail = [good] * 10
    times = clock([INTERVAL] * (len(readings) + len(tail)))
    assert run(rule, [*readings, *tail], times)[-1].state is None


@given(rules())
def test_always_bad_fires_exactly_once_and_in_time(rule):
    """The mail is late, missing or doubled."""
    bad = {"above": 1.0, "below": 0.0, "equals": 0.9}[rule.comparison]
    times = clock([INTERVAL] * 20)
    fired = [
        now for now, outcome in zip(times, run(rule, [bad] * 20, times), strict=True) if outcome.transition == "fired"
    ]
    assert len(fired) == 1
    assert rule.for_ <= fired[0] - times[0] < rule.for_ + INTERVAL
