"""Judging one rule on one series, one round at a time: a pure state machine.

The semantics are Prometheus's own (rules/alerting.go: ``for``, ``keep_firing_for``), with ``clear`` as the ALERTS idiom
``x > 0.90 or (x > 0.85 and ALERTS{alertstate="firing"})``, and a third truth value. No reading, or one that is not a
number, is **unknown**: it proves nothing, so it neither starts nor ends an alert. Infinity is a number.

Cells, by what is remembered and what is read ("between" is past ``clear`` but not past the threshold):

===========  =====================  ======================  =====================  ==================
remembered   true                   between                 false                  unknown
===========  =====================  ======================  =====================  ==================
nothing      pending, or fired (1)  nothing                 nothing                nothing
pending      pending, or fired (1)  nothing                 nothing                nothing
firing       firing                 firing                  held, or resolved (2)  firing, unknown
held         firing                 firing                  held, or resolved (2)  firing, unknown (3)
===========  =====================  ======================  =====================  ==================

1. Fired when the condition has been true for ``for`` or longer; ``for: 0`` fires at the first true reading.
2. Resolved when it has been false for ``keep_firing_for`` or longer; until then it is held.
3. Unknown takes the place of true: the hold begins anew at the next false reading, because ``keep_firing_for`` asks for
   an unbroken false. The generated Prometheus expression holds a missing series in the same way.

Some series end for good: a disk is unmounted, a card is taken out and forgotten. Who hands in the reading says so
(``gone``); then it is not unknown but false, and the alert ends (``series_gone``) without a last reading.

A rule that looks back has no number until its window was watched for long enough (``unwatched``): what is pending then
waits where it stood (``window_unwatched``), since nothing speaks against it.

Time that nobody watched counts for nothing. Between two readings at most ``max_gap`` seconds count towards ``for`` and
``keep_firing_for``: after a suspend or a restart the clocks go on where they stood. After an outage longer than an hour
what was pending is forgotten, and a firing alert whose first reading is false ends at once, without being held. A wall
clock that steps back takes the remembered times with it. A longer ``for`` after a reload does not unfire an alert.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from alerts.rule import Rule
from alerts.state import State

OUTAGE_TOLERANCE = 3600.0
"""Seconds; Prometheus: --rules.alert.for-outage-tolerance."""

Transition = Literal["fired", "resolved"]
Reason = Literal[
    "condition_false",
    "no_reading",
    "waiting_for",
    "for_elapsed",
    "still_firing",
    "held",
    "held_unknown",
    "pending_ended",
    "pending_unknown",
    "condition_ended",
    "ended_while_unwatched",
    "series_gone",
    "window_unwatched",
]


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one round; ``state`` None means that nothing is remembered."""

    state: State | None
    transition: Transition | None
    reason: Reason


def step(
    rule: Rule,
    reading: float | None,
    state: State | None,
    now: float,
    *,
    max_gap: float,
    gone: bool = False,
    unwatched: bool = False,
) -> Step:
    """Judge one reading at ``now`` (Unix seconds); ``max_gap`` is about two rounds, in seconds.

    ``gone`` says that the series has ended for good, ``unwatched`` that it is there but its window proves nothing yet.
    """
    value = None if reading is None or math.isnan(reading) else reading
    if state is None:
        return _inactive(rule, value, now)
    outage = state.unknown_since is None and now - state.seen_at > max(OUTAGE_TOLERANCE, max_gap)
    if state.phase == "pending":
        if unwatched:
            waited = state.active_at + max(now - state.seen_at, 0.0)
            return Step(replace(state, active_at=waited, seen_at=now), None, "window_unwatched")
        if outage:
            return _inactive(rule, value, now)
        return _pending(rule, value, _watched_only(state, now, max_gap), now)
    watched = _watched_only(state, now, max_gap)
    if value is None and gone:
        return _ended(rule, replace(watched, seen_at=now, unknown_since=None), now, "series_gone", at_once=outage)
    return _firing(rule, value, watched, now, outage=outage)


def _watched_only(state: State, now: float, max_gap: float) -> State:
    """Move the running clocks over the time that was not watched, so that it counts for nothing."""
    watched = min(max(now - state.seen_at, 0.0), max_gap)
    skipped = now - state.seen_at - watched
    if state.phase == "pending":
        return replace(state, active_at=state.active_at + skipped)
    return replace(
        state,
        active_at=min(state.active_at, now),
        fired_at=None if state.fired_at is None else min(state.fired_at, now),
        keep_since=None if state.keep_since is None else state.keep_since + skipped,
        unknown_since=None if state.unknown_since is None else min(state.unknown_since, now),
    )


def _inactive(rule: Rule, value: float | None, now: float) -> Step:
    if value is None:
        return Step(None, None, "no_reading")
    if not rule.holds(value, firing=False):
        return Step(None, None, "condition_false")
    return _ripen(
        rule, State(phase="pending", active_at=now, about=rule.about, value=value, peak=value, seen_at=now), now
    )


def _pending(rule: Rule, value: float | None, state: State, now: float) -> Step:
    if value is None:
        return Step(None, None, "pending_unknown")
    if not rule.holds(value, firing=False):
        return Step(None, None, "pending_ended")
    return _ripen(rule, replace(state, value=value, peak=rule.worse(value, state.peak), seen_at=now), now)


def _ripen(rule: Rule, state: State, now: float) -> Step:
    if now - state.active_at < rule.for_:
        return Step(state, None, "waiting_for")
    return Step(replace(state, phase="firing", fired_at=now), "fired", "for_elapsed")


def _firing(rule: Rule, value: float | None, state: State, now: float, *, outage: bool) -> Step:
    if value is None:
        since = now if state.unknown_since is None else state.unknown_since
        return Step(replace(state, keep_since=None, unknown_since=since), None, "held_unknown")
    known = replace(state, value=value, peak=rule.worse(value, state.peak), seen_at=now, unknown_since=None)
    if rule.holds(value, firing=True):
        return Step(replace(known, keep_since=None), None, "still_firing")
    reason: Reason = "ended_while_unwatched" if outage else "condition_ended"
    return _ended(rule, known, now, reason, at_once=outage)


def _ended(rule: Rule, state: State, now: float, reason: Reason, *, at_once: bool) -> Step:
    since = now if state.keep_since is None else state.keep_since
    if not at_once and now - since < rule.keep_firing_for:
        return Step(replace(state, keep_since=since), None, "held")
    return Step(None, "resolved", reason)
