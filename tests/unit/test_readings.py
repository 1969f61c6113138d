from types import MappingProxyType

import pytest

from alerts.history import History
from alerts.judge import judge
from alerts.readings import readings
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from gpuwarden.documents import parse

NOW = 1_800_000_000.0


def rule(line):
    (made,) = rules_of([parse(f"rules: [{{alert: A, severity: info, summary: s, {line}}}]", "x.yml")])
    return made


def page(instance="box:9400", error=None, job="gpuwarden", **rows):
    own = {"job": job, "instance": instance}
    rows = {} if error else rows
    samples = {
        name: tuple(Sample(label_set(labels | own), value) for labels, value in found) for name, found in rows.items()
    }
    samples["up"] = (Sample(label_set(own), 0.0 if error else 1.0),)
    return Scrape("", job, instance, NOW, error, MappingProxyType(samples))


def read(made, *pages):
    return {
        (dict(labels)["instance"], dict(labels).get("gpu")): value
        for labels, value in readings(made, pages, History(), NOW).items()
    }


XID = {"gpu": "0", "uuid": "a", "xid": "79", "class": "hardware"}


def test_a_timestamp_is_compared_by_its_age():
    """An XID of last week counts as one of now, or never ends."""
    made = rule("metric: gpu_xid_last_timestamp_seconds, within: 10m")
    found = read(made, page(gpu_xid_last_timestamp_seconds=[(XID, NOW - 90)]))
    assert found == {("box:9400", "0"): 90.0}
    assert [made.holds(age, firing=firing) for age in (599.0, 600.0) for firing in (False, True)] == [
        True,
        True,
        False,
        False,
    ]
    ahead = read(made, page(gpu_xid_last_timestamp_seconds=[(XID, NOW + 7200)]))
    assert ahead == {("box:9400", "0"): 0.0}
    old = rule("metric: gpu_xid_last_timestamp_seconds, older: 10m")
    assert [old.holds(age, firing=False) for age in (600.0, 601.0)] == [False, True]


def test_absence_is_judged_of_targets_that_answer():
    """A dead exporter counts as a machine without cards, on top of the mail that it is dead."""
    made = rule("metric: gpu_info, absent: true")
    pages = [
        page("full:1", gpu_info=[({"gpu": "0", "uuid": "a"}, 1.0)]),
        page("empty:1", host_info=[({}, 1.0)]),
        page("dead:1", error="refused"),
    ]
    assert read(made, *pages) == {("full:1", None): 0.0, ("empty:1", None): 1.0}


def test_absence_may_be_of_some_series_on_some_targets():
    """A rule that one machine must have a card of its own asks all machines, or is content with any card."""
    made = rule('metric: gpu_up, absent: true, where: {gpu: "1", instance: "=~lab.*"}')
    one, two = ({"gpu": gpu, "uuid": gpu} for gpu in "01")
    pages = [page("lab1:1", gpu_up=[(one, 1.0)]), page("lab2:1", gpu_up=[(one, 1.0), (two, 0.0)]), page("box:1")]
    assert read(made, *pages) == {("lab1:1", None): 1.0, ("lab2:1", None): 0.0}


def test_a_latency_needs_its_whole_histogram():
    """A quantile is judged on the buckets of another model or machine."""
    made = rule(
        "metric: model_time_to_first_token_seconds, quantile: 0.5, over: {increase: 5m}, least_count: 1, above: 1"
    )
    history = History(watched_since=0.0)
    labels = {"model": "a", "source": "app"}
    for minute in range(6):
        buckets = [
            (labels | {"le": bound, "model": model}, scale * minute * height)
            for model, scale in (("a", 10.0), ("b", 1000.0))
            for bound, height in (("1.0", 0.5), ("2.5", 1.0), ("+Inf", 1.0))
        ]
        counts = [(labels, 10.0 * minute), (labels | {"model": "b"}, 1000.0 * minute)]
        scrapes = [
            page(model_time_to_first_token_seconds_bucket=buckets, model_time_to_first_token_seconds_count=counts)
        ]
        now = NOW + 60 * minute
        history.take([made], scrapes, now, max_gap=120)
    found = readings(made, scrapes, history, now)
    assert {dict(labels)["model"]: value for labels, value in found.items()} == {
        "a": pytest.approx(1.0),
        "b": pytest.approx(1.0),
    }


def test_an_expression_is_left_to_prometheus():
    """The alerter judges a rule that it cannot read, or ends when it meets one."""
    assert judge([rule('expr: "up == 0"')], [page()], {}, NOW, max_gap=10) == []
