"""Running rule tests on the alerter's own judge. Pure: each test's time begins at Unix 0, as promtool's does.

The watching is taken to have begun long before: a window that reaches back beyond minute 0 holds what there is, as in
Prometheus, instead of being unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from alerts.history import History
from alerts.judge import judge
from alerts.readings import readings
from alerts.rule import Rule
from alerts.rule_test import Expectation, RuleTest, Series, spans_text
from alerts.rule_test_file import TARGET
from alerts.series import LabelSet, Sample, Scrape
from alerts.series_text import series_text
from alerts.state import AlertKey, State

_LONG_BEFORE = float("-inf")

Fires = dict[AlertKey, tuple[bool, ...]]
"""At which steps each alert fired, for every series that its rule judged."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An alert that did not fire as it should; ``found`` None means that no series has these labels."""

    test: RuleTest
    expected: Expectation
    labels: LabelSet
    found: tuple[bool, ...] | None

    def __str__(self) -> str:
        """Print as ``my_test.yml:12: a card fills: GpuMemoryAlmostFull{gpu="0"} fires 4m..17m, expected 3m..17m``."""
        place = f"{self.test.file}:{self.expected.line}: {self.test.name}"
        shown = {name: value for name, value in self.labels if TARGET.get(name) != value}
        alert = series_text(self.expected.alert, shown)
        expected = spans_text(self.expected.fires, self.test.interval)
        if self.found is None:
            return f"{place}: {alert} is judged on no series of the test, expected {expected}"
        found = spans_text(self.found, self.test.interval)
        return f"{place}: {alert} fires {found}, expected {expected}"


def run(test: RuleTest, rules: Sequence[Rule]) -> Fires:
    """Judge step after step what the test's series say."""
    named = {one.alert for one in test.firing}
    watched = [rule for rule in rules if rule.alert in named and not rule.expr]
    history, states = History(watched_since=_LONG_BEFORE), dict[AlertKey, State]()
    fires: dict[AlertKey, list[bool]] = {}
    for step, now in enumerate(test.times):
        scrapes = _scrapes(test.series, step, now)
        history.take(rules, scrapes, now, max_gap=2 * test.interval)
        _advance(states, rules, scrapes, history, now, test.interval)
        for rule in watched:
            for labels in readings(rule, scrapes, history, now):
                fires.setdefault(AlertKey(rule.alert, labels), [False] * len(test.times))
        for key, state in states.items():
            if key in fires and state.phase == "firing":
                fires[key][step] = True
    return {key: tuple(found) for key, found in fires.items()}


def _advance(
    states: dict[AlertKey, State],
    rules: Sequence[Rule],
    scrapes: Sequence[Scrape],
    history: History,
    now: float,
    interval: float,
) -> None:
    for change in judge(rules, scrapes, states, now, max_gap=2 * interval, history=history):
        if change.state:
            states[change.key] = change.state
        else:
            states.pop(change.key, None)


def _scrapes(series: Iterable[Series], step: int, now: float) -> list[Scrape]:
    """One visit to each target."""
    found: dict[LabelSet, dict[str, list[Sample]]] = {}
    for one in series:
        samples = found.setdefault(one.target, {})
        value = one.values[step]
        if value is not None:
            samples.setdefault(one.metric, []).append(Sample(one.labels, value))
    return [_scrape(dict(target), samples, now) for target, samples in found.items()]


def _scrape(target: Mapping[str, str], samples: Mapping[str, Sequence[Sample]], now: float) -> Scrape:
    job, instance = target.get("job", ""), target.get("instance", "")
    answered = samples["up"][0].value == 1
    kept = {name: tuple(found) for name, found in samples.items() if answered or name == "up"}
    error = None if answered else "up is 0"
    return Scrape(f"http://{instance}/metrics", job, instance, now, error, MappingProxyType(kept))


def failures(test: RuleTest, fires: Fires) -> list[Failure]:
    """Where the alerts did not fire as the test says, in the order of its lines."""
    found: list[Failure] = []
    meant: set[Expectation] = set()
    for key in sorted(fires):
        for expected in test.meaning(key.alertname, key.labels):
            meant.add(expected)
            if fires[key] != expected.fires:
                found.append(Failure(test, expected, key.labels, fires[key]))
    found.extend(
        Failure(test, expected, expected.labels, None)
        for expected in test.firing
        # An alert that never fires may well be one whose metric the test's card does not have.
        if expected not in meant and not expected.only_prometheus and (expected.labels or any(expected.fires))
    )
    return sorted(found, key=lambda failure: failure.expected.line or 0)
