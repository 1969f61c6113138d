"""A rule in words, for the command ``rules explain``, the list of rules and the reference page. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.matchers import Matcher
from alerts.notify.notification import AGES
from alerts.reading_words import reading_words, span_words
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.series import JOB
from alerts.windows import Function, Over, Predict, Quantile, Window
from gpuwarden.catalog import CATALOG
from gpuwarden.units import format_duration, format_value

_THAN = {"within": "younger", "older": "older"}
_SHOWN_OF_EXPR = 60
_THINGS = {"mountpoint": "file system", "mig": "part of it", "xid": "XID", "process": "process name"}
"""What a label tells apart, where its name does not say it."""

_OVER: dict[Function, str] = {
    "increase": "how much it grew in the last",
    "rate": "how much it grows per second, on average of the last",
    "max": "its highest reading of the last",
    "min": "its lowest reading of the last",
    "avg": "the average of its readings of the last",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about a rule: what it is about, in a word or two, and a sentence."""

    topic: str
    text: str


def condition(rule: Rule) -> str:
    """What the rule compares with what, in one short line."""
    if rule.expr:
        line = " ".join(rule.expr.split())
        shown = line if len(line) <= _SHOWN_OF_EXPR else f"{line[:_SHOWN_OF_EXPR]}..."
        return f"{shown} (Prometheus only)"
    words = [_series(rule)]
    if isinstance(rule.window, Over):
        words.append(f"{rule.window.function} over {format_duration(rule.window.length)}")
    elif isinstance(rule.window, Predict):
        words.append(f"predicted {format_duration(rule.window.ahead)} ahead")
    elif isinstance(rule.window, Quantile):
        words.append(f"quantile {rule.window.quantile:g} over {format_duration(rule.window.length)}")
    words.append(rule.comparison)
    if rule.comparison in AGES:
        words.append(format_duration(rule.threshold))
    elif rule.comparison != "absent":
        words.append(number(rule, rule.threshold))
    return " ".join(words)


def number(rule: Rule, value: float) -> str:
    """A number of the rule as people read it."""
    if rule.comparison in AGES or rule.unit == "seconds":
        return span_words(value)
    return f"{value:g}" if rule.unit == "bool" else format_value(value, rule.unit)


def facts(rule: Rule, *, enabled: bool = True) -> tuple[Fact, ...]:
    """Everything that the rule says, each thing once, in the order in which somebody would ask."""
    topics = {
        "is off": "" if enabled else "until an override says enabled: true",
        "judges": _judged(rule),
        "compares": _compared(rule),
        "fires": _fires(rule),
        "ends": _ends(rule),
        "without reading": _unread(rule),
        "is mute": _muted(rule),
        "severity": rule.severity,
        "labels": ", ".join(f"{name}={value}" for name, value in rule.labels),
        "says": rule.summary,
        "advises": rule.action,
        "why": rule.why,
        "not wanted": rule.skip_when,
    }
    return tuple(Fact(topic, text) for topic, text in topics.items() if text)


def _judged(rule: Rule) -> str:
    if rule.expr:
        return "whatever the expression yields; only Prometheus judges it"
    if rule.comparison == "absent":
        return f"each target that answers by itself{_restrictions(rule)}"
    known = CATALOG.get(rule.metric)
    meaning = f" ({known.help.rstrip('.')})" if known else ""
    return f"{_each(rule)} by itself{_restrictions(rule)}: {rule.metric}{meaning}"


def _each(rule: Rule) -> str:
    """The thing that a series of the metric stands for: ``each card and reason``."""
    labels = labels_of(rule.metric)
    if labels is None:
        return "each series"
    fixed = {matcher.label for matcher in rule.where if matcher.operator == "="}
    plain = {"gpu", "uuid", *TARGET_LABELS, *fixed}
    if "mountpoint" in labels:
        plain |= {"device", "fstype"}
    words = [_THINGS.get(label, label) for label in labels if label not in plain]
    if "uuid" in labels or "gpu" in labels:
        words.insert(0, "card")
    elif not words:
        words.append("host" if rule.metric.startswith("host_") else "target")
    return f"each {words[0]}" if len(words) == 1 else f"each {', '.join(words[:-1])} and {words[-1]}"


