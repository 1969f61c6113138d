"""Rule tests as people write them: input series, and when alerts shall fire on them.

    interval: 1m
    tests:
      - name: a card fills and empties
        series:
          gpu_memory_used_ratio{gpu="0", uuid="a"}: 0.5x2 0.95x10 0.5x5
        firing:
          GpuMemoryAlmostFull: 4m..18m
          GpuLost: never

1. ``interval`` lies between two scrapes, each of which is followed by a judgement; the first is at minute 0.
2. A series is a name with labels and its values (``rule_test_values``). One without job or instance has the job
   ``gpuwarden`` and the instance ``test:9400``. The test is as long as its longest series; a shorter one goes on with
   its last value.
3. ``up`` is 1 for each target, unless the test has a series ``up`` for it. While that is 0 nothing else is read there.
   So is ``gpu_up`` for each card that has series.
4. A time stamp is in seconds from minute 0 on: 300 is five minutes after the start, -60 a minute before it.
5. ``firing`` says for each alert it names when it fires, at every step of the test: ``never``, or spans such as
   ``3m..17m, 20m..``; at 3m it fires, at 17m no longer. Alerts that are not named may do as they like.
6. Labels after an alert's name pick the series that are meant. A series that several entries mean is held against the
   one with the most labels. An alert with an ``expr`` is meant with exactly the labels that are written.

Every scalar is read as it is written: YAML would take ``0x5`` for the number 5.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from alerts.judge import CARDS
from alerts.rule import TARGET_LABELS, Rule, labels_of
from alerts.rule_test import Expectation, RuleTest, Series, parse_spans
from alerts.rule_test_values import ValuesError, parse_values
from alerts.series import JOB, LabelSet, label_set
from alerts.series_text import SeriesTextError, parse_series
from gpuwarden.catalog import CATALOG, OUR_PREFIXES
from gpuwarden.documents import Document, DocumentError, Mistake, Path, nearest
from gpuwarden.structure import structure
from gpuwarden.units import Duration, format_duration

TARGET = {"job": JOB, "instance": "test:9400"}
"""Where a series comes from that says nothing about it."""

_CARD_LABELS = frozenset({*TARGET_LABELS, "gpu", "uuid"})
_LONGEST_INTERVAL = 240.0
_HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")
_DEFAULT_INTERVAL = Duration(60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    series: Mapping[str, str]
    firing: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    tests: tuple[_Case, ...]
    interval: Duration = _DEFAULT_INTERVAL


def rule_tests(
    document: Document, rules: Sequence[Rule], *, off: Collection[str] = (), with_expr: bool = False
) -> tuple[RuleTest, ...]:
    """The tests of a file that was parsed ``as_written``.

    ``off`` are the names of rules that are switched off; ``with_expr`` takes rules that only Prometheus judges.

    Raises:
        DocumentError: with every mistake of the file.
    """
    content = structure(_File, document)
    mistakes: list[Mistake] = []
    if not content.tests:
        mistakes.append(document.mistake(("tests",), "holds no test"))
    interval = content.interval
    if not 0 < interval <= _LONGEST_INTERVAL:
        hint = "write 1m: Prometheus forgets after 5m what fired"
        message = f"must be more than nothing and at most {format_duration(_LONGEST_INTERVAL)}"
        mistakes.append(document.mistake(("interval",), message, hint))
        interval = _DEFAULT_INTERVAL
    by_name: dict[str, Rule] = {}
    for rule in rules:
        by_name.setdefault(rule.alert, rule)
    reader = _Reader(document, by_name, off, interval, with_expr, mistakes)
    tests = tuple(reader.test(("tests", number), case) for number, case in enumerate(content.tests))
    if mistakes:
        raise DocumentError(mistakes)
    return tests


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the tests of one file; what is wrong goes to ``mistakes``. ``rules`` are one of each name."""

    document: Document
    rules: Mapping[str, Rule]
    off: Collection[str]
    interval: float
    with_expr: bool
    mistakes: list[Mistake]

    def test(self, path: Path, case: _Case) -> RuleTest:
        for key in ("series", "firing"):
            if not getattr(case, key):
                self._wrong((*path, key), "is empty, so there is nothing to test")
        readable = list(self._all_series((*path, "series"), case.series))
        series = _complete(readable)
        steps = len(series[0].values) if series and len(readable) == len(case.series) else None
        firing = [self._expectation((*path, "firing", key), key, text, steps) for key, text in case.firing.items()]
        return RuleTest(case.name, self.document.file, self.interval, series, tuple(one for one in firing if one))

    def _wrong(self, path: Path, message: str, hint: str = "") -> None:
        self.mistakes.append(self.document.mistake(path, message, hint))

    def _all_series(self, path: Path, written: Mapping[str, str]) -> Iterator[Series]:
        seen: set[tuple[str, LabelSet]] = set()
        for key, text in written.items():
            at = (*path, key)
            try:
                metric, labels = parse_series(key)
                values = parse_values(text)
            except (SeriesTextError, ValuesError) as error:
                self._wrong(at, str(error), error.hint)
                continue
            self._check_metric(at, metric, labels)
            if metric == "up" and not set(values) <= {0.0, 1.0}:
                self._wrong(at, "up is 1 or 0 at every step", "write 1x5 0x3 1x5")
            found = Series(metric, label_set(TARGET | labels), values)
            if (metric, found.labels) in seen:
                self._wrong(at, "is the same series as one above")
            seen.add((metric, found.labels))
            yield found

    def _check_metric(self, path: Path, metric: str, labels: Mapping[str, str]) -> None:
        base = next((metric.removesuffix(part) for part in _HISTOGRAM_PARTS if _is_part(metric, part)), metric)
        known = labels_of(base)
        if known is not None:
            self._check_labels(path, metric, (*known, *(["le"] if metric.endswith("_bucket") else [])), labels)
        elif base.startswith(OUR_PREFIXES):
            self._wrong(path, f"{metric[:100]} is not a metric of gpuwarden", nearest(metric, CATALOG))

    def _check_labels(self, path: Path, name: str, known: Sequence[str], labels: Mapping[str, str]) -> None:
        for label in labels:
            if label not in known:
                hint = nearest(label, known) or f"its labels: {', '.join(known)}"
                self._wrong(path, f"{name} has no label {label[:100]!r}", hint)

    def _expectation(self, path: Path, key: str, text: str, steps: int | None) -> Expectation | None:
        try:
            alert, labels = parse_series(key)
        except SeriesTextError as error:
            self._wrong(path, str(error), error.hint)
            return None
        rule = self.rules.get(alert)
        if alert in self.off:
            self._wrong(path, f"{alert} is switched off", "give a file with 'override' and enabled: true as --rules")
        elif rule is None:
            hint = nearest(alert, self.rules) or "gpuwarden rules list shows those in force"
            self._wrong(path, f"there is no rule {alert[:100]!r} in force", hint)
        elif rule.expr and not self.with_expr:
            self._wrong(path, "only Prometheus judges expr rules", "gpuwarden rules test --promtool")
        elif not rule.expr:
            known = rule.series_labels
            self._check_labels(path, alert, known or tuple(labels), labels)
        if steps is None:
            return None  # a series is wrong, so nobody knows how long the test is
        try:
            fires = parse_spans(text, self.interval, steps)
        except ValueError as error:
            self._wrong(path, str(error), "write never, 3m.., 3m..17m or 3m..17m, 20m..")
            return None
        return Expectation(self.document.line(path), alert, label_set(labels), fires, bool(rule and rule.expr))


