"""Random rules on random machines, for the embedded judge and for promtool alike.

A world is two machines with two cards each, both with a GPU 0, for 40 minutes: gauges around the thresholds, counters
with resets, timestamps, histograms; series that go stale, machines that do not answer, not-a-numbers and infinities.
Beside them is a target of another job, which only Prometheus scrapes. One metric has labels that an alert has too, or
that look as if Prometheus had renamed them; what a rule adds is called like one of them.
In a world with ``gaps`` samples are merely missing, too, for less than the lookback: Prometheus bridges those. No rule
looks back there, since a window has no such sample (``DIFFERENCES`` in alerts.prometheus_rules).

Numbers are sums of powers of two and so are the thresholds on them, so that equality is met and means the same to
every arithmetic. 0.617 and 0.8802 are none, but no mixture comes to them: what is met of them is that they stay. What
else an average or a line is compared with lies between all numbers that they can give.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType

import yaml

from alerts.rule import Rule
from alerts.rules import rules_of
from alerts.series import LabelSet, Sample, Scrape, label_set
from gpuwarden.documents import parse

MINUTE = 60.0
MINUTES = 40
GAP = "_"
HOSTS = ("box:9400", "bag:9400")
JOB = "gpuwarden"
ELSEWHERE = {"instance": "web:80", "job": "node"}
BOUNDS = ("1", "2", "4", "+Inf")

GAUGES = ("gpu_power_watts", "m", "odd")
COUNTERS = ("gpu_throttle_seconds_total", "gpu_ecc_errors_total", "c_total")
TIMESTAMPS = ("gpu_xid_last_timestamp_seconds",)
HISTOGRAM = "h"
ODD_LABELS = (
    {"alertname": "Other", "team": "blue"},
    {"severity": "high", "exported_severity": "low", "exported_team": "red", "team": "blue"},
    {"exported_severity": "high", "team": "red", "alertstate": "firing"},
)

Values = list[float | str | None]
"""One for each minute: a number, GAP, or None where the scrape finds no such series."""


@dataclass
class World:
    """``series`` by metric name and labels, ``up`` by instance; ``elsewhere`` is the other job's ``up``."""

    series: dict[tuple[str, LabelSet], Values] = field(default_factory=dict)
    up: dict[str, list[float]] = field(default_factory=dict)
    elsewhere: list[float] = field(default_factory=list)

    def scrapes(self, minute: int) -> list[Scrape]:
        """What a round finds; a gap is bridged."""
        return [self._scrape(instance, minute) for instance in self.up]

    def _scrape(self, instance: str, minute: int) -> Scrape:
        answers = self.up[instance][minute] == 1
        target = label_set({"job": JOB, "instance": instance})
        samples: dict[str, list[Sample]] = {"up": [Sample(target, self.up[instance][minute])]}
        for (name, labels), values in self.series.items():
            value = _bridged(values, minute)
            if answers and value is not None and dict(labels)["instance"] == instance:
                samples.setdefault(name, []).append(Sample(labels, value))
        frozen = MappingProxyType({name: tuple(found) for name, found in samples.items()})
        return Scrape("", JOB, instance, minute * MINUTE, None if answers else "down", frozen)

    def written(self, name: str, labels: LabelSet) -> str:
        """A series in promtool's notation; a target that fails leaves stale markers."""
        values = self.series[name, labels]
        up = self.up[dict(labels)["instance"]]
        return " ".join(_written(value if alive else None) for value, alive in zip(values, up, strict=True))


def _bridged(values: Values, minute: int) -> float | None:
    while minute >= 0 and values[minute] == GAP:
        minute -= 1
    value = values[minute] if minute >= 0 else None
    return value if not isinstance(value, str) else None


def _written(value: float | str | None) -> str:
    if value is None:
        return "stale"
    if isinstance(value, str):
        return value
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))


def random_world(source: random.Random, *, gaps: bool) -> World:
    """Two machines and everything that they publish."""
    world = World(elsewhere=_runs(source, lambda: source.choice([1.0, 0.0])))
    for instance in HOSTS:
        world.up[instance] = _runs(source, lambda: source.choice([1.0] * 9 + [0.0]))
        if gaps:
            world.up[instance] = [1.0] * MINUTES
        for gpu in "01":
            card = {"job": JOB, "instance": instance, "gpu": gpu, "uuid": f"{instance[:3]}{gpu}"}
            for name, labels in _cards_series(card):
                world.series[name, label_set(labels)] = _values(source, name, gaps=gaps)
            _add_histogram(source, world, card)
    return world


