"""From rules files to the rules that are judged.

Files are read in order, the shipped one first; entries apply in the order in which they are written. An override with
``where`` splits each rule that it can touch in two disjoint ones: the series of its ``where`` get the new numbers, the
others keep theirs (``Rule.unless``). So every series is judged by at most one rule of an alert, later overrides win,
and the generated Prometheus file can say the same with one expression for each part.

All mistakes of all files are reported together; a rule with a mistake causes no further ones elsewhere.
"""

import pathlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from alerts.matchers import Matcher, contradict
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.rule_checks import check_definition, check_labels, check_muting, check_texts, check_where
from alerts.rule_file import Definition, Entry, Override, Terms, entries
from alerts.rule_numbers import Finding, check_comparison, check_kept, check_numbers, check_together, check_window
from alerts.rule_terms import change, comparison_of, define, matchers
from alerts.selections import TooManySelectionsError, selections
from alerts.windows import Quantile
from gpuwarden.documents import Document, DocumentError, Mistake, nearest, read

__all__ = ["SHIPPED", "Part", "Rule", "load_parts", "load_rules", "rules_of"]

SHIPPED = pathlib.Path(__file__).with_name("rules.yml")

_MOST_PARTS = 100
"""Rules into which overrides may split one alert."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rule on some of its alert's series; one that is switched off can be switched on again further down."""

    rule: Rule
    enabled: bool
    entry: Entry = field(compare=False, repr=False)
    """Where the rule is defined."""


def load_rules(shipped: pathlib.Path | None, files: Sequence[pathlib.Path]) -> tuple[Rule, ...]:
    """Read the shipped rules, where there are any, and the user's files on top; what is switched off is left out.

    Raises:
        DocumentError: with every mistake of every file.
    """
    return tuple(part.rule for part in load_parts(shipped, files) if part.enabled)


