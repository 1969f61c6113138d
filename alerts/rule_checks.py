"""What a rule must satisfy to mean something: each check yields (key, message, hint) for what is wrong.

A name with one of our prefixes must be in the catalog. Labels, in ``where`` and as placeholders, must be labels of the
metric, or ``job`` or ``instance``, which every scrape adds. Of another exporter's metric we know nothing, so any label
goes and ``unit`` must be written.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from alerts.expressions import ExpressionError
from alerts.matchers import Matcher, parse_matcher
from alerts.placeholders import is_closed, placeholders
from alerts.rule import Rule
from alerts.rule_file import COMPARISONS, Definition, Override
from gpuwarden.catalog import CATALOG, OUR_PREFIXES
from gpuwarden.documents import nearest
from gpuwarden.units import Unit

Finding = tuple[str, str, str]

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_TARGET_LABELS = ("job", "instance")
_WORDS = ("value", "threshold", "host")
_MAY_PASS_ONE = frozenset({"gpu_workload_memory_budget_used_ratio"})
_LONGEST_TEXT = 1000


def check_definition(rule: Definition) -> Iterator[Finding]:
    """Name and metric; the unit is then known."""
    if not _NAME.fullmatch(rule.alert):
        yield "alert", f"{rule.alert[:100]!r} is not a name: letters, digits and underscores, at most 100", ""
    known = CATALOG.get(rule.metric)
    if known is None:
        yield from _check_foreign(rule)
    elif known.kind == "histogram":
        yield "metric", f"{rule.metric} is a histogram, which this version does not judge", ""
    elif known.kind == "info":
        yield "metric", f"{rule.metric} is a description and has no value to compare", ""
    elif rule.unit not in {None, known.unit}:
        yield "unit", f"{rule.metric} is in {known.unit}, not {rule.unit}", "leave it out"


def _check_foreign(rule: Definition) -> Iterator[Finding]:
    if not _METRIC.fullmatch(rule.metric):
        yield "metric", f"{rule.metric[:100]!r} is not a metric's name", nearest(rule.metric, CATALOG)
    elif rule.metric.startswith(OUR_PREFIXES):
        yield "metric", f"{rule.metric[:100]} is not a metric of gpuwarden", nearest(rule.metric, CATALOG)
    elif rule.unit is None:
        hint = nearest(rule.metric, CATALOG) or f"unit: {', '.join(get_args(Unit))}"
        yield "metric", f"{rule.metric[:100]} is another exporter's metric, so the rule needs 'unit'", hint


def check_comparison(rule: Definition | Override) -> Iterator[Finding]:
    """A definition compares in exactly one way, an override in one or as before."""
    given = [key for key in COMPARISONS if getattr(rule, key) is not None]
    if not given and isinstance(rule, Definition):
        yield "", f"needs a comparison: one of {', '.join(COMPARISONS)}", ""
    for key in given[1:]:
        yield key, f"only one of {', '.join(COMPARISONS)} can be used, and there is {given[0]!r} already", ""
    for key in (*given, "clear"):
        number = getattr(rule, key)
        if number is not None and not math.isfinite(number):
            yield key, f"must be a finite number, not {number}", ""


def check_numbers(rule: Rule, written: Iterable[str]) -> Iterator[Finding]:
    """The numbers of a finished rule, reported at the keys that were ``written`` where possible."""
    keys = set(written)
    highest = 1.0 if rule.metric in CATALOG and rule.metric not in _MAY_PASS_ONE else 2.0
    numbers = {rule.comparison: rule.threshold, "clear": rule.clear}
    for key, number in numbers.items():
        if rule.unit == "ratio" and number is not None and highest < number < math.inf:
            yield key, f"{number:g} is out of range: {rule.metric} is a ratio from 0 to 1", f"write {number / 100:.2f}"
    if rule.clear is None or not keys & {"clear", *COMPARISONS}:
        return
    at = "clear" if "clear" in keys else rule.comparison
    if rule.comparison == "equals":
        yield at, "'clear' has no meaning with 'equals'", "leave it out" if at == "clear" else "add clear: null"
    elif rule.clear != rule.threshold and rule.holds(rule.clear, firing=False):
        side = "below" if rule.comparison == "above" else "above"
        message = f"clear ({rule.clear:g}) must not be {rule.comparison} the threshold ({rule.threshold:g})"
        yield at, message, f"write a clear {side} {rule.threshold:g}"


def check_where(metric: str, where: Mapping[str, str]) -> Iterator[Finding]:
    """Labels that the metric has, expressions that compile."""
    labels = labels_of(metric)
    for label, text in where.items():
        if labels is None and not _NAME.fullmatch(label):
            yield f"where.{label}", f"{label[:100]!r} is not a label's name", ""
        elif labels is not None and label not in labels:
            hint = nearest(label, labels) or f"its labels: {', '.join(labels)}"
            yield f"where.{label}", f"{metric} has no label {label[:100]!r}", hint
        try:
            parse_matcher(label, text)
        except ExpressionError as error:
            yield f"where.{label}", str(error), error.hint


def check_texts(metric: str, texts: Mapping[str, str | None]) -> Iterator[Finding]:
    """Placeholders that will have a value; a summary that says something."""
    for key, text in texts.items():
        if text is None:
            continue
        if key == "summary" and not text.strip():
            yield key, "must not be empty", ""
        if len(text) > _LONGEST_TEXT:
            yield key, f"is longer than {_LONGEST_TEXT} characters", ""
        if not is_closed(text):
            yield key, "has '{{' and '}}' that do not belong together", "write {{ value }}"
        yield from ((key, message, hint) for message, hint in _check_placeholders(metric, placeholders(text)))


def _check_placeholders(metric: str, words: Iterable[str]) -> Iterator[tuple[str, str]]:
    labels = labels_of(metric)
    known = (*(labels or _TARGET_LABELS), *_WORDS)
    for word in words:
        if word in known or (labels is None and _NAME.fullmatch(word)):
            continue
        plain = word.rpartition(".")[2].removeprefix("$")
        hint = f"write {{{{ {plain} }}}}" if plain in known else nearest(word, known)
        yield f"{{{{ {word[:100]} }}}} is not known", hint or f"known here: {', '.join(known)}"


def labels_of(metric: str) -> tuple[str, ...] | None:
    """The labels of a metric of ours, with those of the target; None for another exporter's."""
    known = CATALOG.get(metric)
    return None if known is None else (*known.labels, *_TARGET_LABELS)


def matchers(where: Mapping[str, str]) -> tuple[Matcher, ...]:
    """The checked ``where`` as matchers, sorted by label."""
    return tuple(parse_matcher(label, where[label]) for label in sorted(where))
