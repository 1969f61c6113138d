"""The evaluator against the table in its docstring, and against what Prometheus was measured to do."""

import math

import pytest

from alerts.evaluator import OUTAGE_TOLERANCE, Reason, step
from alerts.rule import Rule
from alerts.state import State

NAN, INF = math.nan, math.inf
MINUTE = 60.0
MAX_GAP = 2 * MINUTE


def rule(**changes) -> Rule:
    values = {
        "alert": "Full",
        "metric": "gpu_memory_used_ratio",
        "unit": "ratio",
        "comparison": "above",
        "threshold": 0.9,
        "for_": 3 * MINUTE,
        "severity": "critical",
        "summary": "full",
    }
    return Rule(**(values | changes))


def firing_minutes(judged: Rule, readings) -> list[int]:
    """The minutes at whose evaluation the alert fires or is held."""
    state, minutes = None, []
    for minute, reading in enumerate(readings):
        state = step(judged, reading, state, minute * MINUTE, max_gap=MAX_GAP).state
        if state and state.phase == "firing":
            minutes.append(minute)
    return minutes


HIGH, LOW = 0.95, 0.5


@pytest.mark.parametrize(
    ("readings", "changes", "expected"),
    [
        pytest.param([HIGH] * 6, {}, [3, 4, 5], id="always high"),
        pytest.param([INF] * 6, {}, [3, 4, 5], id="infinity is a number"),
        pytest.param([HIGH, HIGH, LOW] + [HIGH] * 5, {}, [6, 7], id="dip at 2"),
        pytest.param([HIGH, HIGH, None] + [HIGH] * 5, {}, [6, 7], id="unknown at 2, as a stale marker"),
        pytest.param([HIGH] * 5 + [None] * 5, {}, [3, 4, 5, 6, 7, 8, 9], id="unknown holds"),
        pytest.param([HIGH] * 5 + [LOW] * 2, {}, [3, 4], id="low ends at once without keep"),
        pytest.param([HIGH] * 5 + [LOW] * 6, {"keep_firing_for": 240}, [3, 4, 5, 6, 7, 8], id="keep 4m"),
        pytest.param(
            [HIGH] * 5 + [LOW, HIGH] + [LOW] * 6, {"keep_firing_for": 240}, list(range(3, 11)), id="keep begins anew"
        ),
        pytest.param([HIGH] * 5 + [NAN] * 3 + [HIGH], {}, [3, 4, 5, 6, 7, 8], id="not a number holds"),
        pytest.param([NAN] * 6, {"comparison": "below", "threshold": 0.9}, [], id="not a number never fires"),
        pytest.param([0.9] * 6, {}, [], id="exactly the threshold is not above"),
        pytest.param([0.9] * 6, {"comparison": "below"}, [], id="exactly the threshold is not below"),
        pytest.param([0.0] * 6, {"comparison": "equals", "threshold": 0.0}, [3, 4, 5], id="equals"),
        pytest.param(
            [0.95, 0.85, 0.85, 0.85, 0.75, 0.85, 0.95, 0.85],
            {"for_": 0.0, "clear": 0.8},
            [0, 1, 2, 3, 6, 7],
            id="clear, the ALERTS idiom",
        ),
        pytest.param([0.95, 0.8, 0.95], {"for_": 0.0, "clear": 0.8}, [0, 2], id="exactly clear has left"),
        pytest.param(
            [3, 8, 10, 8, 4], {"for_": 0.0, "comparison": "below", "threshold": 5, "clear": 10}, [0, 1, 4], id="below"
        ),
        pytest.param([HIGH] * 2 + [LOW], {"for_": 0.0}, [0, 1], id="for 0 fires at once"),
        pytest.param(
            [0.95, LOW, 0.85, LOW, LOW, LOW],
            {"for_": 0.0, "clear": 0.8, "keep_firing_for": 120},
            [0, 1, 2, 3, 4],
            id="while held, clear decides too",
        ),
    ],
)
def test_fires_when_prometheus_does(readings, changes, expected):
    """A mail comes too early, too late or not at all compared with the same rule in Prometheus."""
    assert firing_minutes(rule(**changes), readings) == expected


NOW = 10_000.0
PENDING = State(phase="pending", active_at=NOW - 60, value=0.95, seen_at=NOW - 60)
RIPE = State(phase="pending", active_at=NOW - 180, value=0.95, seen_at=NOW - 60)
FIRING = State(phase="firing", active_at=NOW - 600, fired_at=NOW - 420, value=0.95, seen_at=NOW - 60, incident="i")
HELD = State(**{**{name: getattr(FIRING, name) for name in FIRING.__slots__}, "keep_since": NOW - 60})
EXPIRED = State(**{**{name: getattr(FIRING, name) for name in FIRING.__slots__}, "keep_since": NOW - 240})