def load_parts(shipped: pathlib.Path | None, files: Sequence[pathlib.Path]) -> tuple[Part, ...]:
    """As ``load_rules``, with what is switched off, for those who explain rules.

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
    return tuple(part.rule for part in _build(documents, []) if part.enabled)


def _build(documents: Iterable[Document], mistakes: list[Mistake]) -> tuple[Part, ...]:
    unread = bool(mistakes)
    rules: dict[str, list[Part]] = {}
    defined: dict[str, Entry] = {}
    muting: dict[str, Entry] = {}
    for document in documents:
        for entry in entries(document, mistakes):
            if isinstance(entry.content, Override):
                mistakes.extend(_override(entry, entry.content, rules, defined, unread=unread))
                if entry.content.muted_by is not None:
                    muting[entry.content.override] = entry
                continue
            first = defined.setdefault(entry.defines, entry) if entry.defines else entry
            if first is not entry:
                mistakes.append(_twice(entry, first))
            if entry.content:
                mistakes.extend(_define(entry, entry.content, {} if first is not entry else rules))
    if not mistakes:
        mistakes.extend(_check_all(rules, {**defined, **muting}))
    if mistakes:
        raise DocumentError(mistakes)
    return tuple(part for parts in rules.values() for part in _aware(parts))


def _aware(parts: Sequence[Part]) -> Iterator[Part]:
    """Each knows which labels the others add, so that a label has one name on all series of the alert."""
    names = {name for part in parts for name, _ in part.rule.labels}
    for part in parts:
        others = names - {name for name, _ in part.rule.labels}
        yield replace(part, rule=replace(part.rule, other_labels=tuple(sorted(others))))


def _twice(entry: Entry, first: Entry) -> Mistake:
    hint = f"write 'override: {entry.defines}' to change it"
    return entry.mistake("alert", f"{entry.defines} is already defined in {first.place}", hint)


def _define(entry: Entry, content: Definition, parts: dict[str, list[Part]]) -> list[Mistake]:
    findings = list(check_definition(content))
    unknown = {"metric", "unit", "expr"} & {key for key, _, _ in findings}
    findings.extend(check_comparison(content))
    findings.extend(check_together(content))
    compared = comparison_of(content) or content.expr
    if not unknown:
        findings.extend(check_window(content, content.metric))
        findings.extend(check_where(content.metric, content.where, of_quantile=content.quantile is not None))
        findings.extend(check_texts(_labels(content), {"summary": content.summary, "action": content.action}))
        findings.extend(check_labels(content.metric, content.labels))
    if not unknown and compared:
        findings.extend(check_numbers(define(content, {}), (*_written(content), "clear")))
    if entry.faulty:
        findings = [finding for finding in findings if finding[0]]
    elif compared and not findings:
        parts[content.alert] = [Part(define(content, content.where), content.enabled, entry)]
    return _at(entry, findings)


def _labels(content: Definition) -> Sequence[str] | None:
    return TARGET_LABELS if content.absent else labels_of(content.metric)


def _written(terms: Terms) -> tuple[str, ...]:
    comparison = comparison_of(terms)
    return (comparison[0],) if comparison else ()


def _override(
    entry: Entry, content: Override, rules: dict[str, list[Part]], defined: dict[str, Entry], *, unread: bool
) -> list[Mistake]:
    name = content.override
    if name not in defined:
        message = f"there is no rule {name[:100]!r} above this line"
        return [] if unread else [entry.mistake("override", message, nearest(name, defined))]
    parts = rules.get(name, [])
    if not parts:
        return []
    findings = list(_check_override(parts[0].rule, content))
    if not findings and not entry.faulty:
        scope = matchers(content.where)
        changed = [_changed(part, content, clears=entry.clears) for part in parts]
        findings.extend(_check_changed(changed, parts, content, scope, clears=entry.clears))
        rules[name] = list(_split(parts, changed, scope))
        if len(rules[name]) > _MOST_PARTS:
            findings.append(("where", f"splits {name} into more than {_MOST_PARTS} rules", "use fewer overrides"))
            rules[name] = []
    return _at(entry, findings)


def _check_override(rule: Rule, content: Override) -> Iterator[Finding]:
    yield from check_comparison(content)
    yield from check_kept(rule, content)
    yield from check_window(content, rule.metric)
    yield from check_texts(rule.series_labels, {"summary": content.summary, "action": content.action})
    yield from check_labels(rule.metric, content.labels or {})
    if rule.expr and content.where:
        yield "where", f"{rule.alert} is an expression, of which no series can be told apart", "leave it out"
    elif rule.comparison == "absent" and set(content.where) - set(TARGET_LABELS):
        yield "where", f"{rule.alert} judges targets, so only job and instance can tell them apart", ""
    else:
        yield from check_where(rule.metric, content.where, of_quantile=isinstance(rule.window, Quantile))


def _changed(part: Part, content: Override, *, clears: bool) -> Part:
    enabled = part.enabled if content.enabled is None else content.enabled
    return replace(part, rule=change(part.rule, content, clears=clears), enabled=enabled)


def _check_changed(
    changed: Sequence[Part], parts: Sequence[Part], content: Override, scope: tuple[Matcher, ...], *, clears: bool
) -> Iterator[Finding]:
    touched = [new for new, old in zip(changed, parts, strict=True) if not contradict((*old.rule.where, *scope))]
    if not touched:
        yield "where", "no series of the rule can satisfy this", ""
    changes = {"clear": clears, "over": content.over, "for": content.for_ is not None}
    written = [*_written(content), *(key for key, is_written in changes.items() if is_written)]
    for part in touched:
        if part.enabled:
            yield from check_numbers(part.rule, written)


def _split(parts: Sequence[Part], changed: Sequence[Part], scope: tuple[Matcher, ...]) -> Iterator[Part]:
    for part, new in zip(parts, changed, strict=True):
        old = part.rule
        inside = (*old.where, *(matcher for matcher in scope if matcher not in old.where))
        if contradict(inside):
            yield part
            continue
        if set(inside) != set(old.where):
            yield replace(part, rule=replace(old, unless=(*old.unless, scope)))
        yield replace(new, rule=replace(new.rule, where=inside))


def _check_all(rules: Mapping[str, Sequence[Part]], muting: Mapping[str, Entry]) -> Iterator[Mistake]:
    """What can only be said once all rules are known; ``muting`` are the entries that say last what mutes a rule."""
    by_name = {name: [part.rule for part in parts] for name, parts in rules.items()}
    for name, found in by_name.items():
        findings = [finding for rule in found for finding in check_muting(rule, by_name)]
        findings.extend(_check_divided([part.rule for part in rules[name] if part.enabled]))
        yield from _at(muting[name], findings)


def _check_divided(parts: Sequence[Rule]) -> Iterator[Finding]:
    try:
        for name in {name for part in parts for name in part.muted_by}:
            deque(selections(parts, name), maxlen=0)
    except TooManySelectionsError:
        message = f"the overrides of {parts[0].alert} divide its series in more ways than Alertmanager can be told"
        yield "muted_by", message, "tell the series apart by one label, as uuid, and by plain values"


def _at(entry: Entry, findings: Iterable[Finding]) -> list[Mistake]:
    return [entry.mistake(key, message, hint) for key, message, hint in dict.fromkeys(findings)]
