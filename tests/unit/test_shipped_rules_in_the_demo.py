"""The shipped rules with the demo's own overrides on what the demo plays: what its viewer is told, and when."""

import pathlib

import alerts
from alerts.history import History
from alerts.judge import judge
from alerts.rules import SHIPPED, load_rules
from alerts.series import Sample, Scrape, label_set
from exporter.families import families
from exporter.latency.observations import Observations
from exporter.snapshot import Snapshot, SourceHealth
from exporter.sources.demo import SHIPPED_SCENARIO, DemoReader
from exporter.sources.scenario import load_scenario

DEMO_RULES = pathlib.Path(alerts.__file__).with_name("demo.yml")
ROUND, LONG = 5.0, 45 * 60.0
STARTED_AT = 1_780_000_000.0


def page(reader, observations, monotonic, now):
    """The demo's page as a visit brings it."""
    part = reader.read()
    health = SourceHealth("demo", up=True, read_at=monotonic, duration_seconds=0.0, succeeded_at=now)
    snapshot = Snapshot(part.gpus, part.host, (health,), simulated=True, gpus_expected=part.gpus_expected)
    target = {"job": "gpuwarden", "instance": "127.0.0.1:9400"}
    samples = {"up": (Sample(label_set(target), 1.0),)}
    for family in families(snapshot, observations.observed(), version="1"):
        samples[family.row.name] = tuple(
            Sample(label_set({**dict(zip(family.row.labels, labels, strict=True)), **target}), value)
            for labels, value in family.samples
        )
    return Scrape("demo", "gpuwarden", "127.0.0.1:9400", now, None, samples)


def fired(seconds):
    """(seconds since the start, rule) of each alert that fires, in order."""
    elapsed, observations = [0.0], Observations()
    scenario = load_scenario(SHIPPED_SCENARIO)
    reader = DemoReader(scenario, observations, lambda: elapsed[0], lambda: STARTED_AT + elapsed[0])
    rules, history, states, told = load_rules(SHIPPED, [DEMO_RULES]), History(), {}, []
    while elapsed[0] < seconds:
        now = STARTED_AT + elapsed[0]
        scrapes = [page(reader, observations, elapsed[0], now)]
        history.take(rules, scrapes, now, max_gap=2 * ROUND)
        for change in judge(rules, scrapes, states, now, max_gap=2 * ROUND, history=history):
            if change.state:
                states[change.key] = change.state
            else:
                states.pop(change.key, None)
            if change.transition == "fired":
                told.append((elapsed[0], change.key.alertname))
        elapsed[0] += ROUND
    return told


def test_the_demo_tells_of_one_thing_soon_and_of_nothing_else():
    """A first-time viewer gets no mail while looking, or ten of which none explains itself."""
    told = fired(LONG)
    assert {name for _, name in told} == {"GpuMemoryAlmostFull"}
    assert [at for at, _ in told if at < 60] == [told[0][0]]
