"""What the labels of a series are called in its alert under Prometheus, and back again. Pure.

An alert has labels of its own: its name, its state, its severity and what its rules add. A label of the series that is
called like one of them goes to ``exported_NAME`` (as Prometheus does with a target's labels), and one that is called so
already to ``exported_exported_NAME``. Of a metric of ours the labels are known; another exporter's may have any, so
that each of the alert's own is expected there. A rule on what is absent judges targets, which have no such label, and
what an ``expr`` yields is nobody's to rename.

Without Prometheus an alert is remembered under the labels of its series as they are. Whatever goes from one side to the
other goes through here: the generated expressions and inhibitions, what Alertmanager posts, what is listed.
"""

from collections.abc import Iterable

from alerts.notify.notification import Comparison
from alerts.rule import Rule, labels_of
from alerts.series import LabelSet, label_set

ALERT_LABELS = ("alertname", "alertstate", "severity")
"""What ALERTS has besides the series' labels and those that a rule adds."""

EXPORTED = "exported_"


def own_labels(rule: Rule) -> tuple[str, ...]:
    """The labels that the alert has for itself, on whatever series."""
    return (*ALERT_LABELS, *(name for name, _ in rule.labels), *rule.other_labels)


def renamed(rule: Rule) -> dict[str, str]:
    """What is called otherwise in the alert: its name there by its name in the series, in the order of renaming."""
    if rule.expr or rule.comparison == "absent":
        return {}
    labels = labels_of(rule.metric)
    if labels is not None:
        return {name: f"{EXPORTED}{name}" for name in own_labels(rule) if name in labels}
    return _names(own_labels(rule))


def renamed_beside(metric: str, comparison: Comparison) -> dict[str, str]:
    """The same of labels as ``beside`` gives them, without the rule; ``metric`` is empty where that has an ``expr``."""
    if not metric or comparison == "absent":
        return {}
    labels = labels_of(metric)
    names = _names(ALERT_LABELS)
    return names if labels is None else {name: new for name, new in names.items() if name in labels}


def in_alert(rule: Rule, labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The labels of the alert of a series, without its name."""
    names = renamed(rule)
    series = {names.get(name, name): text for name, text in labels}
    return {**series, **dict(rule.labels), "severity": rule.severity}


def beside(rule: Rule, labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The labels of a series, under their own names, and what the rule adds; where both have one, both are there."""
    added = dict(rule.labels)
    return {**{(f"{EXPORTED}{name}" if name in added else name): text for name, text in labels}, **added}


def of_series(rule: Rule | None, labels: Iterable[tuple[str, str]]) -> LabelSet:
    """The labels of the series of an alert; without its rule, as a rule on it would have named them."""
    names = {new: old for old, new in (renamed(rule) if rule else _names(ALERT_LABELS)).items()}
    own = own_labels(rule) if rule else ALERT_LABELS
    return label_set({names.get(name, name): text for name, text in labels if name not in own})


def _names(own: Iterable[str]) -> dict[str, str]:
    """The longer ones first: what is to be called so must find the name free."""
    return {f"{more}{name}": f"{more}{EXPORTED}{name}" for more in (EXPORTED, "") for name in own}
