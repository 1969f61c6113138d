"""Whom a rule tells, in words: as far as that can be known before one of its series fires. Pure."""

from collections.abc import Iterator, Sequence

from alerts.alert_labels import renamed
from alerts.notify.policy import Policy
from alerts.notify.routes import Route
from alerts.reading_words import span_words
from alerts.rule import Rule


def telling(rule: Rule, policy: Policy, otherwise: Sequence[str]) -> str:
    """Who is told of the rule's alerts, and after how long again; ``otherwise`` are told of what no route means."""
    found = "; ".join(_whom(rule, policy.routes, otherwise)) or "nobody"
    span = policy.notify.repeat.by_severity[rule.severity]
    unless = ", unless its route says otherwise" if any(route.repeat is not None for route in policy.routes) else ""
    return f"{found}; {f'again after {span_words(span)}' if span else 'once'}{unless}"


def _whom(rule: Rule, routes: Sequence[Route], otherwise: Sequence[str]) -> Iterator[str]:
    known, taken, asked = _known(rule), False, False
    for route in routes:
        if any(not matcher.accepts(known[matcher.label]) for matcher in route.where if matcher.label in known):
            continue
        unknown = [str(matcher) for matcher in route.where if matcher.label not in known]
        yield ", ".join(route.recipients) + (f" where {', '.join(unknown)}" if unknown else "")
        taken, asked = taken or not unknown, asked or bool(unknown)
        if not unknown and not route.goes_on:
            return
    if not taken and otherwise:
        yield f"{'else ' if asked else ''}{', '.join(otherwise)}"


def _known(rule: Rule) -> dict[str, str]:
    """The labels that all alerts of the rule have."""
    names = renamed(rule)
    fixed = {names.get(one.label, one.label): one.value for one in rule.where if one.operator == "="}
    return {**fixed, **dict(rule.labels), "severity": rule.severity, "alertname": rule.alert}
