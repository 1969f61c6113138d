"""Counts of requests: from when on, and what the rules see of the first failure."""

import pytest

from alerts.history import History
from alerts.judge import judge
from alerts.rules import SHIPPED, load_rules
from alerts.series import Sample, Scrape, label_set
from exporter.families import families
from exporter.latency.observations import MOST_LABEL_SETS, OUTCOMES, Observations
from exporter.snapshot import Snapshot

TARGET = {"job": "gpuwarden", "instance": "box:9400"}
REQUESTS = "model_requests_total"
RUN = 900.0


def counted(seen):
    return {labels: value for item in seen.observed() if item.name == REQUESTS for labels, value in item.values.items()}


def test_a_model_that_is_known_is_counted_from_0_by_every_outcome():
    """Its first failure would be born with its series, where no increase() can see it."""
    seen = Observations()
    seen.known("gpt2", "probe")
    assert counted(seen) == {("gpt2", "probe", outcome): 0.0 for outcome in OUTCOMES}
    seen.add(REQUESTS, ("gpt2", "probe", "oom"))
    seen.known("gpt2", "probe")
    assert counted(seen)["gpt2", "probe", "oom"] == 1.0


def test_a_request_makes_its_model_known_and_no_other():
    """The first failure of an application would be unseen, or models would be shown that do not exist."""
    seen = Observations()
    assert counted(seen) == {}
    seen.add(REQUESTS, ("cnn", "app", "ok"))
    assert counted(seen) == {("cnn", "app", outcome): float(outcome == "ok") for outcome in OUTCOMES}


def test_the_outcomes_of_models_are_bounded_too():
    """A program that makes up model names would fill the exporter's memory five times as fast."""
    seen = Observations()
    for number in range(MOST_LABEL_SETS):
        seen.known(f"model{number}", "app")
        seen.add(REQUESTS, (f"model{number}", "app", "oom"))
    assert len(counted(seen)) == MOST_LABEL_SETS


def visit(seen, now):
    samples = {"up": (Sample(label_set(TARGET), 1.0),)}
    for family in families(Snapshot(), seen.observed(), version="1"):
        samples[family.row.name] = tuple(
            Sample(label_set({**dict(zip(family.row.labels, labels, strict=True)), **TARGET}), value)
            for labels, value in family.samples
        )
    return Scrape("box", "gpuwarden", "box:9400", now, None, samples)


@pytest.mark.parametrize("interval", [5.0, 60.0])
@pytest.mark.parametrize(("failures", "fires"), [(1, False), (2, True)])
def test_two_failures_right_after_a_start_are_told(interval, failures, fires):
    """After a driver update every run of a probe fails, and the mail waits for a third one."""
    rules = [rule for rule in load_rules(SHIPPED, []) if rule.alert == "ModelProbeFailing"]
    seen, history, states, fired = Observations(), History(watched_since=float("-inf")), {}, False
    seen.known("gpt2", "probe")
    for step in range(int(2 * 3600 / interval)):
        now = step * interval
        if now and now % RUN == 0:
            seen.add(REQUESTS, ("gpt2", "probe", "error" if now <= failures * RUN else "ok"))
        scrapes = [visit(seen, now)]
        history.take(rules, scrapes, now, max_gap=2 * interval)
        changes = judge(rules, scrapes, states, now, max_gap=2 * interval, history=history)
        states = {change.key: change.state for change in changes if change.state}
        fired = fired or any(change.transition == "fired" for change in changes)
    assert fired == fires