def _cards_series(card: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    yield "gpu_up", card
    yield "gpu_power_watts", card
    yield "m", card
    for labels in ODD_LABELS:
        yield "odd", card | labels
    yield "gpu_throttle_seconds_total", card | {"reason": "power"}
    yield "gpu_ecc_errors_total", card | {"severity": "uncorrected"}
    yield "c_total", card | {"severity": "high"}
    yield "gpu_xid_last_timestamp_seconds", card | {"xid": "79", "class": "hardware"}


def _values(source: random.Random, name: str, *, gaps: bool) -> Values:
    if name in GAUGES:
        kinds = [0.5, 0.617, 0.8802, 0.75, 0.75, 0.875, 0.875, 0.9375, 1.0, math.inf, -math.inf, math.nan, None]
        found: Values = _runs(source, lambda: source.choice(kinds))
    elif name == "gpu_up":
        found = _runs(source, lambda: source.choice([0.0, *[1.0] * 6, *([] if gaps else [None])]))
    elif name in TIMESTAMPS:
        found = [None if source.random() < 0.1 else stamp for stamp in _stamps(source)]
    else:
        found = _counter(source)
    if gaps:
        for start in range(0, MINUTES, 10):  # so that no two of them come to more than the lookback
            begin, length = start + source.randrange(5), source.randrange(5)
            found[begin : begin + length] = [GAP] * length
    return found


def _stamps(source: random.Random) -> list[float]:
    last, found = -source.randrange(0, 2000), []
    for minute in range(MINUTES):
        if source.random() < 0.1:
            last = minute * 60 - source.choice([0, 0, 15, 60, -200])
        found.append(float(last))
    return found


def _counter(source: random.Random) -> Values:
    value, found = float(source.choice([0, 0, 1, 64])), []
    steps = _runs(source, lambda: source.choice([0, 0, 0.25, 1, 2, 8, 32]))
    for step in steps:
        value = float(source.choice([0, 1])) if source.random() < 0.04 else value + step
        found.append(source.choice([math.nan, math.inf]) if source.random() < 0.005 else value)
    for start in range(MINUTES):
        if source.random() < 0.05:
            found[start : start + 3] = [None] * len(found[start : start + 3])
    return found


def _add_histogram(source: random.Random, world: World, card: dict[str, str]) -> None:
    heights, columns = [0.0] * len(BOUNDS), []
    for minute in range(MINUTES):
        if source.random() < 0.04:
            heights = [0.0] * len(BOUNDS)
        first = source.randrange(len(BOUNDS))
        more = source.choice([0, 0, 1, 4, 16])
        heights = [height + (more if number >= first else 0) for number, height in enumerate(heights)]
        columns.append(None if source.random() < 0.04 and minute else list(heights))
    for number, bound in enumerate(BOUNDS):
        labels = label_set(card | {"le": bound})
        world.series[f"{HISTOGRAM}_bucket", labels] = [column and column[number] for column in columns]
    world.series[f"{HISTOGRAM}_count", label_set(card)] = [column and column[-1] for column in columns]


def _runs(source: random.Random, choose: Callable[[], float | None]) -> list:
    found: list = []
    while len(found) < MINUTES:
        found += [choose()] * source.choice([1, 1, 2, 3, 4, 6, 9])
    return found[:MINUTES]


def random_rules(source: random.Random, count: int, *, windows: bool) -> tuple[Rule, ...]:
    """``count`` alerts, some with overrides for some cards, as a user would write them."""
    entries: list[dict] = []
    for number in range(count):
        entry = {"alert": f"R{number}", "severity": source.choice(["critical", "warning", "info"]), "summary": "s"}
        entry |= _compared(source, windows=windows)
        entries.append(entry | _around(source, entry["metric"], may_be_gone="absent" not in entry))
        entry = entries[-1]
        if source.random() < 0.3 and not (_is_of_targets(entry) and "where" in entry):
            entries += _overrides(source, entry)
    return rules_of([parse(yaml.safe_dump({"rules": entries}), "random.yml")])


def _compared(source: random.Random, *, windows: bool) -> dict:
    kinds = [_plain, _plain, _plain, _age, _absent, _up]
    looking_back = [_extreme, _average, _predicted, _grown, _grown, _quantile]
    return source.choice(kinds + (looking_back if windows else []))(source)


def _between(source: random.Random, numbers: list[float]) -> dict:
    """A comparison, often with a clear on the other side."""
    low, high = sorted(source.sample(numbers, 2))
    way = source.choice(["above", "below"])
    threshold, clear = (high, low) if way == "above" else (low, high)
    return {way: threshold} | ({"clear": clear} if source.random() < 0.5 else {})


def _of(name: str) -> dict:
    return {"metric": name} | ({} if name.startswith("gpu_") or name == "up" else {"unit": "count"})


def _plain(source: random.Random) -> dict:
    metric = _of(source.choice([*GAUGES, *COUNTERS]))
    numbers = [0.5, 0.75, 0.875, 0.9375]
    return metric | (_between(source, numbers) if source.random() < 0.8 else {"equals": source.choice(numbers)})


def _age(source: random.Random) -> dict:
    return _of(TIMESTAMPS[0]) | {source.choice(["within", "older"]): source.choice(["1m", "2m", "90s", "10m", "20m"])}


def _absent(source: random.Random) -> dict:
    return _of(source.choice(["m", *COUNTERS])) | {"absent": True}


def _up(source: random.Random) -> dict:
    return _of("up") | source.choice([{"equals": 0}, {"below": 1}, {"over": {"min": "5m"}, "below": 0.5}])


def _extreme(source: random.Random) -> dict:
    over = {source.choice(["max", "min"]): source.choice(["5m", "7m", "10m"])}
    return _of(source.choice(GAUGES)) | {"over": over} | _between(source, [0.5, 0.75, 0.875, 0.9375])


def _average(source: random.Random) -> dict:
    over = {"avg": source.choice(["3m", "5m", "10m"])}
    numbers = [0.5001, 0.617, 0.7501, 0.8221, 0.8802, 0.9041]
    return _of(source.choice(GAUGES)) | {"over": over} | _between(source, numbers)


def _predicted(source: random.Random) -> dict:
    numbers = [0.4001, 0.7501, 0.9041, 1.3001]
    return _of(source.choice(GAUGES)) | {"predict": source.choice(["12m", "20m", "40m"])} | _between(source, numbers)


def _grown(source: random.Random) -> dict:
    function = source.choice(["increase", "rate"])
    numbers = [0.0, 0.3001, 1.5001, 4.7001, 20.3001]
    scale = 1 if function == "increase" else 300
    made = _between(source, [number / scale for number in numbers])
    return _of(source.choice(COUNTERS)) | {"over": {function: source.choice(["3m", "5m", "10m"])}} | made


def _quantile(source: random.Random) -> dict:
    shares = {"quantile": source.choice([0.1, 0.5, 0.9, 0.99]), "least_count": source.choice([1, 4, 10])}
    over = {"over": {"increase": source.choice(["5m", "10m"])}}
    return _of(HISTOGRAM) | shares | over | _between(source, [0.3001, 1.2001, 1.9001, 3.1001])


def _around(source: random.Random, metric: str, *, may_be_gone: bool) -> dict:
    times = ["0s", "0s", "30s", "1m", "90s", "2m"]
    found: dict = {"for": source.choice(times), "keep_firing_for": source.choice([*times, "3m", "5m"])}
    if source.random() < 0.2:
        found["where"] = {"instance": source.choice(["box:9400", "!box:9400", "=~b.*", "=~box.*|lab.*"])}
    if source.random() < 0.3 and metric == "odd":
        found["where"] = source.choice([{"team": "!red"}, {"exported_severity": "=~.*"}, {"alertname": "!Nobody"}])
    if source.random() < 0.2:
        found["labels"] = {"team": "vision"}
    if source.random() < 0.3 and may_be_gone:
        found["when_gone"] = "end"
    return found


def _is_of_targets(entry: dict) -> bool:
    return "absent" in entry or entry["metric"] == "up"


def _overrides(source: random.Random, entry: dict) -> list[dict]:
    """For some of the cards: other waits, other labels, or nothing at all."""
    scopes = [{"gpu": "1"}, {"uuid": "=~box.|bag1"}]
    if _is_of_targets(entry):
        scopes = [{"instance": "=~bag.*"}, {"job": "!node"}, {"job": "=~gpu.*|node", "instance": "!box:9400"}]
    elif entry["metric"] == "odd":
        scopes += [{"team": "blue"}, {"exported_severity": "!low"}, {"alertname": "Other", "severity": "!high"}]
    where = source.choice(scopes)
    changes = [{"enabled": False}, {"for": "1m", "keep_firing_for": "0s"}, {"severity": "info"}]
    if "absent" not in entry:
        changes.append({"when_gone": "hold", "labels": {"team": "night"}})
    found = [{"override": entry["alert"], "where": where} | source.choice(changes)]
    if "gpu" in where and source.random() < 0.5:
        found.append({"override": entry["alert"], "where": {"uuid": "!bag0", "gpu": "0"}, "for": "30s"})
    return found
