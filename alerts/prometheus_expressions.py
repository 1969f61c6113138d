"""A rule's condition in PromQL, so that Prometheus judges it as ``evaluator`` does.

The expression has up to three parts, joined by ``or``. READING is what the rule compares, ALL the same of every series
of the metric, FIRING what of this rule fires since the last evaluation, under the labels of its series:

1. ``READING > threshold``: the condition.
2. ``ALL > clear and FIRING``: hysteresis, on the full identity of a series, since two hosts both have a GPU 0.
3. ``FIRING * NaN unless ALL >= -Inf and on (job, instance) up``: unknown is not resolved. While a firing alert's series
   is missing (a stale marker: its target failed, its card vanished) or is not a number, it is held, and its value is
   NaN: the last number would be a lie. ``up`` lasts as long as a target is configured, so what watched a machine that
   was taken away ends with it. A rule that ends when its series is gone asks for ``up == 0`` here, and one on cards
   for either that or the card's ``gpu_up``, which the exporter publishes until it is told to forget the card.

FIRING is ``ALERTS``, which Prometheus writes for each alert at each evaluation and ends with a stale marker. It carries
the alert's own labels too; they are taken off. A label of the metric that is called like one of them (``severity`` of
gpu_ecc_errors_total) would be lost to it, and has another name throughout: see ``alert_labels``.

What a window makes of a series counts only while the series itself is there: ``increase(m[10m]) and m``. A range
function goes on for a whole window after its series has ended, and would hold or end alerts on what nobody reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from alerts.alert_labels import own_labels, renamed
from alerts.history import series_names
from alerts.judge import CARDS
from alerts.matchers import Matcher
from alerts.notify.notification import AGES
from alerts.promql import quote, selected, selector
from alerts.rule import Rule
from alerts.windows import Over, Predict, Window, span
from gpuwarden.units import format_duration

_OPERATORS = {"above": ">", "below": "<", "equals": "==", "within": "<", "older": ">"}
_TARGET = "on (job, instance)"
_CARD = "on (job, instance, uuid)"


def expression(rule: Rule) -> str:
    """The rule's condition in PromQL; see the top of this file."""
    if rule.expr:
        return rule.expr
    if rule.comparison == "absent":
        return _absence(rule)
    operator, firing, everything = _OPERATORS[rule.comparison], _firing(rule), _reading(rule, (), ())
    parts = [f"{_reading(rule, rule.where, rule.unless)} {operator} {number_text(rule.threshold)}"]
    if rule.clear is not None and rule.clear != rule.threshold:
        parts.append(f"({everything} {operator} {number_text(rule.clear)}\n  and {_without_own_labels(rule, firing)})")
    if not rule.is_always_read:
        held = f"{_without_own_labels(rule, f'{firing} * NaN')}\n  unless {everything} >= -Inf"
        parts.append(f"({held}\n  and {_still_there(rule, firing)})")
    return "\nor\n".join(parts)


def reading(rule: Rule, where: Sequence[Matcher]) -> str:
    """What the rule compares, of the series that satisfy ``where``; under the labels of the alert."""
    return _reading(rule, where, ())


def number_text(value: float) -> str:
    """A number as PromQL reads it back."""
    return repr(value).removesuffix(".0")


def _absence(rule: Rule) -> str:
    """Targets that answer without the series; unknown while they do not answer."""
    targets = _series("up", rule.where, rule.unless)
    name = series_names(rule.metric, rule.window)[-1]
    held = f"{_without_own_labels(rule, f'{_firing(rule)} * NaN')}\n  unless {_TARGET} up == 1"
    return f"{targets} == 1\n  unless {_TARGET} {selector(name, rule.sought)}\nor\n({held}\n  and {_TARGET} up)"


def _still_there(rule: Rule, firing: str) -> str:
    """What must be true for a firing alert to be held while its series has no number."""
    if rule.ends_when_gone:
        return f"{_TARGET} up == 0"
    if rule.judges_cards:
        return f"{_CARD} ({CARDS} or ({firing} and {_TARGET} up == 0))"
    return f"{_TARGET} up"


def _reading(rule: Rule, where: Sequence[Matcher], unless: Sequence[Sequence[Matcher]]) -> str:
    """What the rule compares, of the series that satisfy ``where`` and none of the groups."""
    series = _series(series_names(rule.metric, rule.window)[-1], where, unless)
    if rule.window:
        return _freed(rule, f"({_seen_through(rule.metric, rule.window, where)} and {series})")
    freed = _freed(rule, series)
    return f"clamp_min(time() - {freed}, 0)" if rule.comparison in AGES else freed


def _seen_through(metric: str, window: Window, where: Iterable[Matcher]) -> str:
    range_ = f"[{format_duration(span(window))}]"
    if isinstance(window, Over):
        function = window.function if window.function in {"increase", "rate"} else f"{window.function}_over_time"
        return f"{function}({selector(metric, where)}{range_})"
    if isinstance(window, Predict):
        return f"predict_linear({selector(metric, where)}{range_}, {number_text(window.ahead)})"
    buckets, count = (selector(name, where) for name in series_names(metric, window))
    enough = f"increase({count}{range_}) >= {number_text(window.least_count)}"
    return f"histogram_quantile({number_text(window.quantile)}, increase({buckets}{range_})) and {enough}"


def _freed(rule: Rule, series: str) -> str:
    """The series, with other names for those of their labels that the alert needs for itself."""
    names = renamed(rule)
    for label, new in names.items():
        series = f'label_replace({series}, {quote(new)}, "$1", {quote(label)}, "(.*)")'
    taken = [label for label in own_labels(rule) if label in names]
    return f"max without ({', '.join(taken)}) ({series})" if taken else series


def _firing(rule: Rule) -> str:
    """The series for which this rule, and not another of the same name, fired at the last evaluation."""
    mine = (Matcher("alertname", "=", rule.alert), Matcher("alertstate", "=", "firing"))
    names = renamed(rule)
    where, *unless = (
        tuple(replace(one, label=names.get(one.label, one.label)) for one in group)
        for group in (rule.where, *rule.unless)
    )
    return _series("ALERTS", (*mine, *where), unless)


def _without_own_labels(rule: Rule, alerts: str) -> str:
    """Under the labels of their series."""
    return f"max without ({', '.join(own_labels(rule))}) ({alerts})"


def _series(name: str, where: Iterable[Matcher], unless: Iterable[Sequence[Matcher]]) -> str:
    """A selector; a group of one matcher is turned round, a longer one is taken away."""
    groups = [tuple(group) for group in unless]
    base = (*where, *(group[0].inverse for group in groups if len(group) == 1))
    others = [selector(name, (*base, *group)) for group in groups if len(group) > 1]
    return selected([selector(name, base), *others])
