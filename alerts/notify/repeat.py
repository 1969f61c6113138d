"""Telling again that an alert still fires: pure, from when people were last told.

An alert that was told and ``stands`` (it fires, is not muted and is read as true) is told again in its thread when its
time has come. ``State.told_at`` is written in the same transaction as the mail, so a restart neither forgets a repeat
nor sends one twice.

Behind Alertmanager an alert has a change only when it is posted, so a repeat answers a post. Those come every
``repeat_interval``, counted from when Alertmanager noted our answer; ``early`` forgives what that differs by.

A clock that was set back leaves stamps in the future. Such a stamp becomes now: the next repeat comes one whole span
later. One that was set ahead makes one repeat early, once.
"""

from collections.abc import Callable
from dataclasses import replace

from alerts.judge import Change
from alerts.notify.mute import Verdict
from alerts.state import State

EARLY_SECONDS = 60.0
"""How much earlier than its time a post may be a repeat."""


def repeated(
    change: Change, verdict: Verdict, span_of: Callable[[Change], float], now: float, *, early: float = 0.0
) -> tuple[Change, Verdict]:
    """The same, told as repeat where that is due; ``span_of`` says after how many seconds, 0 for never."""
    if not verdict.stands or verdict.tells or change.state is None:
        return change, verdict
    told_at = _told_at(change.state)
    if told_at > now:
        return replace(change, state=replace(change.state, told_at=now)), verdict
    span = span_of(change)
    due = span > 0 and now - told_at >= span - min(early, span / 2)
    return change, replace(verdict, tells="repeat") if due else verdict


def _told_at(state: State) -> float:
    """A state from before that was noted was told when it fired."""
    return state.told_at or (state.active_at if state.fired_at is None else state.fired_at)
