import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.evidence import prometheus
from alerts.evidence.points import MOST_POINTS, Points, peak_of, shown_from
from alerts.evidence.prometheus import EvidenceError
from alerts.evidence.prometheus_range import PrometheusSeries, parse_matrix, range_query, step_of
from alerts.posted_identity import find_rule
from alerts.rules import SHIPPED, load_rules
from alerts.series import label_set
from tests.golden.example_mails import FIRING
from tests.unit.test_evidence import ANY, NUMBER, answering

RULES = load_rules(SHIPPED, [])
OWN = {"gpu": "2", "uuid": "GPU-a", "instance": "box:9400", "job": "gpuwarden"}
FULL = replace(FIRING, labels=label_set(OWN))
PLAIN = 'gpu_memory_used_ratio{gpu="2", instance="box:9400", job="gpuwarden", uuid="GPU-a"}'


def matrix(*series):
    """An answer to a range query: (labels, values at the last seconds before the decision)."""
    result = [
        {"metric": labels, "values": [[FULL.at - 15 * (len(values) - 1 - n), str(v)] for n, v in enumerate(values)]}
        for labels, values in series
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def points_of(url, *notifications, rules=RULES, deadline=3.0):
    return asyncio.run(PrometheusSeries(url, lambda: rules, deadline).points_of(notifications))


def rule_of(alertname):
    return next(rule for rule in RULES if rule.alert == alertname)


def test_the_readings_of_the_last_hour_come():
    """Behind Alertmanager no mail would have a picture."""
    with answering(matrix((OWN | {"__name__": FULL.metric}, [0.5, 0.7, 0.96]))) as (url, queries):
        found = points_of(url, FULL)

    assert found == {FULL.id: Points((FULL.at - 30, FULL.at - 15, FULL.at), (0.5, 0.7, 0.96), 16.0)}
    assert queries == [f"max_over_time({PLAIN}[16s])"]


def test_labels_that_prometheus_adds_to_alerts_do_not_hide_the_readings():
    """With external_labels no mail would have a picture."""
    alert = replace(FULL, labels=label_set(OWN | {"cluster": "east"}))
    with answering(matrix((OWN, [0.5]))) as (url, queries):
        assert points_of(url, alert)[FULL.id].values == (0.5,)
    assert "cluster" not in queries[0]


@pytest.mark.parametrize(
    ("alertname", "query"),
    [
        ("GpuTemperatureMarginLow", "min_over_time(gpu_temperature_margin_celsius{"),
        ("GpuMemoryFullSoon", "predict_linear(gpu_memory_used_ratio{"),
        ("GpuThermalThrottling", "(rate(gpu_throttle_seconds_total{"),
        ("GpuLost", "min_over_time(gpu_up{"),
        ("ModelProbeSilent", "clamp_min(time() - model_probe_last_run_timestamp_seconds{"),
    ],
)
def test_what_is_asked_for_is_what_the_rule_compares(alertname, query):
    """The threshold would be drawn through numbers that it was never held against."""
    assert query in range_query(rule_of(alertname), replace(FULL, alertname=alertname), 15.0)


def test_the_peak_of_a_long_incident_is_asked_for():
    """The mail that ends an incident of three days would give the peak of its last hours."""
    long = replace(FULL, started_at=FULL.at - 3 * 86_400)

    def body(query):
        if "259200" in query or "3d" in query:
            return json.dumps({"data": {"result": [{"metric": OWN, "value": [1, "0.99"]}]}}).encode()
        return matrix((OWN, [0.95, 0.96]))

    with answering(body) as (url, queries):
        found = points_of(url, long)[long.id]

    assert peak_of(found, long) == 0.99
    assert len(queries) == 2
    assert step_of(long) == 91.0


@pytest.mark.parametrize(
    "alert",
    [replace(FULL, alertname="Foreign", metric=""), replace(FULL, alertname="Foreign"), replace(FULL, metric="")],
)
def test_a_foreign_alert_is_not_asked_about(alert):
    """Somebody else's alert would get the readings of another thing."""
    with answering(matrix((OWN, [0.5]))) as (url, queries):
        assert points_of(url, alert) == {}
    assert queries == []


def test_several_series_are_none():
    """The picture could be that of the card beside it."""
    assert parse_matrix(matrix((OWN, [0.5]), ({}, [0.6])), FULL, 15.0) == Points(step=15.0)
    assert parse_matrix(matrix((OWN | {"gpu": "3"}, [0.5])), FULL, 15.0) == Points(step=15.0)


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (b"{}", 200), (b"[" * 100_000, 200), (b"no", 500)])
def test_no_readings_hold_a_mail_back(body, status):
    """A Prometheus in trouble would stop the alerts about it."""
    with answering(body, status) as (url, _):
        assert points_of(url, FULL) == {}


def test_a_prometheus_that_hangs_costs_the_deadline_once():
    """Each of twenty pictures would wait for a silent Prometheus."""
    with answering(b"", wait=10) as (url, _):
        assert points_of(url, *(replace(FULL, id=str(number)) for number in range(20)), deadline=0.2) == {}


def test_an_answer_without_end_is_cut(monkeypatch):
    """A query that finds too much would take all memory."""
    monkeypatch.setattr(prometheus, "MOST_BYTES", 100)
    with answering(matrix((OWN, [0.5] * 200))) as (url, _):
        assert points_of(url, FULL) == {}


SERIES = st.fixed_dictionaries({"metric": st.just(OWN) | ANY, "values": st.lists(st.tuples(NUMBER, NUMBER)) | ANY})


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({"data": st.fixed_dictionaries({"result": st.lists(SERIES, max_size=2) | ANY}) | ANY}) | ANY
)
def test_whatever_is_answered_is_points_or_none(data):
    """One strange sample in Prometheus would cost a whole batch its evidence."""
    try:
        points = parse_matrix(json.dumps(data).encode(), FULL, 15.0)
    except EvidenceError:
        return
    assert len(points.times) == len(points.values)
    assert list(points.times) == sorted(points.times)


@settings(max_examples=50)
@given(st.floats(0, 90 * 86_400))
def test_a_picture_never_asks_for_more_points_than_it_shows(lasted):
    """Prometheus would be asked for weeks in steps of seconds, and refuse."""
    alert = replace(FULL, started_at=FULL.at - lasted)
    assert (alert.at - shown_from(alert)) / step_of(alert) <= MOST_POINTS


def test_a_label_cannot_break_out_of_the_query():
    """A process name could ask Prometheus for something else."""
    hostile = replace(FULL, labels=label_set(OWN | {"gpu": '"} or vector(1) #'}))
    rule = find_rule(RULES, hostile.alertname, dict(hostile.labels))
    assert r'gpu="\"} or vector(1) #"' in range_query(rule, hostile, 15.0)
