"""One round: every rule on every series that was scraped or is remembered. Pure: no clock, no disk, no network.

For each rule the judged series are those of all scrapes that it covers, and those that the states remember. A
remembered series without a sample is unknown: its target failed, or its card vanished; ``evaluator`` says what that
means. ``up`` is in every scrape, failed or not, so a rule on ``up`` always has a reading. A rule with ``expr`` is for
Prometheus to judge.

A series has ended for good (``gone``) when its target answers without a number for it and either the rule ends then, or
it is a card's and the exporter does not count that card in ``gpu_up`` any more: a card stands there until somebody
tells the exporter to forget it.

States end here without a transition, so without a mail, when there is nothing left to judge them: the rule was removed
or renamed, or is about another metric now, an override took the series out of it, or the target is no longer
configured.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from alerts import evaluator
from alerts.evaluator import Transition
from alerts.history import History
from alerts.readings import readings
from alerts.rule import Rule
from alerts.series import LabelSet, Scrape
from alerts.state import AlertKey, State

MOST_SERIES = 10_000
"""Series that one rule judges; what is remembered comes first, the rest is left out and logged."""

Reason = Literal[
    evaluator.Reason,
    "rule_removed",
    "series_excluded",
    "target_removed",
    "posted_firing",
    "posted_resolved",
    "superseded",
    "calm",
    "gone_from_alertmanager",
]

Read = dict[LabelSet, tuple[Rule, float | None]]
"""What the rules of one alert compare in a round, by series; None is unknown."""

CARDS = "gpu_up"
"""Has a series for each card that the exporter knows, lost ones too."""

NOTHING_KEPT = History()
"""For rules that do not look back."""

_log = logging.getLogger(__name__)
_truncated: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one round did to one alert, decided at ``at`` (Unix seconds).

    ``previous`` and ``state`` are what was and what is remembered (None: nothing). ``rule`` is None where it is gone.
    ``value`` is this round's reading, None while it is unknown.
    """

    rule: Rule | None
    key: AlertKey
    previous: State | None
    state: State | None
    transition: Transition | None
    reason: Reason
    value: float | None
    at: float


def judge(
    rules: Sequence[Rule],
    scrapes: Sequence[Scrape],
    states: Mapping[AlertKey, State],
    now: float,
    *,
    max_gap: float,
    history: History = NOTHING_KEPT,
    read: Callable[[Read], None] | None = None,
) -> list[Change]:
    """Judge one round.

    ``scrapes`` are this round's, one for each configured target, failed ones too; no two targets share an instance.
    ``max_gap`` is about two rounds, in seconds; ``history`` has taken these scrapes. ``read`` is told what is compared,
    alert by alert.
    Returns a change for every alert that was or is remembered.
    """
    remembered: dict[str, dict[LabelSet, State]] = defaultdict(dict)
    for key, state in states.items():
        remembered[key.alertname][key.labels] = state
    targets = {(scrape.job, scrape.instance): scrape for scrape in scrapes}
    changes: list[Change] = []
    for alertname, variants in _by_name(rules).items():
        known = remembered.pop(alertname, {})
        found = _readings(variants, scrapes, history, now)
        if read:
            read(found)
        for labels in _within_bounds(alertname, known, found):
            rule, value = found.get(labels, (None, math.nan))
            rule = rule or _covering(variants, labels)
            key, state = AlertKey(alertname, labels), known.get(labels)
            if state and (lost := _lost(rule, state, labels, targets)):
                changes.append(_dropped(rule, key, state, lost, now))
            elif rule:
                unread = state is not None and value is not None and math.isnan(value)
                gone = unread and _gone(rule, labels, targets.get(_target(labels)))
                changes.extend(_judged(rule, key, value, state, now, max_gap, gone=gone))
    for alertname, known in remembered.items():
        changes.extend(_dropped(None, AlertKey(alertname, item), known[item], "rule_removed", now) for item in known)
    return changes


def _by_name(rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    variants: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if not rule.expr:
            variants[rule.alert].append(rule)
    return variants


def _readings(variants: Iterable[Rule], scrapes: Sequence[Scrape], history: History, now: float) -> Read:
    found: Read = {}
    for rule in variants:
        for labels, value in readings(rule, scrapes, history, now).items():
            found.setdefault(labels, (rule, value))
    return found


def _within_bounds(alertname: str, known: Iterable[LabelSet], read: Iterable[LabelSet]) -> list[LabelSet]:
    series = list(dict.fromkeys((*known, *read)))
    if len(series) <= MOST_SERIES:
        _truncated.discard(alertname)
    elif alertname not in _truncated:
        _truncated.add(alertname)
        _log.warning("rule %s: %d of %d series are not judged", alertname, len(series) - MOST_SERIES, len(series))
    return series[:MOST_SERIES]


def _covering(variants: Iterable[Rule], labels: LabelSet) -> Rule | None:
    found = dict(labels)
    return next((rule for rule in variants if rule.covers(found)), None)


def _lost(rule: Rule | None, state: State, labels: LabelSet, targets: Container[tuple[str, str]]) -> Reason | None:
    if rule is None:
        return "series_excluded"
    if state.about not in {"", rule.about}:
        return "rule_removed"
    return None if _target(labels) in targets else "target_removed"


def _gone(rule: Rule, labels: LabelSet, scrape: Scrape | None) -> bool:
    if scrape is None or scrape.error is not None:
        return False
    return rule.ends_when_gone or (rule.judges_cards and not _counts(scrape, dict(labels).get("uuid", "")))


def _counts(scrape: Scrape, uuid: str) -> bool:
    return any(dict(sample.labels).get("uuid", "") == uuid for sample in scrape.samples.get(CARDS, ()))


def _target(labels: LabelSet) -> tuple[str, str]:
    found = dict(labels)
    return found.get("job", ""), found.get("instance", "")


def _judged(
    rule: Rule, key: AlertKey, value: float | None, state: State | None, now: float, max_gap: float, *, gone: bool
) -> Iterable[Change]:
    outcome = evaluator.step(rule, value, state, now, max_gap=max_gap, gone=gone, unwatched=value is None)
    if state or outcome.state:
        yield Change(
            rule=rule,
            key=key,
            previous=state,
            state=outcome.state,
            transition=outcome.transition,
            reason=outcome.reason,
            value=None if outcome.reason in _UNKNOWN else value,
            at=now,
        )


_UNKNOWN: frozenset[evaluator.Reason] = frozenset(
    {"no_reading", "held_unknown", "pending_unknown", "series_gone", "window_unwatched"}
)


def _dropped(rule: Rule | None, key: AlertKey, state: State, reason: Reason, now: float) -> Change:
    return Change(rule=rule, key=key, previous=state, state=None, transition=None, reason=reason, value=None, at=now)
