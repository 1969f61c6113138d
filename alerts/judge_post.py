"""One post of Alertmanager: what it changes in what we remember. Pure: no clock, no disk, no network.

A post is the state of some alerts, sent again by retries, by each peer of a cluster and every ``repeat_interval``.
Only a difference to what is remembered is news.

===========  ==================================  =============================
remembered   posted as firing                    posted as resolved
===========  ==================================  =============================
nothing      fired (1)                           nothing
firing       nothing; an earlier start wins      resolved (2)
===========  ==================================  =============================

1. Unless it is a late copy: this run of the alert, or a later one, was posted as resolved within the last minutes.
2. Unless what it says ended before the run that is remembered began.

An alert that a post does not name is left as it is: payloads are cut off, and groups are posted one by one.

The identity is that of the embedded mode, so that both remember and read the same: the alert's name and the labels of
its series, without the rule's ``severity``. Where our rule file had to rename a label of the series
(``exported_severity``), its own name comes back. An alert that no rule of ours knows keeps its ``severity`` in the
identity: elsewhere one name often stands for a warning and a critical alert on the same series.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alerts.clean_text import one_line
from alerts.judge import Change
from alerts.prometheus_rules import WATCHDOG
from alerts.rule import Rule
from alerts.series import LabelSet, label_set
from alerts.state import AlertKey, State
from alerts.webhook import Post, PostedAlert

LATE_SECONDS = 300.0
"""Alertmanager's clients send a resolved alert again for that long; no older copy than that is still on its way."""

_ALERT_LABELS = ("alertname", "alertstate", "severity")
_SEVERITIES = ("critical", "warning", "info")
_LONGEST_NAME, _LONGEST_TEXT = 200, 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that was posted as resolved: when it had begun, and when we heard of its end (Unix seconds)."""

    started_at: float
    heard_at: float


def judge_post(
    post: Post, rules: Sequence[Rule], states: Mapping[AlertKey, State], ended: Mapping[AlertKey, Ended], now: float
) -> tuple[list[Change], dict[AlertKey, Ended]]:
    """The changes that follow from ``post``, at most one for each alert, and the runs that it says are over.

    ``now`` in Unix seconds.
    """
    changes: dict[AlertKey, Change] = {}
    over: dict[AlertKey, Ended] = {}
    for alert in post.alerts:
        if alert.alertname == WATCHDOG:
            continue
        key, rule = _identify(alert, rules, states)
        if alert.status == "resolved":
            change = _resolved(alert, key, rule, states.get(key), now)
            if alert.started_at is not None:
                before = ended[key].started_at if key in ended else alert.started_at
                over[key] = Ended(max(alert.started_at, before), now)
        else:
            late = _is_late(alert, ended.get(key), now)
            change = None if late else _firing(alert, key, rule, states.get(key), now)
        if change:
            changes[key] = change
    return list(changes.values()), over


def find_rule(rules: Sequence[Rule], alertname: str, labels: Mapping[str, str]) -> Rule | None:
    """The rule of this name that covers the series; of several that do not, the first. None for an unknown name."""
    named = [rule for rule in rules if rule.alert == alertname]
    return next((rule for rule in named if rule.covers(labels)), named[0] if named else None)


def _identify(alert: PostedAlert, rules: Sequence[Rule], states: Mapping[AlertKey, State]) -> tuple[AlertKey, Rule]:
    """The alert's identity and its rule, made up from the annotations where we have none of that name."""
    own = _series_labels(alert.labels)
    rule = find_rule(rules, alert.alertname, dict(own))
    severity = dict(alert.labels).get("severity", "")
    known, foreign = AlertKey(alert.alertname, own), AlertKey(alert.alertname, alert.labels)
    first, second = (known, foreign) if rule else (foreign, known)
    # The rules may have come or gone since it fired.
    key = second if second in states and first not in states else first
    if rule is None:
        return key, _foreign_rule(alert, severity)
    return key, replace(rule, severity=severity) if severity in _SEVERITIES else rule


def _series_labels(labels: LabelSet) -> LabelSet:
    given = dict(labels)
    series = {name: value for name, value in given.items() if name not in _ALERT_LABELS}
    for name in _ALERT_LABELS:
        if f"exported_{name}" in series:
            series[name] = series.pop(f"exported_{name}")
    return label_set(series)


def _foreign_rule(alert: PostedAlert, severity: str) -> Rule:
    """What the mail needs of an alert that is not ours: no metric and no threshold, which we cannot know."""
    name = one_line(alert.alertname, _LONGEST_NAME)
    summary, description = (_plain(alert.annotations.get(key, "")) for key in ("summary", "description"))
    return Rule(
        alert=name,
        metric="",
        unit="count",
        comparison="above",
        threshold=math.nan,
        severity=severity if severity in _SEVERITIES else "warning",
        summary=summary or description or _plain(name),
        action=description if summary else "",
    )


def _plain(text: str) -> str:
    """A text that holds no placeholders: Prometheus has put everything in already."""
    return one_line(text, _LONGEST_TEXT).replace("{{", "{ {")


def _is_late(alert: PostedAlert, ended: Ended | None, now: float) -> bool:
    return (
        ended is not None
        and alert.started_at is not None
        and alert.started_at <= ended.started_at
        and now - ended.heard_at < LATE_SECONDS
    )


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
