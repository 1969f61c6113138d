"""The numbers that a rule compares in one round, by series. Pure.

A number of None is unknown although the series is there: its window was not watched for long enough. NaN is what the
series itself, or a window with too few samples, says. A series that is not in the result was not published.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from alerts.history import History, series_names
from alerts.matchers import matches
from alerts.notify.notification import AGES
from alerts.rule import Rule
from alerts.series import LabelSet, Sample, Scrape, label_set
from alerts.windows import Over, Predict, Quantile, Samples, read, read_quantile

Readings = dict[LabelSet, float | None]


def readings(rule: Rule, scrapes: Iterable[Scrape], history: History, now: float) -> Readings:
    """What ``rule`` compares of each series that it covers; ``history`` has taken these scrapes at ``now``."""
    if rule.comparison == "absent":
        return dict(_absences(rule, scrapes))
    if isinstance(rule.window, Quantile):
        return dict(_quantiles(rule, rule.window, scrapes, history, now))
    found = _covered(rule, (sample for scrape in scrapes for sample in scrape.samples.get(rule.metric, ())))
    if rule.window:
        return dict(_seen_through(rule, rule.window, found, history, now))
    if rule.comparison in AGES:
        # A clock that is ahead of ours must not make an age negative.
        return {sample.labels: 0.0 if sample.value > now else now - sample.value for sample in found}
    return {sample.labels: sample.value for sample in found}


def _covered(rule: Rule, samples: Iterable[Sample]) -> Iterable[Sample]:
    if not rule.where and not rule.unless:
        return samples
    return (sample for sample in samples if rule.covers(dict(sample.labels)))


def _seen_through(
    rule: Rule, window: Over | Predict, found: Iterable[Sample], history: History, now: float
) -> Iterator[tuple[LabelSet, float | None]]:
    watched = history.watched(rule.metric, window)
    for sample in found:
        samples = history.samples(rule.metric, window, sample.labels)
        yield sample.labels, read(window, samples, now) if watched else None


def _absences(rule: Rule, scrapes: Iterable[Scrape]) -> Iterator[tuple[LabelSet, float]]:
    for scrape in scrapes:
        target = label_set({"job": scrape.job, "instance": scrape.instance})
        if scrape.error is None and rule.covers(dict(target)):
            samples = scrape.samples.get(rule.metric, ())
            published = any(not rule.sought or matches(rule.sought, dict(sample.labels)) for sample in samples)
            yield target, 0.0 if published else 1.0


def _quantiles(
    rule: Rule, window: Quantile, scrapes: Iterable[Scrape], history: History, now: float
) -> Iterator[tuple[LabelSet, float | None]]:
    buckets_name, count_name = series_names(rule.metric, window)
    watched = history.watched(buckets_name, window) and history.watched(count_name, window)
    for scrape in scrapes:
        buckets = _buckets(scrape.samples.get(buckets_name, ()))
        for sample in _covered(rule, scrape.samples.get(count_name, ())):
            known: Mapping[float, Samples] = {
                bound: history.samples(buckets_name, window, labels)
                for bound, labels in buckets.get(sample.labels, {}).items()
            }
            count = history.samples(count_name, window, sample.labels)
            yield sample.labels, read_quantile(window, known, count, now) if watched else None


def _buckets(samples: Iterable[Sample]) -> Mapping[LabelSet, dict[float, LabelSet]]:
    """The bucket series of each histogram, by upper bound."""
    found: dict[LabelSet, dict[float, LabelSet]] = defaultdict(dict)
    for sample in samples:
        labels = dict(sample.labels)
        bound = _bound(labels.pop("le", ""))
        if not math.isnan(bound):
            found[label_set(labels)][bound] = sample.labels
    return found


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
