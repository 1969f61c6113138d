"""From rules to the colours and lines of a panel: no number is written here, so a user's override moves the line.

Grafana colours a value by steps: each holds from its number up to the next one, the first from minus infinity. Between
two numbers the worst severity of the rules that hold there gives the colour, which turns ``below`` rules round by
itself. ``equals`` rules become value mappings. Hysteresis (``clear``) and ``for`` are left out.

An override for some series makes rules that judge disjoint series. Such a metric is drawn in several ``Cell``s: each is
one query, picked by the very matchers of the rules, with steps of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from alerts.matchers import Matcher, contradict
from alerts.notify.notification import Severity
from alerts.rules import Rule
from dashboards.palette import BY_SEVERITY, LINE_BASE, worst


@dataclass(frozen=True, slots=True)
class Step:
    """From ``value`` on (None: from minus infinity) this colour."""

    value: float | None
    color: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The series that satisfy ``where`` and none of the groups in ``unless``."""

    where: tuple[Matcher, ...] = ()
    unless: tuple[tuple[Matcher, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """The series of a metric that satisfy ``where`` and lie in none of ``outside``, and all rules that judge them."""

    where: tuple[Matcher, ...] = ()
    outside: tuple[Scope, ...] = ()
    rules: tuple[Rule, ...] = ()


def rules_for(rules: Iterable[Rule], *metrics: str) -> tuple[Rule, ...]:
    """The rules that judge one of these metrics."""
    return tuple(rule for rule in rules if rule.metric in metrics)


def steps(rules: Iterable[Rule], base: str) -> tuple[Step, ...]:
    """How a value is coloured, ``base`` where no rule holds; an ``above`` rule's colour begins at its very number."""
    judging = [rule for rule in rules if rule.comparison != "equals"]
    numbers = sorted({rule.threshold for rule in judging})
    if not numbers:
        return (Step(None, base),)
    middles = [numbers[0] - 1, *((low + high) / 2 for low, high in pairwise(numbers)), numbers[-1] + 1]
    return tuple(
        Step(number, _color_at(middle, judging, base)) for number, middle in zip([None, *numbers], middles, strict=True)
    )


def _color_at(value: float, rules: Iterable[Rule], base: str) -> str:
    severities: list[Severity] = [rule.severity for rule in rules if rule.holds(value, firing=False)]
    return BY_SEVERITY[worst(*severities)] if severities else base


def lines(rules: Iterable[Rule]) -> tuple[Step, ...]:
    """A line at every number of every rule, in the colour of its severity, whichever side of it is the bad one."""
    return (Step(None, LINE_BASE), *(Step(number, color) for number, color in sorted(_by_number(rules).items())))


def equal_values(rules: Iterable[Rule]) -> dict[float, str]:
    """The colour of each number that an ``equals`` rule names."""
    return _by_number(rule for rule in rules if rule.comparison == "equals")


def _by_number(rules: Iterable[Rule]) -> dict[float, str]:
    severities: dict[float, Severity] = {}
    for rule in rules:
        known = severities.get(rule.threshold, rule.severity)
        severities[rule.threshold] = worst(known, rule.severity)
    return {number: BY_SEVERITY[severity] for number, severity in severities.items()}


def cells(rules: Iterable[Rule]) -> tuple[Cell, ...]:
    """Divide series so that the same of these rules judge all of a cell; no series is left out.

    Rules on several metrics divide what carries the same labels in all of them: a card, for one.
    """
    by_alert: dict[str, list[Rule]] = {}
    for rule in rules:
        by_alert.setdefault(rule.alert, []).append(rule)
    found: tuple[Cell, ...] = (Cell(),)
    for parts in by_alert.values():
        found = tuple(piece for cell in found for piece in _divide(cell, parts))
    return found


def _divide(cell: Cell, parts: Sequence[Rule]) -> Iterable[Cell]:
    for rule in parts:
        where = tuple(dict.fromkeys((*cell.where, *rule.where)))
        if not contradict(where):
            outside = (*cell.outside, *(Scope(group) for group in rule.unless))
            yield Cell(where, tuple(dict.fromkeys(outside)), (*cell.rules, rule))
    if not _total(parts):
        yield Cell(cell.where, (*cell.outside, *(Scope(rule.where, rule.unless) for rule in parts)), cell.rules)


def _total(parts: Sequence[Rule]) -> bool:
    """Whether the rules plainly judge every series: one without ``where``, and its exceptions are the others'."""
    judged = {frozenset(rule.where) for rule in parts if not rule.unless}
    return any(not rule.where and {frozenset(group) for group in rule.unless} <= judged for rule in parts)
