"""From the written keys of an entry to a rule. Pure; what does not fit together is for ``rule_checks`` to say."""

import math
from collections.abc import Mapping
from dataclasses import replace

from alerts.matchers import Matcher, parse_matcher
from alerts.notify.notification import AGES, Comparison
from alerts.rule import TARGET_LABELS, Rule
from alerts.rule_file import COMPARISONS, Definition, Override, Terms
from alerts.series import JOB
from alerts.windows import Over, Predict, Quantile, Window, function_of
from gpuwarden.catalog import CATALOG
from gpuwarden.units import Unit

LEAST_COUNT = 10.0
"""Observations that a quantile needs, where nothing else is written."""

_PER_SECOND: Mapping[Unit, Unit] = {"seconds": "ratio", "bytes": "bytes_per_second", "joules": "watts"}


def comparison_of(terms: Terms) -> tuple[Comparison, float] | None:
    """The first comparison that is written, with its number; ``absent`` means: equals 1."""
    for key in COMPARISONS:
        number: float | bool | None = getattr(terms, key)
        if number is not None:
            return key, float(number)
    return None


def window_of(terms: Terms, before: Window | None = None) -> Window | None:
    """The window that is written; what an override leaves out is as ``before``."""
    over = next(iter((terms.over or {}).items()), None)
    earlier = before if isinstance(before, Quantile) else None
    if terms.quantile is not None or earlier:
        share = earlier.quantile if terms.quantile is None and earlier else terms.quantile
        length = over[1] if over else earlier.length if earlier else 0.0
        least = terms.least_count
        if least is None:
            least = earlier.least_count if earlier else LEAST_COUNT
        return Quantile(share or 0.0, length, least)
    if terms.predict is not None:
        return Predict(terms.predict)
    function = function_of(over[0]) if over else None
    return Over(function, over[1]) if over and function else before


def unit_of(metric: str, written: Unit | None, window: Window | None, comparison: Comparison) -> Unit:
    """The unit of the number that is compared."""
    known = CATALOG.get(metric)
    unit = known.unit if known else written or "count"
    if comparison in AGES:
        return "seconds"
    if comparison == "absent":
        return "bool"
    return _PER_SECOND.get(unit, "count") if isinstance(window, Over) and window.function == "rate" else unit


def define(content: Definition, where: Mapping[str, str]) -> Rule:
    """The rule of an entry that compares, or has an ``expr``; ``where`` is what of its matchers is right."""
    comparison, threshold = comparison_of(content) or ("above", math.nan)
    found, sought = matchers(where), ()
    if comparison == "absent":
        found, sought = (
            tuple(one for one in found if (one.label in TARGET_LABELS) is target) for target in (True, False)
        )
    window = window_of(content)
    return _of_our_job(
        Rule(
            alert=content.alert,
            metric=content.metric,
            unit=unit_of(content.metric, content.unit, window, comparison),
            comparison=comparison,
            threshold=threshold,
            clear=content.clear,
            window=window,
            sought=sought,
            expr=content.expr.strip(),
            for_=content.for_,
            keep_firing_for=content.keep_firing_for,
            severity=content.severity,
            summary=content.summary,
            action=content.action,
            why=content.why,
            skip_when=content.skip_when,
            labels=tuple(sorted(content.labels.items())),
            muted_by=content.muted_by,
            ends_when_gone=_ends_when_gone(content),
            where=found,
            meant=found,
        )
    )


def _of_our_job(rule: Rule) -> Rule:
    """What judges targets judges ours, unless the rule itself names a job; an override can then only narrow that."""
    if not rule.judges_targets or any(one.label == "job" for one in rule.where):
        return rule
    where = (*rule.where, Matcher("job", "=", JOB))
    return replace(rule, where=tuple(sorted(where, key=lambda one: one.label)))


def _ends_when_gone(content: Definition) -> bool:
    if content.when_gone is not None:
        return content.when_gone == "end"
    known = CATALOG.get(content.metric)
    return known is not None and "pid" in known.labels


def change(rule: Rule, content: Override, *, clears: bool) -> Rule:
    """The rule with the keys of an override in place of its own, ``where`` apart."""
    comparison, threshold = comparison_of(content) or (rule.comparison, rule.threshold)
    return replace(
        rule,
        comparison=comparison,
        threshold=threshold,
        clear=content.clear if clears else rule.clear,
        window=window_of(content, rule.window),
        for_=rule.for_ if content.for_ is None else content.for_,
        keep_firing_for=rule.keep_firing_for if content.keep_firing_for is None else content.keep_firing_for,
        severity=content.severity or rule.severity,
        summary=rule.summary if content.summary is None else content.summary,
        action=rule.action if content.action is None else content.action,
        labels=rule.labels if content.labels is None else tuple(sorted(content.labels.items())),
        muted_by=rule.muted_by if content.muted_by is None else content.muted_by,
        ends_when_gone=rule.ends_when_gone if content.when_gone is None else content.when_gone == "end",
    )


def matchers(where: Mapping[str, str]) -> tuple[Matcher, ...]:
    """The checked ``where`` as matchers, sorted by label."""
    return tuple(parse_matcher(label, where[label]) for label in sorted(where))
