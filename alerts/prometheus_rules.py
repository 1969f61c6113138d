"""Rules as a Prometheus rule file, so that Prometheus judges them as ``evaluator`` does.

Each rule is one alerting rule; the parts into which overrides split an alert are several of one name. The expression
has up to three parts, joined by ``or``. READING is the rule's series; FIRING is what of this rule fires since the last
evaluation, under the labels of its series:

1. ``READING > threshold``: the condition.
2. ``READING > clear and FIRING``: hysteresis, on the full identity of a series, since two hosts both have a GPU 0.
3. ``FIRING * NaN unless READING == READING and on (job, instance) up``: unknown is not resolved. While a firing
   alert's series is missing (a stale marker: its target failed, its card vanished) or is not a number, it is held, and
   its value is NaN: the last number would be a lie. ``up`` lasts as long as a target is configured, so what watched a
   machine that was taken away ends with it.

FIRING is ``ALERTS``, which Prometheus writes for each alert at each evaluation and ends with a stale marker. It carries
the alert's own labels too; they are taken off. A metric with a label of the same name (``severity`` of
gpu_ecc_errors_total) would lose it to the alert's, so that one is called ``exported_severity`` throughout.

A rule on ``up``, which every scrape of any job writes, means the job ``gpuwarden`` unless its ``where`` names a job:
the same targets as without Prometheus.

Where the meaning differs from the evaluator's, on purpose or of necessity:

- A sample that is merely missing, without a stale marker, is bridged by Prometheus for its lookback (5 minutes); here
  it is unknown at once. Scraping writes markers.
- A target that is no longer configured, or a rule that changed so that a series is not its own any more, ends an alert
  with ``resolved``; here it ends in silence.
- ALERTS has no memory beyond the lookback: after a stop of Prometheus of more than 5 minutes a held alert is forgotten,
  and an alert between ``clear`` and the threshold must pass the threshold anew. After a shorter one an alert is first
  pending again; ``--rules.alert.for-grace-period=0s`` restores it for any ``for``.
- Labels are the series' own with the rule's ``severity``, which the identity here does not hold.

promtool's lint calls rules of one name and severity duplicates. It means recording rules; these judge disjoint series.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from alerts.matchers import Matcher, Operator
from alerts.prometheus_texts import HEADER, annotations
from alerts.promql import WATCHDOG, selected, selector
from alerts.rule import Rule
from alerts.rule_checks import labels_of
from alerts.scrape import JOB
from gpuwarden.catalog import SCRAPE_ROWS
from gpuwarden.units import format_duration

_OPERATORS = {"above": ">", "below": "<", "equals": "=="}
_INVERSE: dict[Operator, Operator] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
_ALERT_LABELS = ("alertname", "alertstate", "severity")
_ONE_LINE = 100_000
"""Characters: texts are not folded."""
_BY_SCRAPER = frozenset(row.name for row in SCRAPE_ROWS)


def rule_file(rules: Sequence[Rule]) -> str:
    """The rule file for ``rules``, in their order, as YAML; the same rules give the same text."""
    alerts = [_alert(rule) for rule in rules]
    if all(rule.alert != WATCHDOG for rule in rules):
        alerts.insert(0, _watchdog())
    groups = {"groups": [{"name": "gpuwarden", "rules": alerts}]}
    return HEADER + yaml.dump(groups, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE)


def expression(rule: Rule) -> str:
    """The rule's condition in PromQL; see the top of this file."""
    metric, firing, operator = _freed(rule, selector(rule.metric, ())), _firing(rule), _OPERATORS[rule.comparison]
    parts = [f"{_reading(rule)} {operator} {_number(rule.threshold)}"]
    if rule.clear is not None and rule.clear != rule.threshold:
        parts.append(f"({metric} {operator} {_number(rule.clear)}\n  and {_without_own_labels(firing)})")
    if rule.metric not in _BY_SCRAPER:
        held = f"{_without_own_labels(f'{firing} * NaN')}\n  unless {metric} == {metric}"
        parts.append(f"({held}\n  and on (job, instance) up)")
    return "\nor\n".join(parts)


def _alert(rule: Rule) -> dict[str, Any]:
    times = {"for": rule.for_, "keep_firing_for": rule.keep_firing_for}
    return {
        "alert": rule.alert,
        "expr": expression(rule),
        **{key: format_duration(seconds) for key, seconds in times.items() if seconds},
        "labels": {"severity": rule.severity},
        "annotations": annotations(rule, {label: _exported(rule, label) for label in _ALERT_LABELS}),
    }


def _watchdog() -> dict[str, Any]:
    return {
        "alert": WATCHDOG,
        "expr": "vector(1)",
        "labels": {"severity": "none"},
        "annotations": {"summary": "Alerts get from Prometheus to the alerter; this one always fires"},
    }


def _reading(rule: Rule) -> str:
    """The series that the rule judges; elsewhere in the expression FIRING picks them out of the whole metric."""
    where = rule.where
    if rule.metric in _BY_SCRAPER and all(matcher.label != "job" for matcher in where):
        where = (*where, Matcher("job", "=", JOB))
    return _freed(rule, _series(rule.metric, where, rule.unless))


def _freed(rule: Rule, series: str) -> str:
    """The series, with other names for those of their labels that the alert needs for itself."""
    taken = _taken(rule)
    for label in taken:
        series = f'label_replace({series}, "exported_{label}", "$1", "{label}", "(.+)")'
    return f"max without ({', '.join(taken)}) ({series})" if taken else series


def _firing(rule: Rule) -> str:
    """The series for which this rule, and not another of the same name, fired at the last evaluation."""
    mine = (Matcher("alertname", "=", rule.alert), Matcher("alertstate", "=", "firing"))
    where = (*mine, *_renamed(rule, rule.where))
    return _series("ALERTS", where, [_renamed(rule, group) for group in rule.unless])


def _without_own_labels(alerts: str) -> str:
    """Under the labels of their series."""
    return f"max without ({', '.join(_ALERT_LABELS)}) ({alerts})"


def _series(name: str, where: Iterable[Matcher], unless: Iterable[Sequence[Matcher]]) -> str:
    """A selector; a group of one matcher is turned round, a longer one is taken away."""
    groups = [tuple(group) for group in unless]
    turned = (
        Matcher(group[0].label, _INVERSE[group[0].operator], group[0].value) for group in groups if len(group) == 1
    )
    base = (*where, *turned)
    others = [selector(name, (*base, *group)) for group in groups if len(group) > 1]
    return selected([selector(name, base), *others])


def _taken(rule: Rule) -> tuple[str, ...]:
    """Labels of the metric that the alert needs for itself; of another exporter's metric, what it may well have."""
    labels = labels_of(rule.metric) or ("severity",)
    return tuple(label for label in _ALERT_LABELS if label in labels)


def _exported(rule: Rule, label: str) -> str:
    return f"exported_{label}" if label in _taken(rule) else label


def _renamed(rule: Rule, matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
    return tuple(Matcher(_exported(rule, found.label), found.operator, found.value) for found in matchers)


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as such."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)  # pyright: ignore[reportUnknownMemberType] -- stubs


_Dumper.add_representer(str, _text)
