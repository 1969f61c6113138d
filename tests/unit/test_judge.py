import logging
from dataclasses import replace
from types import MappingProxyType

import pytest

from alerts import judge as judging
from alerts.judge import judge
from alerts.matchers import parse_matcher
from alerts.rule import Rule
from alerts.series import Sample, Scrape, label_set
from alerts.state import AlertKey, State

NOW = 1_800_000_000.0
MEMORY = Rule(
    alert="Full",
    metric="gpu_memory_used_ratio",
    unit="ratio",
    comparison="above",
    threshold=0.9,
    for_=0.0,
    keep_firing_for=0.0,
    severity="critical",
    summary="full",
)
DOWN = Rule(
    alert="TargetDown",
    metric="up",
    unit="bool",
    comparison="equals",
    threshold=0.0,
    severity="critical",
    summary="down",
)


def scrape(instance: str, /, error: str | None = None, known: str = "g0 g1 g2", **ratios: float) -> Scrape:
    """A visit to a target with one card for each keyword, whose exporter counts the ``known`` ones."""
    own = {"job": "gpuwarden", "instance": instance}
    cards = tuple(Sample(labels(instance, gpu), ratio) for gpu, ratio in ratios.items())
    samples = {"up": (Sample(label_set(own), 0.0 if error else 1.0),)}
    if not error:
        samples["gpu_up"] = tuple(Sample(labels(instance, gpu), 1.0) for gpu in known.split())
    if cards:
        samples["gpu_memory_used_ratio"] = cards
    return Scrape(f"http://{instance}/metrics", "gpuwarden", instance, NOW, error, MappingProxyType(samples))


def labels(instance: str, gpu: str):
    return label_set({"job": "gpuwarden", "instance": instance, "gpu": gpu, "uuid": gpu})


def firing(instance: str, gpu: str, alertname: str = "Full") -> dict[AlertKey, State]:
    state = State(phase="firing", active_at=NOW - 90, fired_at=NOW - 30, value=0.95, seen_at=NOW - 5, incident="x")
    return {AlertKey(alertname, labels(instance, gpu)): state}


def told(rules, scrapes, states=None):
    changes = judge(rules, scrapes, states or {}, NOW, max_gap=10.0)
    return [
        (change.key.alertname, dict(change.key.labels).get("gpu"), change.transition, change.reason)
        for change in changes
    ]


def test_each_series_of_each_target_is_an_alert_of_its_own():
    """Two hosts both have a GPU 0, and one hides the other."""
    changes = judge([MEMORY], [scrape("a:1", g0=0.95, g1=0.5), scrape("b:1", g0=0.96)], {}, NOW, max_gap=10.0)
    assert [(dict(change.key.labels)["instance"], change.value) for change in changes] == [("a:1", 0.95), ("b:1", 0.96)]
    assert all(change.transition == "fired" and change.at == NOW for change in changes)
    assert all(change.rule is MEMORY and change.previous is None for change in changes)


def test_nothing_to_say_is_no_change():
    """The database is written in every round although nothing happens."""
    assert told([MEMORY, DOWN], [scrape("a:1", g0=0.5)]) == []


def test_failed_target_is_unknown_and_up_is_known():
    """A box that goes away ends its own alerts with RESOLVED, or nobody learns that it went."""
    found = told([MEMORY, DOWN], [scrape("a:1", "refused")], firing("a:1", "g0"))
    assert found == [("Full", "g0", None, "held_unknown"), ("TargetDown", None, "fired", "for_elapsed")]


@pytest.mark.parametrize("visit", [scrape("a:1", "refused"), scrape("a:1", g0=float("nan"))])
def test_unknown_change_has_no_value(visit):
    """A mail prints an old value as if it had just been read, or "not a number"."""
    (change,) = judge([MEMORY], [visit], firing("a:1", "g0"), NOW, max_gap=10.0)
    assert change.value is None
    assert change.state.value == 0.95


def test_vanished_series_is_unknown():
    """A card that falls off the bus sends RESOLVED."""
    assert told([MEMORY], [scrape("a:1", g1=0.5)], firing("a:1", "g0")) == [("Full", "g0", None, "held_unknown")]


def test_a_card_that_was_forgotten_ends_its_alerts():
    """A card that was full when it was taken out is full for ever."""
    (change,) = judge([MEMORY], [scrape("a:1", known="g1")], firing("a:1", "g0"), NOW, max_gap=10.0)
    assert (change.transition, change.reason, change.value) == ("resolved", "series_gone", None)


