"""Rule tests for promtool, so that Prometheus itself says whether the generated rules fire as the test says. Pure.

Every step is asserted for each alert that a test names. promtool compares all series on which an alert fires, so the
series that the test does not mean are asserted as the alerter's own judge found them. A series that is gone is written
as a scrape would leave it: stale, not merely missing.

promtool also compares every annotation, and these hold numbers that Prometheus prints; the tests are for the rule file
``without_annotations``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from alerts.alert_labels import in_alert
from alerts.prometheus_texts import HEADER, ONE_LINE
from alerts.rule import Rule
from alerts.rule_test import Expectation, RuleTest, Series
from alerts.rule_test_values import written
from alerts.rule_tests import Fires
from alerts.series import LabelSet
from alerts.series_text import series_text
from gpuwarden.units import format_duration

RULE_FILE = "gpuwarden.rules.yml"


def promtool_document(tests: Sequence[tuple[RuleTest, Fires]], rules: Sequence[Rule]) -> str:
    """The tests of one file, each with what the judge found, as a promtool unit test of ``RULE_FILE``."""
    document = {
        "rule_files": [RULE_FILE],
        "evaluation_interval": format_duration(tests[0][0].interval),
        "tests": [_group(test, fires, rules) for test, fires in tests],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=ONE_LINE)


def without_annotations(rule_file: str) -> str:
    """A generated rule file without texts, as these tests need it."""
    document = yaml.safe_load(rule_file)
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=ONE_LINE)


def _group(test: RuleTest, fires: Fires, rules: Sequence[Rule]) -> dict[str, Any]:
    return {
        "name": test.name,
        "interval": format_duration(test.interval),
        "input_series": [_input(series, test.series) for series in test.series],
        "alert_rule_test": [
            {"eval_time": format_duration(now), "alertname": alert, "exp_alerts": _expected(shown, step)}
            for alert, shown in _shown(test, fires, rules).items()
            for step, now in enumerate(test.times)
        ],
    }


def _input(series: Series, others: Iterable[Series]) -> dict[str, str]:
    up = next(other.values for other in others if other.metric == "up" and other.target == series.target)
    values = [
        value if series.metric == "up" or answered else None for value, answered in zip(series.values, up, strict=True)
    ]
    return {"series": series_text(series.metric, dict(series.labels)), "values": written(values)}


_Shown = tuple[dict[str, str], tuple[bool, ...]]
"""An alert's labels in Prometheus, and at which steps it fires."""


def _shown(test: RuleTest, fires: Fires, rules: Sequence[Rule]) -> Mapping[str, list[_Shown]]:
    found: dict[str, list[_Shown]] = {one.alert: [] for one in test.firing}
    for one in test.firing:
        if one.only_prometheus:
            found[one.alert].append((_labels(one.alert, one.labels, rules), one.fires))
    for key, judged in fires.items():
        meant: Sequence[Expectation] = test.meaning(key.alertname, key.labels)
        found[key.alertname].append((_labels(key.alertname, key.labels, rules), meant[0].fires if meant else judged))
    return found


def _labels(alert: str, labels: LabelSet, rules: Iterable[Rule]) -> dict[str, str]:
    own = dict(labels)
    rule = next(rule for rule in rules if rule.alert == alert and (rule.expr or rule.covers(own)))
    return in_alert(rule, labels)


def _expected(shown: Iterable[_Shown], step: int) -> list[dict[str, Any]]:
    return [{"exp_labels": labels} for labels, fires in shown if fires[step]]
