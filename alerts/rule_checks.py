"""What a rule must satisfy to mean something: each check yields (key, message, hint) for what is wrong.

A name with one of our prefixes must be in the catalog. Labels, in ``where`` and as placeholders, must be labels of the
metric, or ``job`` or ``instance``, which every scrape adds. Of another exporter's metric we know nothing, so any label
goes and ``unit`` must be written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from alerts.alert_labels import EXPORTED
from alerts.expressions import ExpressionError
from alerts.matchers import contradict, parse_matcher
from alerts.placeholders import MEANINGS, is_closed, placeholders
from alerts.promql import NO_LABELS, unbalanced
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.rule_file import COMPARISONS, Definition
from alerts.rule_numbers import Finding
from gpuwarden.catalog import CATALOG, OUR_PREFIXES
from gpuwarden.documents import nearest
from gpuwarden.units import Unit

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_OWN_LABELS = ("alertname", "alertstate", "severity", "__name__", "le", *TARGET_LABELS)
_NAMING_LABELS = frozenset({*TARGET_LABELS, "gpu", "uuid", "mig", "mig_uuid", "device", "mountpoint"})
"""Labels that say which thing a series is about; the others say what of it."""
_OF_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")
_MOST_LABELS = 10
_NOT_WITH_EXPR = ("where", "over", "predict", "quantile", "least_count", *COMPARISONS, "clear", "when_gone")
_LONGEST_TEXT = 1000


def check_definition(rule: Definition) -> Iterator[Finding]:
    """Name and metric; the unit is then known."""
    if not _NAME.fullmatch(rule.alert):
        yield "alert", f"{rule.alert[:100]!r} is not a name: letters, digits and underscores, at most 100", ""
    if rule.expr:
        yield from _check_expression(rule)
        return
    known = CATALOG.get(rule.metric)
    if not rule.metric:
        yield "metric", "is missing", ""
    elif known is None:
        yield from _check_foreign(rule)
    elif known.kind == "info" and not rule.absent:
        yield "metric", f"{rule.metric} is a description and has no value to compare", ""
    elif known.kind == "histogram" and rule.absent:
        yield "metric", f"{rule.metric} is a histogram, and no series has just its name", ""
    elif rule.unit not in {None, known.unit}:
        yield "unit", f"{rule.metric} is in {known.unit}, not {rule.unit}", "leave it out"
    age = next((key for key in ("within", "older") if getattr(rule, key) is not None), None)
    if age and (known.unit if known else rule.unit) not in {None, "timestamp"}:
        yield age, f"{rule.metric} is not a timestamp, so it has no age", ""


def _check_expression(rule: Definition) -> Iterator[Finding]:
    if rule.metric:
        yield "expr", "cannot be used with 'metric'", "leave one of them out"
    plain = Definition(alert="", severity="info", summary="")
    for key in _NOT_WITH_EXPR:
        if getattr(rule, key) != getattr(plain, key):
            yield key, "has no meaning with 'expr'", "write it into the expression"
    if not rule.expr.strip():
        yield "expr", "must not be empty", ""
    if wrong := unbalanced(rule.expr):
        yield "expr", wrong, ""


def _check_foreign(rule: Definition) -> Iterator[Finding]:
    if not _METRIC.fullmatch(rule.metric):
        yield "metric", f"{rule.metric[:100]!r} is not a metric's name", nearest(rule.metric, CATALOG)
    elif rule.metric in _OF_ALERTS:
        message = f"{rule.metric} is how Prometheus remembers what fires, which includes this rule"
        yield "metric", message, "write what the alert itself compares, or gpuwarden_alerter_alerts"
    elif rule.metric.startswith(OUR_PREFIXES):
        yield "metric", f"{rule.metric[:100]} is not a metric of gpuwarden", nearest(rule.metric, CATALOG)
    elif rule.unit is None:
        hints = f"unit: {', '.join(get_args(Unit))}", nearest(rule.metric, CATALOG)
        message = f"{rule.metric[:100]} is another exporter's metric, so the rule needs 'unit'"
        yield "metric", message, "; ".join(filter(None, hints))


def check_where(metric: str, where: Mapping[str, str], *, of_quantile: bool) -> Iterator[Finding]:
    """Labels that the metric has, expressions that compile."""
    labels = labels_of(metric)
    for label, text in where.items():
        if label == "le" and of_quantile:
            yield "where.le", "a quantile is read from all buckets, so none can be picked", "leave it out"
        elif labels is None and not _NAME.fullmatch(label):
            yield f"where.{label}", f"{label[:100]!r} is not a label's name", ""
        elif labels is not None and label not in labels:
            hint = nearest(label, labels) or f"its labels: {', '.join(labels)}"
            yield f"where.{label}", f"{metric} has no label {label[:100]!r}", hint
        try:
            parse_matcher(label, text)
        except ExpressionError as error:
            yield f"where.{label}", str(error), error.hint


def check_texts(labels: Sequence[str] | None, texts: Mapping[str, str | None]) -> Iterator[Finding]:
    """Placeholders that will have a value; a summary that says something. ``labels`` are the alert's, where known."""
    for key, text in texts.items():
        if text is None:
            continue
        if key == "summary" and not text.strip():
            yield key, "must not be empty", ""
        if len(text) > _LONGEST_TEXT:
            yield key, f"is longer than {_LONGEST_TEXT} characters", ""
        if not is_closed(text):
            yield key, "has '{{' and '}}' that do not belong together", "write {{ value }}"
        yield from ((key, message, hint) for message, hint in _check_placeholders(labels, placeholders(text)))