CELLS: list[tuple[str, State | None, float | None, Reason, str | None, str | None]] = [
    ("nothing, true", None, 0.95, "waiting_for", "pending", None),
    ("nothing, between", None, 0.87, "condition_false", None, None),
    ("nothing, false", None, 0.5, "condition_false", None, None),
    ("nothing, unknown", None, None, "no_reading", None, None),
    ("pending, true", PENDING, 0.95, "waiting_for", "pending", None),
    ("pending long enough, true", RIPE, 0.95, "for_elapsed", "firing", "fired"),
    ("pending, between", PENDING, 0.87, "pending_ended", None, None),
    ("pending, false", PENDING, 0.5, "pending_ended", None, None),
    ("pending, unknown", PENDING, None, "pending_unknown", None, None),
    ("firing, true", FIRING, 0.95, "still_firing", "firing", None),
    ("firing, between", FIRING, 0.87, "still_firing", "firing", None),
    ("firing, false", FIRING, 0.5, "held", "firing", None),
    ("firing, unknown", FIRING, None, "held_unknown", "firing", None),
    ("held, true", HELD, 0.95, "still_firing", "firing", None),
    ("held, between", HELD, 0.87, "still_firing", "firing", None),
    ("held, false", HELD, 0.5, "held", "firing", None),
    ("held long enough, false", EXPIRED, 0.5, "condition_ended", None, "resolved"),
    ("held, unknown", HELD, None, "held_unknown", "firing", None),
]


@pytest.mark.parametrize(("state", "reading", "reason", "phase", "transition"), [cell[1:] for cell in CELLS])
def test_every_cell_of_the_table(state, reading, reason, phase, transition):
    """A combination of what is remembered and what is read has no defined outcome, or another one than documented."""
    judged = rule(clear=0.85, keep_firing_for=240.0)
    outcome = step(judged, reading, state, NOW, max_gap=MAX_GAP)
    assert (outcome.reason, outcome.transition) == (reason, transition)
    assert (outcome.state.phase if outcome.state else None) == phase


def test_hold_times():
    """The hold is not begun, kept or cleared when it should be, so RESOLVED comes at the wrong time."""
    judged = rule(clear=0.85, keep_firing_for=240.0)
    begun = step(judged, 0.5, FIRING, NOW, max_gap=MAX_GAP).state
    assert begun.keep_since == NOW
    assert step(judged, 0.5, begun, NOW + 60, max_gap=MAX_GAP).state.keep_since == NOW
    assert step(judged, 0.87, begun, NOW + 60, max_gap=MAX_GAP).state.keep_since is None
    unknown = step(judged, None, begun, NOW + 60, max_gap=MAX_GAP).state
    assert (unknown.keep_since, unknown.unknown_since, unknown.seen_at) == (None, NOW + 60, NOW)
    later = step(judged, None, unknown, NOW + 120, max_gap=MAX_GAP).state
    assert later.unknown_since == NOW + 60
    again = step(judged, 0.5, later, NOW + 180, max_gap=MAX_GAP).state
    assert (again.keep_since, again.unknown_since, again.value) == (NOW + 180, None, 0.5)


@pytest.mark.parametrize(
    ("state", "reason", "transition"),
    [
        (PENDING, "pending_unknown", None),
        (RIPE, "pending_unknown", None),
        (FIRING, "held", None),
        (HELD, "held", None),
        (EXPIRED, "series_gone", "resolved"),
    ],
)
def test_a_series_that_is_gone_for_good_ends(state, reason, transition):
    """An alert about a disk that was unmounted, or a card that was taken out, stays for ever."""
    outcome = step(rule(keep_firing_for=240.0), None, state, NOW, max_gap=MAX_GAP, gone=True)
    assert (outcome.reason, outcome.transition) == (reason, transition)


def test_a_gone_series_is_held_as_long_as_the_rule_says():
    """The hold of a series that is gone begins anew each round."""
    judged, state, reasons = rule(keep_firing_for=120.0, ends_when_gone=True), FIRING, []
    for minute in range(4):
        outcome = step(judged, None, state, NOW + minute * MINUTE, max_gap=MAX_GAP, gone=True)
        state = outcome.state
        reasons.append(outcome.reason)
    assert reasons == ["held", "held", "series_gone", "no_reading"]


def test_firing_without_keep_resolves_at_once():
    """An alert without ``keep_firing_for`` lingers."""
    assert step(rule(), 0.5, FIRING, NOW, max_gap=MAX_GAP).reason == "condition_ended"


