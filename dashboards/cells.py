"""Which series of a metric share their limits: overrides for some series make rules that judge disjoint ones.

Such a metric is drawn in several ``Cell``s: each is one query, picked by the very matchers of the rules, with steps of
its own. Rules on several metrics divide what carries the same labels in all of them, a card for one: tiles stand query
by query, so rows that stand under each other must be divided alike.

Scopes multiply, and a screen cannot show hundreds of limits. Metric by metric, what would make more than ``MOST_CELLS``
cells or selectors of more than ``MOST_BYTES`` divides nothing; then only rules without ``where`` colour that metric.
``equals`` rules colour a number wherever it stands, so they divide nothing either.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from alerts.matchers import Matcher, contradict
from alerts.rules import Rule
from dashboards.thresholds import rules_for, strongest

MOST_CELLS = 30
MOST_BYTES = 6_000
"""Of all selectors of a division as JSON; each stands in some thirty places of the wall."""
_MOST_SCOPED = 200
"""Rules for some series of one metric that are tried at all."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The series that satisfy ``where`` and none of the groups in ``unless``."""

    where: tuple[Matcher, ...] = ()
    unless: tuple[tuple[Matcher, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """The series that satisfy ``where`` and lie in none of ``outside``, and what judges them by a limit.

    Of several rules for all series only the ``strongest`` are here.
    """

    where: tuple[Matcher, ...] = ()
    outside: tuple[Scope, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Division:
    """Disjoint cells that leave no series out; ``whole`` are the metrics whose rules for some series are left out."""

    cells: tuple[Cell, ...]
    whole: frozenset[str]


def divide(rules: Sequence[Rule], *metrics: str, judging_by: Callable[..., tuple[Rule, ...]] = rules_for) -> Division:
    """Divide series so that the same rules on these metrics judge all of a cell; ``judging_by`` picks them."""
    found: tuple[Cell, ...] = (Cell(),)
    everywhere: list[Rule] = []
    whole: set[str] = set()
    for metric in metrics:
        judging = [rule for rule in judging_by(rules, metric) if rule.comparison != "equals"]
        refined = _refined(found, [rule for rule in judging if rule.where or rule.unless])
        if refined is None:
            whole.add(metric)
            judging = [replace(rule, unless=()) for rule in judging]
        else:
            found = refined
        everywhere.extend(strongest(rule for rule in judging if not rule.where and not rule.unless))
    cells = tuple(replace(cell, rules=(*everywhere, *cell.rules)) for cell in found)
    return Division(cells, frozenset(whole))


def _refined(found: tuple[Cell, ...], scoped: Sequence[Rule]) -> tuple[Cell, ...] | None:
    """The cells divided by these rules too; None when that is too much to draw."""
    if len(scoped) > _MOST_SCOPED:
        return None
    by_alert: dict[str, list[tuple[Scope, Rule]]] = {}
    for rule in scoped:
        by_alert.setdefault(rule.alert, []).append((_scope(rule), rule))
    for parts in by_alert.values():
        pieces = (piece for cell in found for piece in _divide(cell, parts))
        found = tuple(islice(pieces, MOST_CELLS + 1))
        if len(found) > MOST_CELLS or sum(map(_bytes, found)) > MOST_BYTES:
            return None
    return found


def _bytes(cell: Cell) -> int:
    groups = (cell.where, *(group for scope in cell.outside for group in (scope.where, *scope.unless)))
    return sum(len(json.dumps(", ".join(map(str, group)), ensure_ascii=False).encode()) for group in groups)


def _scope(rule: Rule) -> Scope:
    """The rule's series; of its exceptions those that could be among them."""
    return Scope(rule.where, tuple(group for group in rule.unless if not contradict((*rule.where, *group))))


def _divide(cell: Cell, parts: Sequence[tuple[Scope, Rule]]) -> Iterable[Cell]:
    for scope, rule in parts:
        outside = (*cell.outside, *map(Scope, scope.unless))
        yield from _unless_empty((*cell.where, *scope.where), outside, (*cell.rules, rule))
    scopes = [scope for scope, _ in parts]
    if not _total(scopes):
        yield from _unless_empty(cell.where, (*cell.outside, *scopes), cell.rules)


def _unless_empty(where: Iterable[Matcher], outside: Iterable[Scope], rules: tuple[Rule, ...]) -> Iterable[Cell]:
    """The cell without what says nothing, or nothing when plainly no series is in it."""
    kept = tuple(dict.fromkeys(where))
    if contradict(kept):
        return
    beside = tuple(scope for scope in dict.fromkeys(outside) if not contradict((*kept, *scope.where)))
    if not any(
        set(scope.where) <= set(kept) and all(Scope(group) in beside for group in scope.unless) for scope in beside
    ):
        yield Cell(kept, beside, rules)


def _total(scopes: Sequence[Scope]) -> bool:
    """Whether they plainly hold every series: one has no ``where``, and its exceptions are the others."""
    held = {frozenset(scope.where) for scope in scopes if not scope.unless}
    return any(not scope.where and {frozenset(group) for group in scope.unless} <= held for scope in scopes)