def _check_placeholders(labels: Sequence[str] | None, words: Iterable[str]) -> Iterator[tuple[str, str]]:
    known = (*(labels or TARGET_LABELS), *MEANINGS)
    for word in words:
        if word in known or (labels is None and _NAME.fullmatch(word)):
            continue
        plain = word.rpartition(".")[2].removeprefix("$")
        hint = f"write {{{{ {plain} }}}}" if plain in known else nearest(word, known)
        yield f"{{{{ {word[:100]} }}}} is not known", hint or f"known here: {', '.join(known)}"


def check_labels(metric: str, labels: Mapping[str, str]) -> Iterator[Finding]:
    """Labels that the alert gets: none that the series or the alert has anyway."""
    if len(labels) > _MOST_LABELS:
        yield "labels", f"are more than {_MOST_LABELS}", ""
    for label, text in labels.items():
        if not _NAME.fullmatch(label):
            yield f"labels.{label}", f"{label[:100]!r} is not a label's name", ""
        elif label.lower() in NO_LABELS:
            yield f"labels.{label}", "is a word of PromQL that Prometheus does not take as a label there", ""
        elif label.startswith(EXPORTED):
            yield f"labels.{label}", f"{EXPORTED} is what labels of the series get that the alert has itself", ""
        elif label in _OWN_LABELS or label in (labels_of(metric) or ()):
            yield f"labels.{label}", "is a label that the alert has already", ""
        if not text or len(text) > _LONGEST_TEXT:
            yield f"labels.{label}", f"must have 1 to {_LONGEST_TEXT} characters", ""
        if "{{" in text:
            message = "must be plain text, without {{ }}: what changes would make a new alert each time"
            yield f"labels.{label}", message, ""


def check_muting(rule: Rule, others: Mapping[str, Sequence[Rule]]) -> Iterator[Finding]:
    """Rules that say more of the same series; ``others`` are all rules by name."""
    for name in rule.muted_by:
        found = others.get(name, ())
        if name == rule.alert:
            yield "muted_by", "a rule cannot mute itself", ""
        elif name not in others:
            yield "muted_by", f"there is no rule {name[:100]!r}", nearest(name, others)
        elif rule.alert in _silencers(name, others):
            yield "muted_by", f"{name[:100]} is muted by {rule.alert} in turn, so both could be silent at once", ""
        elif any(shared_labels(rule, other) is None for other in found):
            message = f"nothing is known of the labels that {rule.alert} and {name} share"
            yield "muted_by", message, "both need a metric of gpuwarden"
        elif apart := sorted(_kept_apart(rule, found[0]) & _NAMING_LABELS):
            yield "muted_by", f"{name[:100]} is never about the same {apart[0]}", "compare 'where' of both"


def _silencers(name: str, rules: Mapping[str, Sequence[Rule]]) -> set[str]:
    """Every rule that mutes this one, or one that does."""
    found: set[str] = set()
    new = {name}
    while new:
        new = {muting for one in new for rule in rules.get(one, ()) for muting in rule.muted_by} - found
        found |= new
    return found


def shared_labels(rule: Rule, other: Rule) -> tuple[str, ...] | None:
    """The labels by which a series of one is the same thing as a series of the other; None where nobody knows.

    A label on which the two can never agree (corrected and uncorrected errors of one card) is none of them.
    """
    mine, theirs = rule.series_labels, other.series_labels
    if mine is None or theirs is None:
        return None
    return tuple(sorted(set(mine) & set(theirs) - (_kept_apart(rule, other) - _NAMING_LABELS)))


def _kept_apart(rule: Rule, other: Rule) -> set[str]:
    """The labels of which no value is meant by both rules, as they are defined: an override may divide their series."""
    pairs = ((mine, theirs) for mine in rule.meant for theirs in other.meant if mine.label == theirs.label)
    return {mine.label for mine, theirs in pairs if contradict((mine, theirs))}