def test_incident_survives_every_round():
    """The resolved mail cannot find the thread of the first one."""
    judged, state = rule(keep_firing_for=600.0), FIRING
    for offset, reading in enumerate((0.95, None, 0.5, 0.95, 0.5)):
        state = step(judged, reading, state, NOW + offset * MINUTE, max_gap=MAX_GAP).state
        assert (state.incident, state.fired_at, state.active_at) == ("i", NOW - 420, NOW - 600)


def test_suspend_does_not_count_towards_for():
    """A laptop that slept for half an hour wakes up to a mail about a peak of one second."""
    asleep = step(rule(for_=600.0), 0.95, PENDING, NOW + 1800, max_gap=MAX_GAP)
    assert asleep.reason == "waiting_for"
    assert NOW + 1800 - asleep.state.active_at == MAX_GAP


def test_slow_rounds_still_fire():
    """Rounds that always take longer than ``max_gap`` would never let anything fire."""
    judged, state = rule(for_=600.0), None
    fired = []
    for minute in range(0, 100, 10):
        outcome = step(judged, 0.95, state, minute * MINUTE, max_gap=MAX_GAP)
        state = outcome.state
        fired.append(outcome.transition)
    assert fired.index("fired") == 5


def test_outage_forgets_pending_and_verifies_firing():
    """After hours off, an old pending alert fires at once, or an old firing alert is held as if it were news."""
    late = NOW + OUTAGE_TOLERANCE + 1
    anew = step(rule(), 0.95, RIPE, late, max_gap=MAX_GAP)
    assert (anew.reason, anew.state.active_at) == ("waiting_for", late)
    judged = rule(keep_firing_for=240.0)
    assert step(judged, 0.5, FIRING, late, max_gap=MAX_GAP).reason == "ended_while_unwatched"
    assert step(judged, 0.95, FIRING, late, max_gap=MAX_GAP).reason == "still_firing"
    assert step(judged, None, FIRING, late, max_gap=MAX_GAP).reason == "held_unknown"


def test_long_unknown_is_not_an_outage():
    """An exporter that was down for hours comes back with a good value, and the alert skips its hold."""
    judged, state = rule(keep_firing_for=240.0), FIRING
    for minute in range(100):
        state = step(judged, None, state, NOW + minute * MINUTE, max_gap=MAX_GAP).state
    back = step(judged, 0.5, state, NOW + 100 * MINUTE, max_gap=MAX_GAP)
    assert (back.reason, back.state.keep_since) == ("held", NOW + 100 * MINUTE)


def test_hold_does_not_run_while_unwatched():
    """A restart during the hold resolves an alert that nobody saw recover."""
    judged = rule(keep_firing_for=600.0)
    outcome = step(judged, 0.5, HELD, NOW + 1800, max_gap=MAX_GAP)
    assert outcome.reason == "held"
    assert NOW + 1800 - outcome.state.keep_since == MAX_GAP


@pytest.mark.parametrize("back", [61.0, 3600.0, 1e9])
def test_clock_that_steps_back(back):
    """A clock that NTP sets back leaves an alert pending, or held, for hours."""
    judged = rule(keep_firing_for=120.0)
    now = NOW - back
    waiting = step(judged, 0.95, PENDING, now, max_gap=MAX_GAP).state
    assert now - waiting.active_at == pytest.approx(0.0, abs=1e-6)
    assert step(judged, 0.95, waiting, now + 180, max_gap=180.0).transition == "fired"
    held = step(judged, 0.5, HELD, now, max_gap=MAX_GAP).state
    assert held.active_at <= now
    assert held.fired_at <= now
    assert step(judged, 0.5, held, now + 120, max_gap=MAX_GAP).transition == "resolved"
    unknown = step(judged, None, HELD, now, max_gap=MAX_GAP).state
    assert unknown.unknown_since == now


def test_longer_for_after_reload_does_not_unfire():
    """A reload with a longer ``for`` makes a firing alert disappear."""
    assert step(rule(for_=1e6), 0.95, FIRING, NOW, max_gap=MAX_GAP).reason == "still_firing"


@pytest.mark.parametrize(
    ("changes", "readings", "peak"),
    [
        ({}, [HIGH, 0.92, 0.99, None, NAN, 0.91], 0.99),
        ({}, [0.99, LOW, 0.91, 0.92, 0.93, 0.92], 0.93),
        ({"comparison": "below", "threshold": 0.1}, [0.05, 0.02, 0.09, 0.04, 0.05, 0.05], 0.02),
    ],
    ids=["above", "only since it began", "below"],
)
def test_the_worst_reading_is_remembered(changes, readings, peak):
    """After hours, or a restart, the mail that it is over could not say how bad it was."""
    state = None
    for minute, reading in enumerate(readings):
        state = step(rule(**{"for_": 0.0, **changes}), reading, state, minute * MINUTE, max_gap=MAX_GAP).state
    assert state.peak == peak
