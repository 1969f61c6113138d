"""The override that keeps quiet what fires now, ready to be pasted into a rules file. Pure.

It names the alert's own series by the fewest labels that stay as they are: a card by its ``uuid``, what belongs to a
host by ``instance``, and never a process by its number. Where a rule compares the last value, the number goes a step
past that value, the way out with it, so that an alert that fires ends. Every other rule, a value beyond which no step
is left, and one that grows with time and would soon be there again, is switched off for the series.

What is never normal, as a rule's ``skip_when`` says by beginning with "Never", gets none.

A label may hold anything. One that cannot be written in ``where`` as it is (``=~`` and ``!`` mean something at its
start, line breaks and hidden characters are cleaned away in a mail) makes it better to suggest nothing.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import yaml

from alerts.clean_text import one_line
from alerts.expressions import ExpressionError
from alerts.matchers import Matcher, parse_matcher
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.rule_numbers import check_numbers
from alerts.series import LabelSet
from alerts.webhook import CUT
from gpuwarden.catalog import CATALOG

CHANGES_BY_ITSELF = frozenset({"pid", "container"})
SAID_BY = {"gpu": "uuid", "mig": "mig_uuid", "device": "mountpoint", "fstype": "mountpoint"}
"""A label that says nothing more where there is the other."""

_COUNTS_UP = frozenset({"gpu_idle_memory_held_seconds"})
"""What grows with time besides counters."""
_NEVER = re.compile(r"never\b", re.IGNORECASE)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LONGEST_LABEL = 100
_LONGEST_WHERE = 300
"""Characters: a line of a mail holds no more."""
_WHOLE = frozenset({"celsius", "watts"})
"""Units of which people write no fractions."""
_SMALLEST_NUMBER, _LARGEST_NUMBER = 1e-9, 1e15
_LOWEST_RATIO, _HIGHEST_RATIO = 0.01, 0.99


def suggestion(rule: Rule, labels: LabelSet, value: float | None) -> str:
    """The override as YAML, for the alert of ``rule`` on the series with these labels; empty where none can be given.

    ``value`` is its reading now.
    """
    where = None if rule.expr else _where(rule, dict(labels))
    if _NEVER.match(rule.skip_when) or not (rule.expr or (rule.metric and where)):
        return ""
    lines = ["rules:", f"  - override: {_key(rule.alert)}"]
    if where:
        lines.append(f"    where: {{{', '.join(f'{_key(name)}: {_text(text)}' for name, text in where.items())}}}")
    number = _beyond(rule, value)
    if number is None:
        return "\n".join([*lines, "    enabled: false"])
    lines.append(f"    {rule.comparison}: {number} # or: enabled: false")
    return "\n".join([*lines, *([f"    clear: {number}"] if rule.clear is not None else [])])


def _where(rule: Rule, labels: Mapping[str, str]) -> dict[str, str] | None:
    """The labels that pick the series out; None where one of them is missing or cannot be written."""
    if CUT in labels or not (labels.get("uuid") or labels.get("instance")):
        return None
    picked = {name: labels[name] for name in _picked(rule, labels) if labels.get(name)}
    short = sum(len(name) + len(text) for name, text in picked.items()) <= _LONGEST_WHERE
    return picked if short and all(_is_writable(name, text) for name, text in picked.items()) else None


def _picked(rule: Rule, labels: Mapping[str, str]) -> Iterator[str]:
    if "uuid" not in labels or rule.comparison == "absent":
        yield "instance"
    known = labels_of(rule.metric)
    for name in () if rule.comparison == "absent" else known or sorted(labels):
        said = SAID_BY.get(name, "") in labels
        if not said and name not in CHANGES_BY_ITSELF and name not in TARGET_LABELS:
            yield name


def _is_writable(name: str, text: str) -> bool:
    try:
        plain = parse_matcher(name, text) == Matcher(name, "=", text)
    except ExpressionError:
        return False
    return plain and _NAME.fullmatch(name) is not None and text == one_line(text, _LONGEST_LABEL)


def _beyond(rule: Rule, value: float | None) -> str | None:
    """The next number at which the rule does not hold of ``value``, None where there is none that makes sense."""
    if value is None or not rule.compares_last_value or rule.comparison == "equals":
        return None
    above = rule.comparison == "above"
    if above and _grows(rule):
        return None
    passed = max(value, rule.threshold) if above else min(value, rule.threshold)
    if not _SMALLEST_NUMBER <= abs(passed) <= _LARGEST_NUMBER:
        return None
    number, digits = _step_past(passed, rule, above=above)
    changed = replace(rule, threshold=number, clear=None if rule.clear is None else number)
    if changed.holds(value, firing=True) or any(check_numbers(changed, (rule.comparison, "clear"))):
        return None
    return f"{number:.{max(digits, 0)}f}"


def _grows(rule: Rule) -> bool:
    """Whether the number is sure to grow, or may: nobody knows whether another exporter's seconds are an age."""
    known = CATALOG.get(rule.metric)
    if known is None:
        return rule.unit == "seconds" or rule.metric.endswith("_total")
    return known.kind == "counter" or rule.metric in _COUNTS_UP


def _step_past(value: float, rule: Rule, *, above: bool) -> tuple[float, int]:
    """A short number a bit further out, and its digits after the point; the next whole one of a count is itself."""
    if rule.unit == "count" and value.is_integer():
        return value, 0
    digits = 2 if rule.unit == "ratio" else 1 - math.floor(math.log10(abs(value)))
    digits = min(digits, 0) if rule.unit in _WHOLE else digits
    step = 10.0**-digits
    number = (math.ceil(value / step + 0.5) if above else math.floor(value / step - 0.5)) * step
    if rule.unit == "ratio":
        number = min(number, _HIGHEST_RATIO) if above else max(number, _LOWEST_RATIO)
    return round(number, digits), digits


@lru_cache(maxsize=1000)
def _key(word: str) -> str:
    """A word that YAML reads as this text: some mean something else (``on``, ``Null``)."""
    return word if yaml.safe_load(word) == word else _text(word)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
