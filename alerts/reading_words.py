"""What the number is that a rule compares, in a few words for a person. Pure."""

import re

from alerts.notify.notification import AGES
from alerts.promql import selector
from alerts.rule import Rule
from alerts.windows import Function, Over, Predict, Quantile
from gpuwarden.units import format_value

_OVER: dict[Function, str] = {
    "increase": "increase over",
    "rate": "per second, average of the last",
    "max": "highest of the last",
    "min": "lowest of the last",
    "avg": "average of the last",
}


def reading_words(rule: Rule) -> str:
    """``highest of the last 10 min``; empty for the series' own last value.

    For ``absent`` these are the series that are looked for.
    """
    if rule.comparison == "absent":
        return selector(rule.metric, rule.sought)
    if rule.comparison in AGES:
        return "age"
    if isinstance(rule.window, Over):
        return f"{_OVER[rule.window.function]} {span_words(rule.window.length)}"
    if isinstance(rule.window, Predict):
        return f"predicted in {span_words(rule.window.ahead)}"
    if isinstance(rule.window, Quantile):
        return f"what {rule.window.quantile * 100:g} % of the last {span_words(rule.window.length)} stayed below"
    return ""


def span_words(seconds: float) -> str:
    """A span without its empty parts: ``10 min``, ``1 h 30 min``."""
    return re.sub(r" 0 \w+$", "", format_value(seconds, "seconds"))
