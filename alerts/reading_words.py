"""What the number is that a rule compares, and with what, in a few words for a person. Pure."""

import re
from collections.abc import Iterable

from alerts.matchers import Matcher
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


def condition_words(rule: Rule) -> str:
    """``gpu_memory_used_ratio{gpu="0"} (predicted in 30 min) above 98.0 %``."""
    if rule.expr:
        return " ".join(rule.expr.split())
    if rule.comparison == "absent":
        where = f" on {_group(rule.where)}" if rule.where else ""
        return f"no {reading_words(rule)}{where}{_others(rule)}"
    seen = reading_words(rule)
    words = f" ({seen})" if seen else ""
    where = _group(rule.where) if rule.where else ""
    return f"{rule.metric}{where}{_others(rule)}{words} {rule.comparison} {number_words(rule, rule.threshold)}"


def number_words(rule: Rule, number: float) -> str:
    """A number that the rule compares with."""
    if rule.comparison in {"within", "older"}:
        return span_words(number)
    return f"{number:g}" if rule.unit == "bool" else format_value(number, rule.unit)


def _others(rule: Rule) -> str:
    return "".join(f" (not {_group(group)})" for group in rule.unless)


def _group(matchers: Iterable[Matcher]) -> str:
    return f"{{{', '.join(map(str, matchers))}}}"


def reading_words(rule: Rule) -> str:
    """``highest of the last 10 min``; empty for the series' own last value.

    For ``absent`` these are the series that are looked for.
    """
    if rule.comparison == "absent":
        return selector(rule.metric, rule.sought)
    if rule.comparison in {"within", "older"}:
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
