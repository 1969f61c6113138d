"""One post of Alertmanager: what it changes in what we remember. Pure: no clock, no disk, no network.

A post is the state of some alerts, sent again by retries, by each peer of a cluster and every ``repeat_interval``.
Only a difference to what is remembered is news.

===========  ==================================  =============================
remembered   posted as firing                    posted as resolved
===========  ==================================  =============================
nothing      fired (1)                           nothing
firing       nothing; an earlier start wins      resolved (2)
===========  ==================================  =============================

1. Unless it is a late copy, see below.
2. Unless what it says ended before the run that is remembered began, or the same post holds the alert as firing too
   (its rule changed its severity meanwhile).

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
from alerts.prometheus_rules import WATCHDOG
from alerts.rule import Rule
from alerts.state import AlertKey, State
from alerts.webhook import Post, PostedAlert

LATE_SECONDS = 30.0
"""The third peer of a cluster waits that long before it posts (Alertmanager: 15 s for each peer before it)."""

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
    if (
        previous and previous.phase == "firing"
    ):  # nothing can be missed; only the run that is remembered may not get the start of the one before
        return began < previous.active_at
    return sender not in ended.senders and now - ended.ended_at < LATE_SECONDS


def _end(alert: PostedAlert, sender: str, change: Change | None, ended: Ended | None, now: float) -> Ended | None:
    """What is to be remembered of the end of a run; nothing of a run that was not remembered itself."""
    if alert.started_at is None:
        return None
    if change and change.previous:
        began = max(alert.started_at, change.previous.active_at)
        return Ended(began, now if alert.ended_at is None else min(alert.ended_at, now), frozenset({sender}))
    if ended and alert.started_at <= ended.started_at and len(ended.senders) < _MOST_SENDERS:
        return replace(ended, senders=ended.senders | {sender})
    return None


def _firing(alert: PostedAlert, key: AlertKey, rule: Rule, previous: State | None, now: float) -> Change | None:
    began = now if alert.started_at is None else min(alert.started_at, now)
    value = alert.value
    known = previous if previous and previous.phase == "firing" else None
    if known is None:
        number = math.nan if value is None else value
        state = State(phase="firing", active_at=began, fired_at=began, value=number, seen_at=now)
    elif alert.started_at is not None and began < known.active_at:
        state = replace(known, active_at=began, fired_at=began)
    else:
        return None
    return Change(
        rule=rule,
        key=key,
        previous=previous,
        state=state,
        transition=None if known else "fired",
        reason="posted_firing",
        value=value,
        at=now,
    )


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
    return began is not None and ended is not None and began < previous.active_at and ended <= previous.active_at
