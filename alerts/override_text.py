"""A rule's numbers as an override that changes nothing yet, for people to edit. Pure."""

from collections.abc import Iterator
from typing import Any

import yaml

from alerts.notify.notification import AGES
from alerts.rule import TARGET_LABELS, Rule
from alerts.windows import Over, Predict, Quantile
from gpuwarden.units import format_duration

_EXAMPLES = {"gpu": "1", "mountpoint": "/data", "model": "my-model", "instance": "box:9400", "job": "gpuwarden"}


def override_text(rule: Rule, *, enabled: bool = True) -> str:
    """An override that changes nothing yet, as YAML: every number that may be changed is there."""
    lines = [f"  - override: {rule.alert}"]
    if example := _example(rule):
        lines.append(f"    # where: {example}    # only there; without it, everywhere")
    if not enabled:
        lines.append("    enabled: true")
    lines.extend(f"    {key}: {_scalar(value)}" for key, value in _changeable(rule))
    if enabled:
        lines.append("    # enabled: false    # takes the rule out")
    return "rules:\n" + "\n".join(lines) + "\n"


def _example(rule: Rule) -> str:
    if rule.expr:
        return ""
    labels = rule.series_labels or TARGET_LABELS
    fixed = {matcher.label for matcher in rule.where}
    found = ((label, value) for label, value in _EXAMPLES.items() if label in labels and label not in fixed)
    return next((f'{{{label}: "{value}"}}' for label, value in found), "")


def _changeable(rule: Rule) -> Iterator[tuple[str, Any]]:
    if rule.comparison in AGES:
        yield rule.comparison, format_duration(rule.threshold)
    elif rule.comparison != "absent" and not rule.expr:
        yield rule.comparison, rule.threshold
    if rule.clear is not None:
        yield "clear", rule.clear
    if isinstance(rule.window, Quantile):
        yield "quantile", rule.window.quantile
        yield "least_count", rule.window.least_count
    if isinstance(rule.window, Predict):
        yield "predict", format_duration(rule.window.ahead)
    elif rule.window:
        function = rule.window.function if isinstance(rule.window, Over) else "increase"
        yield "over", {function: format_duration(rule.window.length)}
    yield "for", format_duration(rule.for_)
    yield "keep_firing_for", format_duration(rule.keep_firing_for)
    yield "severity", rule.severity


def _scalar(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 -- an exact integer
        value = int(value)
    return yaml.safe_dump(value, default_flow_style=True).split("\n", maxsplit=1)[0]
