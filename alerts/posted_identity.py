"""Which alert of ours a posted alert is, and by which rule it reads. Pure.

The identity is that of the embedded mode, so that both remember and read the same: the alert's name and the labels of
its series, without the rule's ``severity`` and ``labels``; the latter go by name, since their texts may have changed
while the alert fired. Where our rule file had to rename a label of the series (``alert_labels``), its own name comes
back. An alert that no rule of ours knows keeps its ``severity`` in the identity: elsewhere one name often stands for a
warning and a critical alert on the same series.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from alerts.alert_labels import of_series
from alerts.clean_text import one_line
from alerts.notify.notification import Severity
from alerts.rule import Rule
from alerts.series import LabelSet
from alerts.state import AlertKey, State
from alerts.webhook import PostedAlert

_SEVERITIES = ("critical", "warning", "info")
_LONGEST_NAME, _LONGEST_TEXT = 200, 1000


def find_rule(rules: Sequence[Rule], alertname: str, labels: Mapping[str, str]) -> Rule | None:
    """The rule of this name that covers the series; of several that do not, the first. None for an unknown name."""
    named = [rule for rule in rules if rule.alert == alertname]
    return next((rule for rule in named if rule.covers(labels)), named[0] if named else None)


def identify(alert: PostedAlert, rules: Sequence[Rule], states: Mapping[AlertKey, State]) -> tuple[AlertKey, Rule]:
    """The alert's identity and its rule, made up from the annotations where we have none of that name."""
    rule, own = _rule_and_series(rules, alert)
    severity = dict(alert.labels).get("severity", "")
    known, foreign = AlertKey(alert.alertname, own), AlertKey(alert.alertname, alert.labels)
    first, second = (known, foreign) if rule else (foreign, known)
    # The rules may have come or gone since it fired.
    key = second if second in states and first not in states else first
    if rule is None:
        return key, _foreign_rule(alert, severity)
    return key, replace(rule, severity=severity) if severity in _SEVERITIES else rule


def _rule_and_series(rules: Sequence[Rule], alert: PostedAlert) -> tuple[Rule | None, LabelSet]:
    """The rule and the labels of its series: what a rule of this name adds is taken off before it is asked."""
    named = [(rule, of_series(rule, alert.labels)) for rule in rules if rule.alert == alert.alertname]
    found = next(((rule, own) for rule, own in named if rule.covers(dict(own))), None)
    return found or (named[0] if named else (None, of_series(None, alert.labels)))


def _foreign_rule(alert: PostedAlert, severity: str) -> Rule:
    """What the mail needs of an alert that is not ours: no metric and no threshold, which we cannot know."""
    summary, description = (_plain(alert.annotations.get(key, "")) for key in ("summary", "description"))
    found: Severity = severity if severity in _SEVERITIES else "warning"
    words = summary or description or _plain(one_line(alert.alertname, _LONGEST_NAME))
    return rule_from_words(alert.alertname, found, words, description if summary else "")


def rule_from_words(alertname: str, severity: Severity, summary: str, action: str) -> Rule:
    """A rule of which only the words are known."""
    return Rule(
        alert=one_line(alertname, _LONGEST_NAME),
        metric="",
        unit="count",
        comparison="above",
        threshold=math.nan,
        severity=severity,
        summary=summary,
        action=action,
    )


def _plain(text: str) -> str:
    """A text that holds no placeholders: Prometheus has put everything in already."""
    return one_line(text, _LONGEST_TEXT).replace("{{", "{ {")