def _is_part(metric: str, part: str) -> bool:
    row = CATALOG.get(metric.removesuffix(part)) if metric.endswith(part) else None
    return row is not None and row.kind == "histogram"


def _complete(series: Sequence[Series]) -> tuple[Series, ...]:
    """With an ``up`` for each target, a ``gpu_up`` for each card, and all of one length."""
    targets = dict.fromkeys(one.target for one in series)
    known = {one.target for one in series if one.metric == "up"}
    ups = [Series("up", target, (1.0,)) for target in targets if target not in known]
    steps = max((len(one.values) for one in series), default=0)
    return tuple(
        Series(one.metric, one.labels, (*one.values, *[one.values[-1]] * (steps - len(one.values))))
        for one in (*series, *ups, *_cards(series))
    )


def _cards(series: Sequence[Series]) -> list[Series]:
    """A ``gpu_up`` for each card that has series but none of these."""
    written = {_card(one.labels) for one in series if one.metric == CARDS}
    found = {_card(one.labels): one for one in series if "uuid" in (labels_of(one.metric) or ())}
    return [
        Series(CARDS, label_set({name: text for name, text in one.labels if name in _CARD_LABELS}), (1.0,))
        for card, one in found.items()
        if card not in written
    ]


def _card(labels: LabelSet) -> tuple[str, ...]:
    own = dict(labels)
    return tuple(own.get(name, "") for name in ("job", "instance", "uuid"))
