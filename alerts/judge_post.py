"""One post of Alertmanager: what it changes in what we remember. Pure: no clock, no disk, no network.

A post is the state of some alerts, sent again by retries, by each peer of a cluster and every ``repeat_interval``.
Only a difference to what is remembered is news.

===========  ==================================  =============================
remembered   posted as firing                    posted as resolved
===========  ==================================  =============================
nothing      fired (1)                           nothing
firing       nothing (3)                         resolved (2)
===========  ==================================  =============================

1. Unless it is a late copy, see below.
2. Unless what it says ended before the run that is remembered began, or the same post holds the alert as firing too
   (its rule changed its severity meanwhile).
3. An earlier start wins, since peers may disagree. A later one is a run of its own if it is later by more than peers
   disagree, and began after the last post of the run that is remembered. The end of that one was never posted, because
   it ended under a silence or between two flushes of its group. It ends in silence and the new run is told as a new
   incident (``superseded``): a mail in the old thread would claim that the card had been full all the while.

``startsAt`` is when Prometheus let the alert fire (its FiredAt). The condition of a rule of ours had then been true for
the rule's ``for``, so that it began that much earlier; of a foreign rule we do not know.

An alert that a post does not name is left as it is: payloads are cut off, and groups are posted one by one.

A run that was posted as resolved may go on under the same start. Alertmanager ends an alert of which Prometheus has not
told it for a while, and takes it up again when Prometheus comes back. It posts that once and then not before
``repeat_interval``, so to ignore that post would be to ignore a card that is full. A late copy looks the same: a peer
of a cluster reads its alerts, waits up to half a minute for the others, and then posts what has ended meanwhile. A post
counts as a late copy only if all of this holds:

- it comes from another Alertmanager (``externalURL``) than those that posted the end; each one posts a group in order;
- it comes within ``LATE_SECONDS`` after the end itself, not after we heard of it.

Everything else is told anew. A copy that is later still, or from a cluster whose peers share one ``externalURL``, is a
mail too many, and its sender posts the end of it. Better that than a mail too few.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alerts.judge import Change
from alerts.posted_identity import identify
from alerts.promql import WATCHDOG
from alerts.rule import Rule
from alerts.state import AlertKey, State
from alerts.webhook import Post, PostedAlert

LATE_SECONDS = 30.0
"""The third peer of a cluster waits that long before it posts (Alertmanager: 15 s for each peer before it)."""

DISAGREE_SECONDS = 60.0
"""Two Prometheus servers see the same condition at most an evaluation apart."""

_MOST_SENDERS = 8


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over: when it had begun and ended (Unix seconds), and which Alertmanagers posted that."""

    started_at: float
    ended_at: float
    senders: frozenset[str]


def judge_post(
    post: Post, rules: Sequence[Rule], states: Mapping[AlertKey, State], ended: Mapping[AlertKey, Ended], now: float
) -> tuple[list[Change], dict[AlertKey, Ended]]:
    """The changes that follow from ``post``, at most one for each alert, and the runs that it says are over.

    ``now`` in Unix seconds.
    """
    changes: dict[AlertKey, Change] = {}
    over: dict[AlertKey, Ended] = {}
    alerts = [(alert, *identify(alert, rules, states)) for alert in post.alerts if alert.alertname != WATCHDOG]
    burning = {key for alert, key, _ in alerts if alert.status == "firing"}
    for alert, key, rule in alerts:
        previous, before = states.get(key), ended.get(key)
        if alert.status == "firing":
            late = _is_late(alert, post.sender, previous, before, now)
            change = None if late else _firing(alert, key, rule, previous, now)
            if change and previous and change.reason == "superseded":
                over[key] = Ended(_start(previous), now, frozenset())
        elif key not in burning:
            change = _resolved(alert, key, rule, previous, now)
            if end := _end(alert, post.sender, change, before, now):
                over[key] = end
        else:
            change = None
        if change:
            changes[key] = change
    return list(changes.values()), over


def _is_late(alert: PostedAlert, sender: str, previous: State | None, ended: Ended | None, now: float) -> bool:
    began = alert.started_at
    if ended is None or began is None or began > ended.started_at:
        return False
    if previous and previous.phase == "firing":
        return began < _start(previous)  # of the run before the one that is remembered
    return sender not in ended.senders and now - ended.ended_at < LATE_SECONDS


def _end(alert: PostedAlert, sender: str, change: Change | None, ended: Ended | None, now: float) -> Ended | None:
    """What is to be remembered of the end of a run; nothing of a run that was not remembered itself."""
    if alert.started_at is None:
        return None
    if change and change.previous:
        began = max(alert.started_at, _start(change.previous))
        return Ended(began, now if alert.ended_at is None else min(alert.ended_at, now), frozenset({sender}))
    if ended and alert.started_at <= ended.started_at and len(ended.senders) < _MOST_SENDERS:
        return replace(ended, senders=ended.senders | {sender})
    return None


def _firing(alert: PostedAlert, key: AlertKey, rule: Rule, previous: State | None, now: float) -> Change:
    known = previous if previous and previous.phase == "firing" else None
    again = known is not None and not _is_next_run(alert, known)
    return Change(
        rule=rule,
        key=key,
        previous=previous,
        state=_seen_again(alert, rule, known, now) if known and again else _begun(alert, rule, now),
        transition=None if again else "fired",
        reason="superseded" if known and not again else "posted_firing",
        value=alert.value,
        at=now,
    )


def _begun(alert: PostedAlert, rule: Rule, now: float) -> State:
    start = now if alert.started_at is None else alert.started_at
    value = math.nan if alert.value is None else alert.value
    return State(phase="firing", active_at=min(start, now) - rule.for_, fired_at=start, value=value, seen_at=now)


def _is_next_run(alert: PostedAlert, known: State) -> bool:
    start = alert.started_at
    return start is not None and start > max(_start(known) + DISAGREE_SECONDS, known.seen_at - LATE_SECONDS)


def _seen_again(alert: PostedAlert, rule: Rule, known: State, now: float) -> State:
    start = alert.started_at
    if start is None or start >= _start(known):
        return replace(known, seen_at=now)
    return replace(known, active_at=min(start, now) - rule.for_, fired_at=start, seen_at=now)


def _start(state: State) -> float:
    """``startsAt`` of the run, as it was posted."""
    return state.active_at if state.fired_at is None else state.fired_at


def _resolved(alert: PostedAlert, key: AlertKey, rule: Rule, previous: State | None, now: float) -> Change | None:
    if previous is None or _is_stale(alert, previous):
        return None
    return Change(
        rule=rule,
        key=key,
        previous=previous,
        state=None,
        transition="resolved" if previous.phase == "firing" else None,
        reason="posted_resolved",
        value=None,
        at=now,
    )


def _is_stale(alert: PostedAlert, previous: State) -> bool:
    began, ended = alert.started_at, alert.ended_at
    start = _start(previous)
    return began is not None and ended is not None and began < start and ended <= start
