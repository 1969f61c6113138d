"""From rules to the colours and lines of a panel: no number is written here, so a user's override moves the line.

Grafana colours a value by steps: each holds from its number up to the next one, the first from minus infinity. Between
two numbers the worst severity of the rules that hold there gives the colour, which turns ``below`` rules round by
itself. ``equals`` rules become value mappings. Hysteresis (``clear``) and ``for`` are left out.

``rules_for`` are the rules on a series' last value. ``limits_for`` are also those on what a window makes of it in the
same unit, a least, a mean or a quantile: for panels where the limit says something, although one point proves nothing.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from alerts.matchers import Matcher, matches
from alerts.notify.notification import Severity
from alerts.rules import Rule
from alerts.windows import Over, Quantile
from dashboards.palette import BY_SEVERITY, LINE_BASE, rank, worst

MOST_NUMBERS = 30
"""Of one panel: no one can tell more lines apart."""


@dataclass(frozen=True, slots=True)
class Step:
    """From ``value`` on (None: from minus infinity) this colour."""

    value: float | None
    color: str


def rules_for(rules: Iterable[Rule], *metrics: str) -> tuple[Rule, ...]:
    """The rules that judge one of these metrics."""
    return tuple(rule for rule in rules if rule.metric in metrics and rule.compares_last_value)


def limits_for(rules: Iterable[Rule], *metrics: str) -> tuple[Rule, ...]:
    """The rules that compare one of these metrics, or its course in the same unit, with a number."""
    return tuple(rule for rule in rules if rule.metric in metrics and _compares_level(rule))


def _compares_level(rule: Rule) -> bool:
    window = rule.window
    level = isinstance(window, Quantile) or (isinstance(window, Over) and window.function in {"max", "min", "avg"})
    return rule.compares_last_value or (level and rule.comparison in {"above", "below"} and not rule.expr)


def narrowed(rules: Iterable[Rule], shown: Mapping[str, str], apart: Collection[str]) -> tuple[Rule, ...]:
    """The rules on tiles that show only series with the labels ``shown``, and are told apart by those of ``apart``.

    A rule that goes by yet another label colours nothing: a tile cannot know whether it is meant.
    """
    kept = (_narrowed(rule, shown) for rule in rules)
    return tuple(rule for rule in kept if rule is not None and _labels(rule) <= set(apart))


def _narrowed(rule: Rule, shown: Mapping[str, str]) -> Rule | None:
    """The rule without its matchers on what is shown; None where these leave it nothing."""
    (where, meant), *groups = (_settled(group, shown) for group in (rule.where, *rule.unless))
    unless = tuple(rest for rest, possible in groups if possible)
    return replace(rule, where=where, unless=unless) if meant and () not in unless else None


def _settled(group: Sequence[Matcher], shown: Mapping[str, str]) -> tuple[tuple[Matcher, ...], bool]:
    """The matchers on other labels, and whether those on labels that are shown accept."""
    open_ = tuple(matcher for matcher in group if matcher.label not in shown)
    return open_, matches((matcher for matcher in group if matcher.label in shown), shown)


def _labels(rule: Rule) -> set[str]:
    return {matcher.label for group in (rule.where, *rule.unless) for matcher in group}


def strongest(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Of the rules that judge the same series: those that hold first, for each severity and direction."""
    found: dict[tuple[str, Severity], Rule] = {}
    for rule in rules:
        if rule.comparison != "equals":
            key = (rule.comparison, rule.severity)
            earlier = min if rule.comparison == "above" else max
            found[key] = earlier(found.get(key, rule), rule, key=_threshold)
    return tuple(found.values())


def _threshold(rule: Rule) -> float:
    return rule.threshold


def _rank(rule: Rule) -> int:
    return rank(rule.severity)


def steps(rules: Iterable[Rule], base: str) -> tuple[Step, ...]:
    """How a value is coloured, ``base`` where no rule holds; an ``above`` rule's colour begins at its very number."""
    judging = strongest(rules)
    numbers = sorted({rule.threshold for rule in judging})
    if not numbers:
        return (Step(None, base),)
    middles = [-math.inf, *((low + high) / 2 for low, high in pairwise(numbers)), math.inf]
    colors = [_color_at(middle, judging, base) for middle in middles]
    changes = zip([None, *numbers], [None, *colors], colors, strict=False)
    return tuple(Step(number, color) for number, before, color in changes if color != before)


def _color_at(value: float, rules: Iterable[Rule], base: str) -> str:
    severities: list[Severity] = [rule.severity for rule in rules if rule.holds(value, firing=False)]
    return BY_SEVERITY[worst(*severities)] if severities else base


def lines(rules: Sequence[Rule]) -> tuple[Step, ...]:
    """A line at every number of every rule, in the colour of its severity, whichever side of it is the bad one.

    Of too many numbers only those of the ``strongest`` rules have one.
    """
    drawn = strongest(rules) if too_many(rules) else rules
    return (Step(None, LINE_BASE), *(Step(number, color) for number, color in sorted(_by_number(drawn).items())))


def too_many(rules: Iterable[Rule]) -> bool:
    """Whether the rules name more numbers than a person can tell apart in one panel."""
    return len({rule.threshold for rule in rules}) > MOST_NUMBERS


def equal_values(rules: Iterable[Rule]) -> dict[float, str]:
    """The colour of each number that an ``equals`` rule names; of too many numbers, those of the gravest rules."""
    naming = sorted((rule for rule in rules if rule.comparison == "equals"), key=_rank, reverse=True)
    numbers = list(dict.fromkeys(rule.threshold for rule in naming))[:MOST_NUMBERS]
    return {number: color for number, color in sorted(_by_number(naming).items()) if number in set(numbers)}


def _by_number(rules: Iterable[Rule]) -> dict[float, str]:
    severities: dict[float, Severity] = {}
    for rule in rules:
        known = severities.get(rule.threshold, rule.severity)
        severities[rule.threshold] = worst(known, rule.severity)
    return {number: BY_SEVERITY[severity] for number, severity in severities.items()}