def test_a_rule_may_end_with_its_series():
    """An alert about a disk that was unmounted stays for ever, or ends because the whole box is away."""
    values = {name: getattr(MEMORY, name) for name in MEMORY.__slots__}
    ends = Rule(**values | {"ends_when_gone": True})
    assert told([ends], [scrape("a:1")], firing("a:1", "g0")) == [("Full", "g0", "resolved", "series_gone")]
    assert told([ends], [scrape("a:1", "refused")], firing("a:1", "g0")) == [("Full", "g0", None, "held_unknown")]


def test_a_rule_that_is_about_something_else_now_is_another_rule():
    """After a reload an alert of the old metric burns for ever, since no reading of the new one can end it."""
    values = {name: getattr(MEMORY, name) for name in MEMORY.__slots__}
    before = {key: replace(state, about="gpu_temperature_celsius") for key, state in firing("a:1", "g0").items()}
    assert told([MEMORY], [scrape("a:1", g0=0.95)], before) == [("Full", "g0", None, "rule_removed")]
    kept = {key: replace(state, about=MEMORY.about) for key, state in before.items()}
    assert told([MEMORY], [scrape("a:1", g0=0.95)], kept) == [("Full", "g0", None, "still_firing")]
    absent = Rule(**values | {"comparison": "absent"})
    assert told([absent], [scrape("a:1", g0=0.95)], kept) == [("Full", "g0", None, "rule_removed")]


def test_resolved_carries_what_was():
    """The resolved mail knows neither its thread nor since when."""
    (change,) = judge([MEMORY], [scrape("a:1", g0=0.5)], firing("a:1", "g0"), NOW, max_gap=10.0)
    assert (change.transition, change.state, change.value) == ("resolved", None, 0.5)
    assert (change.previous.incident, change.previous.active_at) == ("x", NOW - 90)


@pytest.mark.parametrize(
    ("rules", "scrapes", "reason"),
    [
        ([DOWN], [scrape("a:1", g0=0.95)], "rule_removed"),
        ([MEMORY], [scrape("b:1", g0=0.5)], "target_removed"),
        (
            [Rule(**{**{n: getattr(MEMORY, n) for n in MEMORY.__slots__}, "where": (parse_matcher("gpu", "!g0"),)})],
            [scrape("a:1", g0=0.95)],
            "series_excluded",
        ),
    ],
)
def test_what_cannot_be_judged_any_more_ends_silently(rules, scrapes, reason):
    """Removing a rule or a target leaves an alert firing for ever, or sends RESOLVED for what nobody checked."""
    assert told(rules, scrapes, firing("a:1", "g0")) == [("Full", "g0", None, reason)]


def test_series_under_an_override_get_its_numbers():
    """A card's own threshold is not used."""
    scope = (parse_matcher("gpu", "g1"),)
    values = {name: getattr(MEMORY, name) for name in MEMORY.__slots__}
    rules = [Rule(**values | {"unless": (scope,)}), Rule(**values | {"where": scope, "threshold": 0.97})]
    changes = judge(rules, [scrape("a:1", g0=0.95, g1=0.95, g2=0.95)], {}, NOW, max_gap=10.0)
    assert [dict(change.key.labels)["gpu"] for change in changes] == ["g0", "g2"]
    (held,) = judge(rules, [scrape("a:1")], firing("a:1", "g1"), NOW, max_gap=10.0)
    assert held.rule.threshold == 0.97


def test_series_are_bounded_and_the_rest_is_logged_once(monkeypatch, caplog):
    """A target with endless labels grows memory and the log without limit, or pushes out an alert that is firing."""
    monkeypatch.setattr(judging, "MOST_SERIES", 3)
    many = scrape("a:1", **{f"g{number}": 0.95 for number in range(10)})
    with caplog.at_level(logging.WARNING):
        first = judge([MEMORY], [many], firing("a:1", "g9"), NOW, max_gap=10.0)
        judge([MEMORY], [many], {}, NOW, max_gap=10.0)
    assert [dict(change.key.labels)["gpu"] for change in first] == ["g9", "g0", "g1"]
    assert len(caplog.records) == 1
    assert "7 of 10 series" in caplog.text
