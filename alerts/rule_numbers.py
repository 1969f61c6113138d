"""Whether what a rule compares fits together: comparison, window, metric and numbers. Yields (key, message, hint).

A counter only grows, so it is compared through ``increase`` or ``rate``, or as it is where a level is meant; a gauge
through the other functions. A peak or a maximum above a number, and a minimum below one, stays so for the whole window
after one spike: a ``for`` that is not shorter would wait in vain for a second one, so it is refused.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from alerts.notify.notification import AGES, Comparison
from alerts.rule import Rule
from alerts.rule_file import COMPARISONS, Definition, Override, Terms
from alerts.windows import FUNCTIONS, Over, Predict, Quantile
from gpuwarden.catalog import CATALOG, PEAK_WINDOW_SECONDS, PEAKS
from gpuwarden.documents import nearest
from gpuwarden.units import format_duration

Finding = tuple[str, str, str]

SHORTEST_WINDOW = 10.0
LONGEST_WINDOW = 30 * 86_400.0
"""A window proves nothing until it was watched whole."""

_PERCENT = 100
_MAY_PASS_ONE = frozenset({"gpu_workload_memory_budget_used_ratio", "process_cpu_seconds_total"})
_PEAKS = frozenset(row.name for row in PEAKS)
_FAMILIES: tuple[frozenset[Comparison], ...] = (
    frozenset({"above", "below", "equals"}),
    AGES,
    frozenset({"absent"}),
)
_GROWTH = ("increase", "rate")
_LASTING = frozenset({("max", "above"), ("min", "below")})
"""What one spike makes true for as long as the window holds it."""


def check_comparison(rule: Terms) -> Iterator[Finding]:
    """A definition compares in exactly one way, an override in one or as before."""
    given = [key for key in COMPARISONS if getattr(rule, key) is not None]
    if not given and isinstance(rule, Definition) and not rule.expr:
        yield "", f"needs a comparison: one of {', '.join(COMPARISONS)}", ""
    for key in given[1:]:
        yield key, f"only one of {', '.join(COMPARISONS)} can be used, and there is {given[0]!r} already", ""
    if rule.absent is False:
        yield "absent", "can only be true", "leave it out"
    for key in (*given, "clear", "quantile", "least_count"):
        number = getattr(rule, key)
        if number is not None and not math.isfinite(number):
            yield key, f"must be a finite number, not {number}", ""
    for key in ("within", "older"):
        if getattr(rule, key) == 0:
            yield key, "must be longer than nothing", "write 10m"


def check_window(rule: Terms, metric: str) -> Iterator[Finding]:
    """A window of one kind, with a function that suits the metric."""
    row = CATALOG.get(metric)
    kind = row.kind if row else ""
    if isinstance(rule, Definition):
        yield from _check_quantile(rule, kind)
    yield from _check_over(rule, "counter" if rule.quantile is not None else kind)
    if rule.predict is not None:
        if rule.over or rule.quantile is not None:
            yield "predict", "cannot be used with 'over' or 'quantile'", ""
        if kind not in {"", "gauge"}:
            yield "predict", f"{metric} is a {kind}, and only a gauge is predicted", ""
        yield from _check_length("predict", rule.predict)
    if rule.least_count is not None and rule.least_count <= 0:
        yield "least_count", "must be more than nothing", "write 10"
    if rule.quantile is not None and not 0 < rule.quantile < 1:
        hint = f"write {rule.quantile / _PERCENT:g}" if 1 <= rule.quantile < _PERCENT else ""
        yield "quantile", "must be between 0 and 1", hint


def _check_quantile(rule: Definition, kind: str) -> Iterator[Finding]:
    if kind == "histogram" and rule.quantile is None and not rule.absent:
        yield "metric", f"{rule.metric} is a histogram: a rule reads a quantile of it", "add quantile: 0.9"
    if kind not in {"", "histogram"} and rule.quantile is not None:
        yield "quantile", f"{rule.metric} is not a histogram", "leave it out"
    if rule.quantile is not None and not rule.over:
        yield "quantile", "needs a window", "add over: {increase: 10m}"
    if rule.least_count is not None and rule.quantile is None:
        yield "least_count", "has a meaning only with 'quantile'", "leave it out"


def _check_over(rule: Terms, kind: str) -> Iterator[Finding]:
    if rule.over is None:
        return
    if len(rule.over) != 1:
        yield "over", "holds one function with its window", "write {max: 10m}"
        return
    ((name, length),) = rule.over.items()
    if name not in FUNCTIONS:
        yield f"over.{name}", "is not a function", nearest(name, FUNCTIONS) or f"known here: {', '.join(FUNCTIONS)}"
        return
    yield from _check_length(f"over.{name}", length)
    if rule.quantile is not None and name != "increase":
        yield f"over.{name}", "a quantile is of a histogram's increase", "write {increase: 10m}"
    elif kind == "counter" and name not in _GROWTH:
        yield f"over.{name}", "the metric is a counter, which only grows", "write increase or rate"
    elif kind == "gauge" and name in _GROWTH:
        yield f"over.{name}", "the metric is a gauge, which rises and falls", "write max, min or avg"


def _check_length(key: str, length: float) -> Iterator[Finding]:
    if not SHORTEST_WINDOW <= length <= LONGEST_WINDOW:
        bounds = f"{format_duration(SHORTEST_WINDOW)} and {format_duration(LONGEST_WINDOW)}"
        yield key, f"must be between {bounds}", ""


def check_together(rule: Definition) -> Iterator[Finding]:
    """An age and an absence are read from a series as it is now."""
    comparison = next((key for key in ("within", "older", "absent") if getattr(rule, key) is not None), None)
    if comparison is None:
        return
    for key in ("over", "predict", "quantile", "least_count"):
        if getattr(rule, key) is not None:
            yield key, f"has no meaning with {comparison!r}", "leave it out"
    if comparison == "absent" and rule.when_gone is not None:
        yield "when_gone", "has no meaning with 'absent': a target that answers always says which", "leave it out"


def check_kept(rule: Rule, change: Override) -> Iterator[Finding]:
    """An override changes numbers, not what kind of rule it is."""
    if rule.expr:
        for key in (*COMPARISONS, "clear", "over", "predict", "quantile", "least_count", "when_gone"):
            if getattr(change, key) is not None:
                yield key, f"{rule.alert} is an expression, so this has no meaning", "leave it out"
        return
    family = next(family for family in _FAMILIES if rule.comparison in family)
    for key in COMPARISONS:
        if getattr(change, key) is not None and key not in family:
            yield key, f"{rule.alert} compares with {rule.comparison!r}", f"write one of {', '.join(sorted(family))}"
    kinds = {"over": (Over, Quantile), "predict": (Predict,), "quantile": (Quantile,), "least_count": (Quantile,)}
    for key, kind in kinds.items():
        if getattr(change, key) is not None and not isinstance(rule.window, kind):
            yield key, f"{rule.alert} is a rule without {key!r}", "leave it out"
    if isinstance(rule.window, Over):
        yield from _check_function(rule.alert, rule.window.function, change.over or {})
    if isinstance(rule.window, Quantile) and len(change.over or {}) == 1 and "increase" not in (change.over or {}):
        yield "over", f"{rule.alert} is a quantile, which is of a histogram's increase", "write {increase: 10m}"


def _check_function(alert: str, now: str, over: Mapping[str, float]) -> Iterator[Finding]:
    """The threshold says how fast something grows, how much, or what is read, and cannot change to another of them."""
    for name in over:
        if name in FUNCTIONS and name != now and {name, now} & set(_GROWTH):
            length = format_duration(over[name])
            yield (
                f"over.{name}",
                f"{alert} compares {now!r}, and a number of that is none of {name!r}",
                f"write {{{now}: {length}}}",
            )


def check_numbers(rule: Rule, written: Iterable[str]) -> Iterator[Finding]:
    """The numbers of a finished rule, reported at the keys that were ``written`` where possible."""
    keys = set(written)
    highest = 1.0 if rule.metric in CATALOG and rule.metric not in _MAY_PASS_ONE else 2.0
    numbers = {rule.comparison: rule.threshold, "clear": rule.clear}
    for key, number in numbers.items():
        if rule.unit == "ratio" and number is not None and highest < number < math.inf:
            subject = f"the rate of {rule.metric}" if isinstance(rule.window, Over) else rule.metric
            yield key, f"{number:g} is out of range: {subject} is a ratio from 0 to 1", f"write {number / 100:.2f}"
    yield from _check_clear(rule, keys)
    yield from _check_patience(rule, keys)


def _check_clear(rule: Rule, keys: set[str]) -> Iterator[Finding]:
    if rule.clear is None or not keys & {"clear", *COMPARISONS}:
        return
    at = "clear" if "clear" in keys else rule.comparison
    if rule.comparison not in {"above", "below"}:
        message = f"'clear' has no meaning with {rule.comparison!r}"
        yield at, message, "leave it out" if at == "clear" else "add clear: null"
    elif rule.clear != rule.threshold and rule.holds(rule.clear, firing=False):
        side = "below" if rule.comparison == "above" else "above"
        message = f"clear ({rule.clear:g}) must not be {rule.comparison} the threshold ({rule.threshold:g})"
        yield at, message, f"write a clear {side} {rule.threshold:g}"


def _check_patience(rule: Rule, keys: set[str]) -> Iterator[Finding]:
    length = PEAK_WINDOW_SECONDS if rule.metric in _PEAKS and rule.comparison == "above" else 0.0
    if isinstance(rule.window, Over) and (rule.window.function, rule.comparison) in _LASTING:
        length = max(length, rule.window.length)
    if length and rule.for_ >= length:
        if "over" in keys and "for" not in keys:
            waited = format_duration(rule.for_)
            message = f"must be longer than 'for' ({waited}): one spike lasts that long in the window"
            yield "over", message, "write a shorter 'for' too"
            return
        message = f"must be shorter than {format_duration(length)}: one spike lasts that long in the window"
        yield "for", message, "leave it out"
