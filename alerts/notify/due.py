"""What people are told: pure, from one round's changes to notifications.

An alert that fired is told once (reason ``first``); that it is over is told once (``resolved``) under the same
incident, or another alert that is left of it is told in its place (``lowered``): ``mute`` decides which, and ``policy``
what is told beside that. Everything else (waiting, held, unknown, a rule or target that was taken away) is silent.
Names, holders and the mark of simulation come from the scrapes that decided, so that a mail says what was true then.
Where Alertmanager decided there are none; ``with_evidence`` puts in afterwards what Prometheus knows. Host and mark are
remembered from the firing to the end, which is often told when nobody can be asked any more.
"""

import base64
import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from alerts.alert_labels import beside
from alerts.clean_text import one_line
from alerts.history import series_names
from alerts.judge import CARDS, Change
from alerts.notify.mute import Past, Verdict, judged_here
from alerts.notify.notification import AGES, Graver, Notification
from alerts.notify.page_facts import EVIDENCE_METRICS, LONGEST_LABEL, holders_of, host_of, is_simulated
from alerts.placeholders import substitute
from alerts.reading_words import reading_words
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import State
from alerts.suggestion import suggestion
from alerts.worst import has_peak
from gpuwarden.units import format_value


def wanted_metrics(rules: Iterable[Rule]) -> frozenset[str]:
    """The names that a scrape must keep for these rules and their mails."""
    return (EVIDENCE_METRICS | {CARDS}).union(
        *(series_names(rule.metric, rule.window) for rule in rules if rule.metric)
    )


def random_id() -> str:
    """A new notification id: 20 characters of ``[a-z2-7]``, 100 random bits."""
    return base64.b32encode(secrets.token_bytes(13)).decode("ascii").lower()[:20]


def notifications(
    changes: Sequence[Change],
    scrapes: Sequence[Scrape],
    recipients: Sequence[str],
    new_id: Callable[[], str],
    *,
    simulated: bool = False,
    verdicts: Sequence[Verdict] | None = None,
) -> tuple[list[Notification], list[Change]]:
    """Write down what is told to whom.

    ``scrapes`` are those that the changes were judged on; a failed one may hold the target's IDENTITY_METRICS.
    ``simulated`` says that everything is. ``verdicts`` say what each change tells; without them the alerter is its own
    judge and ``changes`` are all alerts. Returns the notifications and all changes, in order; the state of an alert
    that fired or was told now carries its incident, its host and the mark of simulation.
    """
    by_instance = {(scrape.job, scrape.instance): scrape for scrape in scrapes}
    told: list[Notification] = []
    after: list[Change] = []
    for change, verdict in zip(changes, judged_here(changes) if verdicts is None else verdicts, strict=True):
        kept = change
        if change.rule and (change.transition or verdict.tells):
            labels = dict(change.key.labels)
            scrape = by_instance.get((labels.get("job", ""), labels.get("instance", "")))
            mark = simulated or is_simulated(scrape) or _was_simulated(change)
            news: Notification | None = None
            if verdict.tells:
                news = _notification(change, change.rule, scrape, verdict)
                news = _signed(news, new_id(), recipients if verdict.to is None else verdict.to, simulated=mark)
                told.append(news)
            if change.state:
                kept = replace(change, state=_remembered(change.state, scrape, news, simulated=mark))
        after.append(kept)
    return told, after


def _was_simulated(change: Change) -> bool:
    return any(state.simulated for state in (change.previous, change.state) if state)


def _remembered(state: State, scrape: Scrape | None, told: Notification | None, *, simulated: bool) -> State:
    """The state of an alert that fired or is told now: one that was told before keeps its incident."""
    known = replace(state, simulated=simulated, host=host_of(scrape) or state.host)
    if told is None:
        return known
    known = replace(known, told_at=told.at, told_to=tuple(dict.fromkeys((*state.told_to, *told.recipients))))
    return known if state.incident else replace(known, incident=told.id, root="" if told.root == told.id else told.root)


def _root(state: State | None) -> str:
    return (state.root or state.incident) if state else ""


def _signed(notification: Notification, identity: str, recipients: Sequence[str], *, simulated: bool) -> Notification:
    """With its id, which is also that of an incident that it opens."""
    return replace(
        notification,
        id=identity,
        incident=notification.incident or identity,
        root=notification.root or identity,
        recipients=tuple(recipients),
        simulated=simulated,
    )


def _notification(change: Change, rule: Rule, scrape: Scrape | None, verdict: Verdict) -> Notification:
    over, reason, flapped = verdict.over, verdict.tells or "first", verdict.flapped
    told_of = change.previous if change.transition == "resolved" else change.state
    known_as = over.state if over else told_of if reason in {"resolved", "repeat"} else None
    labels = {name: one_line(value, LONGEST_LABEL) for name, value in beside(rule, change.key.labels).items()}
    series = {name: one_line(value, LONGEST_LABEL) for name, value in change.key.labels}
    host = host_of(scrape) or (told_of.host if told_of else "") or labels.get("instance", "")
    # Without a reading now, an alert that people know is named as it was.
    known = told_of.value if change.value is None and told_of and reason in {"resolved", "repeat"} else change.value
    summary, action = texts(rule, known, host, {**labels, **series})
    return Notification(
        id="",
        incident=known_as.incident if known_as else "",
        root=(flapped and flapped.thread) or _root(known_as or verdict.beside),
        reason=reason,
        at=change.at,
        started_at=_started_at(change, told_of, verdict),
        alertname=rule.alert,
        severity=rule.severity,
        labels=tuple(sorted(labels.items())),
        metric=rule.metric,
        unit=rule.unit,
        comparison=rule.comparison,
        threshold=rule.threshold,
        value=_plausible(rule, change.value),
        summary=summary,
        action=action,
        host=host,
        recipients=(),
        holders=tuple(holders_of(scrape, dict(change.key.labels).get("uuid", ""))),
        reading=reading_words(rule),
        graver=_graver(over),
        gone=change.reason == "series_gone",
        peak=told_of.peak if told_of and has_peak(rule.comparison) else None,
        suggestion="" if reason == "resolved" else suggestion(rule, change.key.labels, change.value),
        flaps=flapped.times if flapped else 0,
        flaps_since=flapped.began_at if flapped else 0.0,
        lasting=flapped.lasting if flapped else 0.0,
    )


def _started_at(change: Change, told_of: State | None, verdict: Verdict) -> float:
    if verdict.flapped and verdict.tells == "resolved":
        return verdict.flapped.began_at
    return told_of.active_at if told_of else change.at


def _graver(over: Past | None) -> Graver | None:
    if over is None:
        return None
    return Graver(over.rule.alert, over.rule.severity, over.state.active_at, over.ended_at, over.rule.metric)


def texts(rule: Rule, value: float | None, host: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """The rule's summary and action about one series; ``value`` None or NaN reads "unknown"."""
    value = _plausible(rule, value)
    words = {
        **labels,
        "host": host,
        "value": "unknown" if value is None or math.isnan(value) else format_value(value, rule.unit),
        "threshold": format_value(rule.threshold, rule.unit),
    }
    return substitute(rule.summary, words).strip(), substitute(rule.action, words).strip()


def _plausible(rule: Rule, value: float | None) -> float | None:
    """A clock that is ahead of ours stamps what has not happened yet; an age is 0 then."""
    is_age = rule.comparison in AGES
    return 0.0 if is_age and value is not None and value < 0 else value
