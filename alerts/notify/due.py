"""When people are told, and what: pure, from one round's changes to notifications.

An alert that fired is told once (reason ``first``); that it is over is told once (``resolved``) under the same
incident. Everything else (waiting, held, unknown, a rule or target that was taken away) is silent. Names, holders and
the mark of simulation come from the scrapes that decided, so that a mail says what was true then. Where Alertmanager
decided there are none; ``with_evidence`` puts in afterwards what Prometheus knows. Host and mark are remembered from
the firing to the end, which is often told when nobody can be asked any more.

Texts from outside (labels of any exporter, process names) are made harmless here: control and direction characters go,
long ones are cut.
"""

import base64
import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from alerts.clean_text import one_line
from alerts.history import series_names
from alerts.judge import Change
from alerts.notify.notification import Holder, Notification, Reason
from alerts.placeholders import substitute
from alerts.rule import Rule
from alerts.series import Scrape
from gpuwarden.units import format_value

MOST_HOLDERS = 20
LONGEST_LABEL = 200

IDENTITY_METRICS = frozenset({"host_info", "gpuwarden_exporter_simulated"})
"""What says who a target is: true of it also while it does not answer."""

EVIDENCE_METRICS = IDENTITY_METRICS | {"gpu_process_memory_used_bytes"}
"""What mails need besides the rules' own metrics."""

_HOLDER_LABELS = ("pid", "process", "user", "container")
_REASONS: Mapping[str, Reason] = {"fired": "first", "resolved": "resolved"}


def wanted_metrics(rules: Iterable[Rule]) -> frozenset[str]:
    """The names that a scrape must keep for these rules and their mails."""
    return EVIDENCE_METRICS.union(*(series_names(rule.metric, rule.window) for rule in rules if rule.metric))


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
) -> tuple[list[Notification], list[Change]]:
    """Decide what to tell whom.

    ``scrapes`` are those that the changes were judged on; a failed one may hold the target's IDENTITY_METRICS.
    ``simulated`` says that everything is. Returns the notifications and all changes, in order; the state of an alert
    that fired now carries its incident, its host and the mark of simulation.
    """
    by_instance = {(scrape.job, scrape.instance): scrape for scrape in scrapes}
    told: list[Notification] = []
    after: list[Change] = []
    for change in changes:
        kept = change
        if change.transition and change.rule:
            labels = dict(change.key.labels)
            scrape = by_instance.get((labels.get("job", ""), labels.get("instance", "")))
            identity = new_id()
            mark = simulated or _simulated(scrape) or bool(change.previous and change.previous.simulated)
            notification = _notification(change, change.rule, scrape, tuple(recipients), identity)
            told.append(replace(notification, simulated=mark))
            if change.state:
                state = replace(change.state, incident=identity, simulated=mark, host=_host(scrape))
                kept = replace(change, state=state)
        after.append(kept)
    return told, after


def _notification(
    change: Change, rule: Rule, scrape: Scrape | None, recipients: tuple[str, ...], identity: str
) -> Notification:
    told_of = change.previous if change.transition == "resolved" else change.state
    incident = (told_of.incident if told_of else "") or identity
    labels = {name: one_line(value, LONGEST_LABEL) for name, value in change.key.labels}
    host = _host(scrape) or (told_of.host if told_of else "") or labels.get("instance", "")
    # Without a reading of its end, a resolved alert is named as it was when it fired.
    known = told_of.value if change.value is None and told_of and change.transition == "resolved" else change.value
    summary, action = texts(rule, known, host, labels)
    return Notification(
        id=identity,
        incident=incident,
        root=incident,
        reason=_REASONS[change.transition or "fired"],
        at=change.at,
        started_at=told_of.active_at if told_of else change.at,
        alertname=rule.alert,
        severity=rule.severity,
        labels=tuple(sorted(labels.items())),
        metric=rule.metric,
        unit=rule.unit,
        comparison=rule.comparison,
        threshold=rule.threshold,
        value=change.value,
        summary=summary,
        action=action,
        host=host,
        recipients=recipients,
        holders=tuple(_holders(scrape, dict(change.key.labels).get("uuid", ""))),
    )


def with_evidence(notification: Notification, scrape: Scrape, rule: Rule | None) -> Notification:
    """Put in what is true now: holders, host, the mark of simulation and, when resolved, the value.

    ``scrape`` holds what is known of the alert's target; ``rule`` is the alert's, for the texts to name the host.
    """
    labels = dict(notification.labels)
    host = _host(scrape) or notification.host
    value = notification.value
    if value is None and notification.reason == "resolved":
        value = _reading(scrape, notification)
    known = replace(
        notification,
        host=host,
        value=value,
        holders=tuple(_holders(scrape, labels.get("uuid", ""))),
        simulated=notification.simulated or _simulated(scrape),
    )
    if rule is None or (value is None and notification.reason == "resolved"):
        return known
    rule = replace(rule, threshold=notification.threshold, unit=notification.unit)
    summary, action = texts(rule, value, host, labels)
    return replace(known, summary=summary, action=action)


def texts(rule: Rule, value: float | None, host: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """The rule's summary and action about one series; ``value`` None or NaN reads "unknown"."""
    words = {
        **labels,
        "host": host,
        "value": "unknown" if value is None or math.isnan(value) else format_value(value, rule.unit),
        "threshold": format_value(rule.threshold, rule.unit),
    }
    return substitute(rule.summary, words).strip(), substitute(rule.action, words).strip()


def _reading(scrape: Scrape, notification: Notification) -> float | None:
    """The one value of the alert's series; the alert may carry more labels than the series (external_labels)."""
    own = set(notification.labels)
    found = [
        sample.value
        for sample in scrape.samples.get(notification.metric, ())
        if {(name, one_line(value, LONGEST_LABEL)) for name, value in sample.labels} <= own
    ]
    return found[0] if len(found) == 1 and not math.isnan(found[0]) else None


def _host(scrape: Scrape | None) -> str:
    for sample in scrape.samples.get("host_info", ()) if scrape else ():
        return one_line(dict(sample.labels).get("hostname", ""), LONGEST_LABEL)
    return ""


def _simulated(scrape: Scrape | None) -> bool:
    return (
        any(sample.value == 1 for sample in scrape.samples.get("gpuwarden_exporter_simulated", ())) if scrape else False
    )


def _holders(scrape: Scrape | None, uuid: str) -> Iterator[Holder]:
    samples = scrape.samples.get("gpu_process_memory_used_bytes", ()) if scrape and uuid else ()
    held = [(sample.value, dict(sample.labels)) for sample in samples if math.isfinite(sample.value)]
    mine = [(size, labels) for size, labels in held if labels.get("uuid") == uuid]
    for size, labels in sorted(mine, key=lambda item: -item[0])[:MOST_HOLDERS]:
        words = {name: one_line(labels.get(name, ""), LONGEST_LABEL) for name in _HOLDER_LABELS}
        yield Holder(memory_bytes=size, **words)
