"""What is learned of an alert after it was decided, put into its notification. Pure."""

import math
from dataclasses import replace

from alerts.clean_text import one_line
from alerts.notify.due import texts
from alerts.notify.notification import Notification
from alerts.notify.page_facts import LONGEST_LABEL, holders_of, host_of, is_simulated
from alerts.rule import Rule
from alerts.series import Scrape


def with_evidence(notification: Notification, scrape: Scrape, rule: Rule | None) -> Notification:
    """Put in what is true now: holders, host, the mark of simulation and, where it may have changed, the value.

    ``scrape`` holds what is known of the alert's target; ``rule`` is the alert's, for the texts to name the host. The
    series' last value is the alert's number only where the rule compares just that: where it has no ``reading``.
    """
    labels = dict(notification.labels)
    host = host_of(scrape) or notification.host
    value, gone = notification.value, False
    resolved = notification.reason == "resolved"
    outdated = (notification.reason in {"resolved", "repeat"} and value is None) or notification.reason == "lowered"
    if outdated and not notification.reading:
        read = _readings(scrape, notification)
        value = read[0] if len(read) == 1 and not math.isnan(read[0]) else value
        gone = resolved and not read and rule is not None and (rule.ends_when_gone or rule.judges_cards)
    known = replace(
        notification,
        host=host,
        value=value,
        holders=tuple(holders_of(scrape, labels.get("uuid", ""))),
        simulated=notification.simulated or is_simulated(scrape),
        gone=gone,
    )
    if rule is None or (value is None and resolved):
        return known
    rule = replace(rule, threshold=notification.threshold, unit=notification.unit)
    summary, action = texts(rule, value, host, labels)
    return replace(known, summary=summary, action=action)


def _readings(scrape: Scrape, notification: Notification) -> list[float]:
    """The values of the alert's series; the alert may carry more labels than the series (external_labels)."""
    own = set(notification.labels)
    return [
        sample.value
        for sample in scrape.samples.get(notification.metric, ())
        if {(name, one_line(value, LONGEST_LABEL)) for name, value in sample.labels} <= own
    ]