def _restrictions(rule: Rule) -> str:
    only = f", where {_group(told)}" if (told := _told(rule)) else ""
    others = "".join(f", but not where {_group(group)}" for group in rule.unless)
    return only + others


def _compared(rule: Rule) -> str:
    if rule.expr:
        return rule.expr
    if rule.comparison == "absent":
        return f"whether it publishes {reading_words(rule)}"
    if rule.comparison in AGES:
        return "how long ago it was"
    return _seen_through(rule, rule.window) if rule.window else "its last reading"


def _seen_through(rule: Rule, window: Window) -> str:
    if isinstance(window, Predict):
        line = f"a straight line through the last {span_words(window.length)}"
        return f"what it would be in {span_words(window.ahead)} if it went on as it does, by {line}"
    if isinstance(window, Quantile):
        share = f"what {window.quantile * 100:g} % of the observations in the last {span_words(window.length)}"
        return f"{share} stayed below, if there were at least {window.least_count:g}"
    part = ": the share of the time" if window.function == "rate" and rule.unit == "ratio" else ""
    return f"{_OVER[window.function]} {span_words(window.length)}{part}"


def _fires(rule: Rule) -> str:
    if rule.expr:
        true = "when the expression yields a series"
    elif rule.comparison == "absent":
        true = "when the target answers without it"
    else:
        true = f"when it is {_true(rule, rule.threshold)}"
    return f"{true} and has been for {span_words(rule.for_)}" if rule.for_ else f"{true}, at once"


def _true(rule: Rule, limit: float) -> str:
    if rule.comparison in AGES:
        return f"{_THAN[rule.comparison]} than {number(rule, limit)}"
    return f"{'' if rule.comparison == 'equals' else rule.comparison + ' '}{number(rule, limit)}"


def _ends(rule: Rule) -> str:
    if rule.expr:
        false = "when the expression no longer yields it"
    elif rule.comparison == "absent":
        false = "when the target publishes it again"
    elif rule.comparison == "within":
        false = f"when it is {number(rule, rule.threshold)} old"
    else:
        limit = rule.threshold if rule.clear is None else rule.clear
        false = f"when it is no longer {_true(rule, limit)}"
    held = f", and has not been for {span_words(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    return f"{false}{held}{', which no mail tells' if rule.comparison == 'within' else ''}"


def _unread(rule: Rule) -> str:
    if rule.expr or rule.is_always_read:
        return ""
    if rule.comparison == "absent":
        return "while the target does not answer, what fires is held"
    if rule.ends_when_gone:
        return "a firing alert ends when its target answers without the series, and is held while that does not answer"
    held = "what fires is held, with an unknown value; what was about to fire must begin anew"
    return f"{held}; it ends when the exporter is told to forget the card" if rule.judges_cards else held


def _muted(rule: Rule) -> str:
    if not rule.muted_by:
        return ""
    names = " or ".join(rule.muted_by)
    return f"while {names} fires on the same thing: nobody is told then"


def _series(rule: Rule) -> str:
    matchers = rule.sought if rule.comparison == "absent" else _told(rule)
    selector = f"{{{_group(matchers)}}}" if matchers else ""
    on = f" on {{{_group(told)}}}" if rule.comparison == "absent" and (told := _told(rule)) else ""
    others = "".join(f" (not {{{_group(group)}}})" for group in rule.unless)
    return f"{rule.metric}{selector}{on}{others}"


def _told(rule: Rule) -> Sequence[Matcher]:
    """Without the job that goes without saying."""
    return [matcher for matcher in rule.where if not (rule.judges_targets and matcher == Matcher("job", "=", JOB))]


def _group(matchers: Sequence[Matcher]) -> str:
    return ", ".join(map(str, matchers))
