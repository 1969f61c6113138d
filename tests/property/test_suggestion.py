"""Whatever fires, and whatever its labels hold, the suggested override can be pasted and does what it says."""

import math
import re
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alerts.rule import labels_of
from alerts.rules import SHIPPED, rules_of
from alerts.series import label_set
from alerts.suggestion import suggestion
from gpuwarden.documents import parse

MORE = """
rules:
  - {alert: "Yes", metric: gpu_temperature_celsius, above: 85, severity: info, summary: s}
  - {alert: Slow, metric: model_request_duration_seconds, above: 1, quantile: 0.9, over: {increase: 10m},
     severity: info, summary: s}
  - {alert: Filling, metric: host_filesystem_used_ratio, above: 0.95, predict: 4h, severity: info, summary: s}
  - {alert: Xid, metric: gpu_xid_last_timestamp_seconds, within: 10m, severity: info, summary: s}
  - {alert: Gone, metric: gpu_info, absent: true, severity: info, summary: s}
  - {alert: Idle, metric: gpu_utilization_ratio, below: 0.1, clear: 0.2, severity: info, summary: s}
  - {alert: Process, metric: gpu_process_memory_used_bytes, above: 1000000000, clear: 500000000,
     severity: info, summary: s}
  - {alert: Budget, metric: gpu_workload_memory_budget_used_ratio, above: 1.1, severity: info, summary: s}
  - {alert: Foreign, metric: node_load1, unit: count, above: 8, severity: info, summary: s}
  - {alert: Asked, expr: "vector(1)", severity: info, summary: s}
"""
DOCUMENTS = [parse(SHIPPED.read_text("utf-8"), "rules.yml"), parse(MORE, "more.yml")]
RULES = rules_of(DOCUMENTS)
SIMPLE = st.text("abcxyz/-_.:0189 ", min_size=1, max_size=20)
NASTY = st.text(
    st.characters() | st.sampled_from("\"'\\\n\r\t{}[]#:,&*!|>%@`=~ \u2028\x85\x7f\ufffd\u200d"), max_size=20
) | st.sampled_from(["=~.*", "!x", "=~", "!", "a: b", "'\"", "- a", "null", "~", "0x1f", "1e3", "{{ gpu }}", "\ud800"])
VALUES = st.none() | st.floats() | st.floats(0, 1) | st.sampled_from([0.0, 0.9, 0.961, 0.97, 0.985, 0.99, 1.0, 88.0])
NAMES = st.sampled_from(["on", "yes", "null", "mode", "pid", "job", "instance", "x-y", "café"])


@st.composite
def alerts(draw, texts):
    rule = draw(st.sampled_from(RULES))
    names = labels_of(rule.metric) or tuple(draw(st.lists(NAMES, unique=True)))
    if rule.comparison == "absent":
        names = ("job", "instance")
    labels = {name: draw(texts) for name in names}
    labels |= {matcher.label: matcher.value for matcher in rule.where if matcher.operator == "="}
    assume(rule.covers(labels))
    return rule, label_set(labels), draw(VALUES)


def loaded(text):
    return rules_of([*DOCUMENTS, parse(text, "own.yml")])


@settings(max_examples=300, deadline=None)
@given(alerts(SIMPLE | NASTY))
def test_it_loads_and_the_rule_does_not_hold_any_more(alert):
    """What the mail says to paste would be refused, would leave the alert firing, or would quiet another card."""
    rule, labels, value = alert
    text = suggestion(rule, labels, value)
    if not text:
        return
    assert not re.search(r"[{ ]pid:", text)
    rules = loaded(text)
    now = [found for found in rules if found.alert == rule.alert and found.covers(dict(labels))]
    if "    enabled: false" in text.splitlines():
        assert not now or rule.comparison == "absent"
    else:
        (found,) = now
        assert value is not None
        assert not found.holds(value, firing=False)
        assert not found.holds(value, firing=True)
        assert math.isfinite(found.threshold)
        assert found.unit != "ratio" or 0 < found.threshold < 1
    if not rule.expr:
        asked = {matcher.label for matcher in rule.where}
        elsewhere = label_set({name: label if name in asked else f"{label}x" for name, label in labels})
        same = [found for found in rules if found.alert == rule.alert and found.covers(dict(elsewhere))]
        assert [replace(found, unless=()) for found in same] == [rule]


@settings(max_examples=200, deadline=None)
@given(alerts(st.text("abcxyz/-_.:0189", min_size=1)))
def test_plain_labels_always_get_one(alert):
    """The mail that people want to switch off most would say nothing of how."""
    rule, labels, value = alert
    if (rule.expr or labels_of(rule.metric)) and not rule.skip_when.startswith("Never"):
        assert suggestion(rule, labels, value).startswith("rules:\n  - override: ")
