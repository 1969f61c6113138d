"""From rules files to the rules that are judged.

Files are read in order, the shipped one first; entries apply in the order in which they are written. An override with
``where`` splits each rule that it can touch in two disjoint ones: the series of its ``where`` get the new numbers, the
others keep theirs (``Rule.unless``). So every series is judged by at most one rule of an alert, later overrides win,
and the generated Prometheus file can say the same with one expression for each part.

All mistakes of all files are reported together; a rule with a mistake causes no further ones elsewhere.
"""

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from alerts.matchers import Matcher, contradict
from alerts.notify.notification import Comparison
from alerts.rule import Rule
from alerts.rule_checks import (
    Finding,
    check_comparison,
    check_definition,
    check_numbers,
    check_texts,
    check_where,
    matchers,
)
from alerts.rule_file import COMPARISONS, Definition, Entry, Override, entries
from gpuwarden.catalog import CATALOG
from gpuwarden.documents import Document, DocumentError, Mistake, nearest, read

__all__ = ["SHIPPED", "Rule", "load_rules", "rules_of"]

SHIPPED = pathlib.Path(__file__).with_name("rules.yml")

_MOST_PARTS = 100
"""Rules into which overrides may split one alert."""


def load_rules(shipped: pathlib.Path | None, files: Sequence[pathlib.Path]) -> tuple[Rule, ...]:
    """Read the shipped rules, where there are any, and the user's files on top.

    Raises:
        DocumentError: with every mistake of every file.
    """
    documents: list[Document] = []
    mistakes: list[Mistake] = []
    for path in (*([shipped] if shipped else []), *files):
        try:
            documents.append(read(path))
        except DocumentError as error:
            mistakes.extend(error.mistakes)
    return _build(documents, mistakes)


def rules_of(documents: Iterable[Document]) -> tuple[Rule, ...]:
    """The rules of parsed documents.

    Raises:
        DocumentError: with every mistake of every document.
    """
    return _build(documents, [])


def _build(documents: Iterable[Document], mistakes: list[Mistake]) -> tuple[Rule, ...]:
    unread = bool(mistakes)
    rules: dict[str, list[Rule]] = {}
    defined: dict[str, Entry] = {}
    for document in documents:
        for entry in entries(document, mistakes):
            if isinstance(entry.content, Override):
                mistakes.extend(_override(entry, entry.content, rules, defined, unread=unread))
                continue
            first = defined.setdefault(entry.defines, entry) if entry.defines else entry
            if first is not entry:
                mistakes.append(_twice(entry, first))
            if entry.content:
                mistakes.extend(_define(entry, entry.content, {} if first is not entry else rules))
    if mistakes:
        raise DocumentError(mistakes)
    return tuple(rule for parts in rules.values() for rule in parts)


def _twice(entry: Entry, first: Entry) -> Mistake:
    hint = f"write 'override: {entry.defines}' to change it"
    return entry.mistake("alert", f"{entry.defines} is already defined in {first.place}", hint)


def _define(entry: Entry, content: Definition, rules: dict[str, list[Rule]]) -> list[Mistake]:
    findings = list(check_definition(content))
    known = not any(key in {"metric", "unit"} for key, _, _ in findings)
    findings.extend(check_comparison(content))
    compared = _comparison(content)
    if known:
        findings.extend(check_where(content.metric, content.where))
        findings.extend(check_texts(content.metric, {"summary": content.summary, "action": content.action}))
    if known and compared:
        findings.extend(check_numbers(_rule(content, compared, ()), (compared[0], "clear")))
    if entry.faulty:
        findings = [finding for finding in findings if finding[0]]
    elif compared and not findings:
        rules[content.alert] = [_rule(content, compared, matchers(content.where))]
    return _at(entry, findings)


def _rule(content: Definition, compared: tuple[Comparison, float], where: tuple[Matcher, ...]) -> Rule:
    comparison, threshold = compared
    known = CATALOG.get(content.metric)
    return Rule(
        alert=content.alert,
        metric=content.metric,
        unit=known.unit if known else content.unit or "count",
        comparison=comparison,
        threshold=threshold,
        clear=content.clear,
        for_=content.for_,
        keep_firing_for=content.keep_firing_for,
        severity=content.severity,
        summary=content.summary,
        action=content.action,
        where=where,
    )


def _comparison(content: Definition | Override) -> tuple[Comparison, float] | None:
    numbers = {"above": content.above, "below": content.below, "equals": content.equals}
    return next(((key, number) for key in COMPARISONS if (number := numbers[key]) is not None), None)


def _override(
    entry: Entry, content: Override, rules: dict[str, list[Rule]], defined: dict[str, Entry], *, unread: bool
) -> list[Mistake]:
    name = content.override
    if name not in defined:
        message = f"there is no rule {name[:100]!r} above this line"
        return [] if unread else [entry.mistake("override", message, nearest(name, defined))]
    parts = rules.get(name, [])
    if not parts:
        return []
    metric = parts[0].metric
    findings = [*check_comparison(content), *check_where(metric, content.where)]
    findings.extend(check_texts(metric, {"summary": content.summary, "action": content.action}))
    if not findings and not entry.faulty:
        scope = matchers(content.where)
        changed = [_changed(rule, content, clears=entry.clears) for rule in parts]
        findings.extend(_check_changed(changed, parts, content, scope, clears=entry.clears))
        rules[name] = list(_split(parts, changed, scope, enabled=content.enabled))
        if len(rules[name]) > _MOST_PARTS:
            findings.append(("where", f"splits {name} into more than {_MOST_PARTS} rules", "use fewer overrides"))
            rules[name] = []
    return _at(entry, findings)


def _changed(rule: Rule, content: Override, *, clears: bool) -> Rule:
    comparison, threshold = _comparison(content) or (rule.comparison, rule.threshold)
    return replace(
        rule,
        comparison=comparison,
        threshold=threshold,
        clear=content.clear if clears else rule.clear,
        for_=rule.for_ if content.for_ is None else content.for_,
        keep_firing_for=rule.keep_firing_for if content.keep_firing_for is None else content.keep_firing_for,
        severity=content.severity or rule.severity,
        summary=rule.summary if content.summary is None else content.summary,
        action=rule.action if content.action is None else content.action,
    )


def _check_changed(
    changed: Sequence[Rule], parts: Sequence[Rule], content: Override, scope: tuple[Matcher, ...], *, clears: bool
) -> Iterator[Finding]:
    touched = [new for new, old in zip(changed, parts, strict=True) if not contradict((*old.where, *scope))]
    if not touched:
        yield "where", "no series of the rule can satisfy this", ""
    comparison = _comparison(content)
    written = [*([comparison[0]] if comparison else []), *(["clear"] if clears else [])]
    if content.enabled:
        yield from dict.fromkeys(finding for rule in touched for finding in check_numbers(rule, written))


def _split(
    parts: Sequence[Rule], changed: Sequence[Rule], scope: tuple[Matcher, ...], *, enabled: bool
) -> Iterator[Rule]:
    for old, new in zip(parts, changed, strict=True):
        inside = (*old.where, *(matcher for matcher in scope if matcher not in old.where))
        if contradict(inside):
            yield old
            continue
        if set(inside) != set(old.where):
            yield replace(old, unless=(*old.unless, scope))
        if enabled:
            yield replace(new, where=inside)


def _at(entry: Entry, findings: Iterable[Finding]) -> list[Mistake]:
    return [entry.mistake(key, message, hint) for key, message, hint in findings]
